"""What the rules of a plan look at, and what they make of a call, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path

import pytest

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.results import Results
from tuner_sipbridge.answering.run import answer_by_plan
from tuner_sipbridge.caller.answering_plan import AnsweringPlan
from tuner_sipbridge.sip.message import Response
from tuner_sipbridge.sip.parser import parse_datagram

RULES = """name: outbound
rules:
  - {called: "+1 555", reject: {status: 404, reason: by number}}
  - {caller: sales team, reject: {status: 603, reason: by caller}}
  - {headers: {X-Campaign: {regex: "spring-.*"}}, reject: {status: 480, reason: by header}}
  - {called: moved, reject: {status: 302, headers: {Contact: "<sip:other@h>", Reason: "SIP;cause=302"}}}
  - {called: gone, reject: {status: 699}}
  - {called: paid, reject: {status: 402, reason: "Pay, please"}}
  - {source: [192.0.2.0/24], reject: {status: 500, reason: by source}}
  - {source: [127.0.0.0/8], busy: true}
"""
INVITE = """\
INVITE sip:{called}@127.0.0.1 SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{number}\r
From: <sip:{caller}@127.0.0.1>;tag=1\r
To: <sip:{called}@127.0.0.1>\r
Call-ID: c{number}\r
CSeq: 1 INVITE\r
Contact: <sip:x@127.0.0.1>\r
{header}\r
Content-Length: 0\r
\r
"""
CALLS = [
    ({"called": "%2b1%20555"}, 404, "by number", {}),
    ({"caller": "sales%20team"}, 603, "by caller", {}),
    ({"header": "x-campaign: spring-7"}, 480, "by header", {}),
    ({"header": "X-Campaign: autumn"}, 486, "Busy Here", {}),
    ({"called": "moved"}, 302, "Moved Temporarily", {"Contact": "<sip:other@h>", "Reason": "SIP;cause=302"}),
    ({"called": "gone"}, 699, "", {}),
    ({"called": "paid"}, 402, "Pay, please", {}),
]


@pytest.fixture
def plan(tmp_path: Path) -> AnsweringPlan:
    (tmp_path / "answering.yaml").write_text(RULES)
    return AnsweringPlan.load(tmp_path / "answering.yaml")


async def final(far: socket.socket) -> Response:
    """The next final response."""
    async with asyncio.timeout(5):
        while True:
            answer = parse_datagram(await asyncio.get_running_loop().sock_recv(far, 65535))
            assert isinstance(answer, Response)
            if answer.status >= 200:
                return answer


async def test_calls_are_told_apart_by_number_caller_header_and_source(plan: AnsweringPlan):
    ready: asyncio.Future[Answerer] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(
        answer_by_plan(
            plan,
            partial(Answerer, port=0),
            Results(),
            agents={"echo": echo},
            until=asyncio.get_running_loop().create_future(),
            calls=len(CALLS),
            on_ready=ready.set_result,
        )
    )
    answerer = await ready
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        for number, (said, status, reason, headers) in enumerate(CALLS):
            fields = {"called": "x", "caller": "y", "header": "X-None: 0", "number": number, **said}
            await asyncio.get_running_loop().sock_sendto(
                far, INVITE.format(**fields).encode(), answerer.local
            )
            answer = await final(far)
            while answer.call_id != f"c{number}":
                answer = await final(far)  # a refusal that is repeated, as nobody acknowledges it
            assert (answer.status, answer.reason) == (status, reason), said
            assert {name: answer.headers.get(name) for name in headers} == headers
        async with asyncio.timeout(10):
            result = await task
    assert [call.outcome for call in result.calls] == ["success"] * len(CALLS)
