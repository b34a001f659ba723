"""What comes over a bound, or cannot be read, is answered on the wire and counted."""

from __future__ import annotations

import asyncio
import socket
from typing import NamedTuple

import pytest

from tuner_sipbridge import CallRejected, Dialer
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.load import Load
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.sip.message import Response
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.transaction_layer import MOST_REQUESTS

REQUEST = """\
{method} sip:agent@127.0.0.1 SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{number}\r
From: <sip:probe@127.0.0.1>;tag=p1\r
To: <sip:agent@127.0.0.1>\r
Call-ID: c{number}\r
CSeq: 7 {method}\r
Contact: <sip:probe@127.0.0.1>\r
{header}\r
Content-Length: 0\r
\r
"""


class Answered(NamedTuple):
    """The start line of a response."""

    status: int
    reason: str


async def ask(answerer: Answerer, method: str, header: str = "X-None: 0", number: int = 1) -> Response:
    """Send one request over a socket of its own; gives the answer."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        data = REQUEST.format(method=method, header=header, number=number).encode()
        await loop.sock_sendto(far, data, answerer.local)
        async with asyncio.timeout(5):
            answer = parse_datagram(await loop.sock_recv(far, 65535))
    assert isinstance(answer, Response)
    return answer


async def test_a_request_that_cannot_be_read_is_told_why_and_counted():
    async with Answerer(echo, port=0) as answerer:
        answer = await ask(answerer, "OPTIONS", "Content-Length: 0")
        assert answer.start_line == "SIP/2.0 400 Bad Request: Content-Length stands more than once"
        assert (await ask(answerer, "OPTIONS", "X-Long: " + "x" * 9000)).status == 513
        assert (await ask(answerer, "OPTIONS")).status == 200
        assert answerer.refused == {"malformed": 2}


@pytest.mark.parametrize(
    ("method", "header", "status", "name", "value"),
    [
        ("OPTIONS", "Require: foo, bar", 420, "Unsupported", "foo, bar"),
        ("INVITE", "Require: foo", 420, "Unsupported", "foo"),
        ("INVITE", "Accept: text/plain", 406, "Accept", "application/sdp"),
        ("DANCE", "X-None: 0", 501, "CSeq", "7 DANCE"),
        ("SUBSCRIBE", "X-None: 0", 405, "CSeq", "7 SUBSCRIBE"),
        ("BYE", "X-None: 0", 481, "CSeq", "7 BYE"),
    ],
)
async def test_a_request_that_is_not_served_says_what_is(
    method: str, header: str, status: int, name: str, value: str
):
    async with Answerer(echo, port=0) as answerer:
        answer = await ask(answerer, method, header)
    assert (answer.status, answer.headers.get(name)) == (status, value)


async def test_one_call_too_many_is_told_when_to_come_again():
    async def wait(line: Line) -> None:
        await line.ended()

    load = Load(calls=1, retry_after_s=9)
    async with Answerer(wait, port=0, load=load) as answerer, Dialer() as dialer:
        host, port = answerer.local
        async with dialer.dial(f"sip:agent@{host}:{port}"):
            with pytest.raises(CallRejected, match="Retry-After: 9") as rejected:
                async with dialer.dial(f"sip:agent@{host}:{port}"):
                    pass
        assert rejected.value.status == 503
        assert answerer.refused == {"calls": 1}


async def test_a_source_that_asks_too_often_is_told_when_to_come_again():
    async with Answerer(echo, port=0, load=Load(requests_per_s=0.01, burst=2)) as answerer:
        answers = [await ask(answerer, "OPTIONS", number=number) for number in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 503]
        assert int(answers[2].headers.get("Retry-After") or 0) > 90
        assert answerer.refused == {"rate": 1}


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("\r\n".join(["X-A: 1"] * 260), "header fields; 256 are allowed"),
        ("X-Long: " + "x" * 8200, "header field 7 is longer than 8192"),
        ("\r\n".join(["X-A: " + "x" * 8000] * 5), "no empty line within 32768 octets ends the headers"),
        ("l: 70000\r\nX-Now: ignored", "message of 7"),
    ],
    ids=["too many headers", "too long a header", "too long a head", "too long a message"],
)
async def test_what_is_too_large_is_refused_over_tcp_too_and_counted(header: str, says: str):
    async with Answerer(echo, port=0) as answerer:
        reader, writer = await asyncio.open_connection(*answerer.local)
        try:
            request = REQUEST.format(method="OPTIONS", header=header, number=1).replace("/UDP", "/TCP")
            if header.startswith("l:"):
                request = request.replace("Content-Length: 0\r\n", "")
            writer.write(request.encode())
            async with asyncio.timeout(5):
                answer = await _read_answer(reader)
        finally:
            writer.close()
        assert answer.status == 513
        assert says in answer.reason
        assert answerer.refused == {"malformed": 1}


async def test_a_call_that_asks_too_much_at_once_is_counted_too():
    async with Answerer(echo, port=0, pick="busy") as answerer:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.bind(("127.0.0.1", 0))
            far.setblocking(False)
            loop, statuses = asyncio.get_running_loop(), list[int]()
            for number in range(MOST_REQUESTS + 2):
                method = "OPTIONS" if number else "INVITE"
                text = REQUEST.format(method=method, header="X-None: 0", number=number)
                await loop.sock_sendto(
                    far, text.replace(f"Call-ID: c{number}\r", "Call-ID: one\r").encode(), answerer.local
                )
                if number == 0:
                    await loop.sock_recv(far, 65535)
            async with asyncio.timeout(5):
                while statuses.count(503) < 2:
                    answer = parse_datagram(await loop.sock_recv(far, 65535))
                    assert isinstance(answer, Response)
                    statuses.append(answer.status)
        assert answerer.refused == {"transactions": 2}


async def test_wrong_credentials_are_counted():
    async with Answerer(echo, port=0, username="probe", password="s3cret") as answerer:
        async with Dialer(username="probe", password="wrong") as dialer:
            run = await dialer.run(answerer.uri, Scenario.model_validate({"name": "s", "steps": ["listen"]}))
        assert (run.outcome.kind, run.outcome.status) == ("client_error", 407)
        assert answerer.refused == {"credentials": 1}


async def test_over_tcp_a_malformed_message_is_refused_and_the_next_one_served():
    async with Answerer(echo, port=0) as answerer:
        reader, writer = await asyncio.open_connection(*answerer.local)
        try:
            for number, header in enumerate(("Require", "X-A: 1\r\nFoobar roobar", "X-A: 1"), start=1):
                request = REQUEST.format(method="OPTIONS", header=header, number=number)
                writer.write(request.replace("/UDP", "/TCP").encode())
            async with asyncio.timeout(5):
                answers = [await _read_answer(reader) for _ in range(3)]
            assert [answer.status for answer in answers] == [400, 400, 200]
            assert answers[1].reason == "Bad Request: header field 8 has no colon"
            writer.write(
                b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\nl: 1\r\nl: 2\r\n\r\n"
            )
            async with asyncio.timeout(5):
                last = await _read_answer(reader)
                assert last.reason == "Bad Request: Content-Length stands more than once"
                assert await reader.read() == b""
            assert answerer.refused == {"malformed": 3}
        finally:
            writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> Answered:
    head = await reader.readuntil(b"\r\n\r\n")
    _, status, reason = head.split(b"\r\n")[0].decode().split(" ", 2)
    return Answered(int(status), reason)
