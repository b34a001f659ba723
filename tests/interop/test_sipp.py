"""Our two ends against SIPp, an independent implementation of the same standard, over UDP and TCP."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun

SCENARIOS = Path(__file__).parent / "sipp"
USERNAME, PASSWORD = "probe", "s3cret, with comma"


Transport = Literal["udp", "tcp"]
SOCKETS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


def free_port(transport: Transport = "udp") -> int:
    with socket.socket(socket.AF_INET, SOCKETS[transport]) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def sipp(
    scenario: str, folder: Path, transport: Transport = "udp", *, calls: int = 1, far: str = ""
) -> AsyncGenerator[tuple[str, asyncio.subprocess.Process]]:
    """SIPp playing one of our scenarios; gives the URI to dial and the process. With `far` it calls there."""
    port, media = free_port(transport), free_port()
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port)),
        *("-t", {"udp": "u1", "tcp": "t1"}[transport], "-m", str(calls), *([far] if far else [])),
        *("-mi", "127.0.0.1", "-mp", str(media), "-rtp_echo", "-nostdin", "-timeout", "20s"),
        *("-trace_msg", "-message_file", str(folder / "messages.log"), "-trace_err"),
        *("-error_file", str(folder / "errors.log"), "-timeout_error"),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if not far:
            await listening(port, transport)
        yield f"sip:agent@127.0.0.1:{port}{';transport=tcp' if transport == 'tcp' else ''}", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def listening(port: int, transport: Transport) -> None:
    """Wait until something is bound to the port."""
    for _ in range(500):
        with socket.socket(socket.AF_INET, SOCKETS[transport]) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        await asyncio.sleep(0.01)
    raise AssertionError("SIPp did not start")


def beep(*steps: dict[str, object] | str) -> Scenario:
    return Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": list(steps)})


async def dial(
    scenario: str, folder: Path, played: Scenario, transport: Transport = "udp", *, probe: str = "kept"
) -> tuple[CallRun, int]:
    """Play `played` on a call to SIPp; gives the run and SIPp's exit code (0: it saw what it expected)."""
    async with (
        sipp(scenario, folder, transport) as (uri, process),
        Dialer(username=USERNAME, password=PASSWORD) as dialer,
    ):
        run = await dialer.run(
            uri, played, headers={"X-Probe": probe}, sip_call_id="2jf9wCCXa8Zk3Qm7Lr5Tb1Vn0Pd"
        )
        async with asyncio.timeout(10):
            code = await process.wait()
    return run, code


def sent(run: CallRun, method: str) -> list[str]:
    return [
        event.fields["message"]
        for event in run.trace.of("sip.sent")
        if event.fields["summary"].startswith(method)
    ]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_challenge_is_answered_and_the_echo_is_recorded(tmp_path: Path, transport: Transport):
    scenario = beep({"say": "one two three"}, {"pause_s": 0.2})
    run, code = await dial("challenge", tmp_path, scenario, transport)
    assert (code, run.outcome.kind) == (0, "success")
    assert [event.fields["status"] for event in run.trace.of("call.ringing")] == [180]
    invites = sent(run, "INVITE ")
    assert len(invites) == 2
    for invite in invites:
        assert "\r\nCall-ID: 2jf9wCCXa8Zk3Qm7Lr5Tb1Vn0Pd\r\n" in invite
        assert "\r\nX-CID: 2jf9wCCXa8Zk3Qm7Lr5Tb1Vn0Pd\r\n" in invite
        assert f"\r\nX-Correlation-Id: {run.correlation_id}\r\n" in invite
        assert "\r\nX-Probe: kept\r\n" in invite
    assert_digest_is_right((tmp_path / "messages.log").read_text(errors="replace"))
    assert_echo_is_recorded(run)


def assert_digest_is_right(messages: str) -> None:
    """Recompute the credentials as SIPp received them, with nothing of ours: the INVITE's and the BYE's."""
    headers = set(re.findall(r"^Proxy-Authorization: Digest (.*?)\r?$", messages, re.MULTILINE))
    methods = {"00000001": "INVITE", "00000002": "BYE"}
    for header in headers:
        fields = {
            name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,]*))', header)
        }
        secret = md5(f"{USERNAME}:sipp, edge:{PASSWORD}")
        what = md5(f"{methods.pop(fields['nc'])}:{fields['uri']}")
        expected = ":".join((secret, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], what))
        assert fields["response"] == md5(expected)
    assert methods == {}


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def assert_echo_is_recorded(run: CallRun) -> None:
    """Every frame that SIPp sent back is one that we sent, in the order in which we sent them."""
    assert run.recording is not None
    caller, agent = run.recording.caller, run.recording.agent
    loud = np.flatnonzero(caller != 0xFF)
    spoken = caller[loud[0] : loud[-1] + 1].tobytes()
    assert len(spoken) > 4000
    assert spoken in agent.tobytes()
    assert run.statistics.lost == 0
    assert run.statistics.received > 20


async def test_early_media_and_then_the_answer(tmp_path: Path):
    run, code = await dial("progress", tmp_path, beep({"say": "one two"}))
    assert (code, run.outcome.kind) == (0, "success")
    assert [event.fields["status"] for event in run.trace.of("call.ringing")] == [183]
    first, answered = run.trace.first("media.started"), run.trace.first("call.answered")
    assert first is not None
    assert answered is not None
    assert first.at < answered.at


async def test_busy_is_acknowledged_and_told(tmp_path: Path):
    run, code = await dial("busy", tmp_path, beep({"say": "one"}))
    assert (code, run.outcome.kind) == (0, "agent_error")
    assert "486" in run.outcome.detail
    assert len(sent(run, "ACK ")) == 1


async def test_a_call_over_tcp_that_the_agent_ends(tmp_path: Path):
    played = beep({"say": "one"}, {"listen": {"patience_s": 5.0}}, {"say": "two"})
    run, code = await dial("agent_bye", tmp_path, played, "tcp")
    assert (code, run.outcome.kind) == (0, "agent_error")
    assert {event.fields["transport"] for event in run.trace.of("sip.sent", "sip.received")} == {"tcp"}


async def test_busy_over_tcp_is_acknowledged(tmp_path: Path):
    run, code = await dial("busy", tmp_path, beep({"say": "one"}), "tcp")
    assert (code, len(sent(run, "ACK "))) == (0, 1)


async def test_a_long_invite_goes_over_udp_where_tcp_is_refused(tmp_path: Path):
    run, code = await dial("challenge", tmp_path, beep({"say": "one"}), probe="x" * 1300)
    assert (code, run.outcome.kind) == (0, "success")
    assert ["SIP/2.0/UDP" in invite for invite in sent(run, "INVITE ")] == [False, True, True]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_calls_our_answering_side(tmp_path: Path, transport: Transport):
    async with Answerer(echo, port=0) as answerer:
        host, port = answerer.local
        async with sipp("caller", tmp_path, transport, calls=3, far=f"{host}:{port}") as (_, process):
            async with asyncio.timeout(15):
                code = await process.wait()
    assert (code, answerer.calls_served) == (0, 3)


async def test_each_repeated_200_is_acknowledged(tmp_path: Path):
    run, code = await dial("repeated_ok", tmp_path, beep({"say": "one two three four"}, {"pause_s": 0.5}))
    assert (code, run.outcome.kind) == (0, "success")
    assert len(sent(run, "ACK ")) >= 2
    assert sent(run, "ACK ")[0].startswith("ACK sip:agent@127.0.0.1:")


async def test_bye_of_the_agent_is_answered_and_told(tmp_path: Path):
    run, code = await dial(
        "agent_bye", tmp_path, beep({"say": "one"}, {"listen": {"patience_s": 5.0}}, {"say": "two"})
    )
    assert code == 0
    assert run.outcome.kind == "agent_error"
    ended = run.trace.first("call.ended")
    assert ended is not None
    assert ended.fields["by"] == "agent"


async def test_reliable_early_media_is_acknowledged(tmp_path: Path):
    run, code = await dial("prack", tmp_path, beep({"say": "one two"}))
    assert (code, run.outcome.kind) == (0, "success")
    [prack] = sent(run, "PRACK ")
    assert "\r\nRAck: 4711 1 INVITE\r\n" in prack
    first, answered = run.trace.first("media.started"), run.trace.first("call.answered")
    assert first is not None
    assert answered is not None
    assert first.at < answered.at


async def test_a_longer_session_interval_is_taken_and_refreshes_are_answered(tmp_path: Path):
    run, code = await dial("session_timer", tmp_path, beep({"say": "one two three four"}, {"pause_s": 1.0}))
    assert (code, run.outcome.kind) == (0, "success")
    first, second = sent(run, "INVITE ")
    assert "\r\nSession-Expires: 1800\r\n" in first
    assert "\r\nSession-Expires: 2400\r\n" in second
    assert "\r\nMin-SE: 2400\r\n" in second


async def test_the_agent_holds_and_resumes(tmp_path: Path):
    run, code = await dial("agent_hold", tmp_path, beep({"say": "one two three four"}, {"pause_s": 1.5}))
    assert (code, run.outcome.kind) == (0, "success")
    changes = [(event.fields["send"], event.fields["receive"]) for event in run.trace.of("call.renegotiated")]
    assert changes == [(False, True), (True, True)]


async def test_a_redirection_is_followed(tmp_path: Path):
    run, code = await dial("redirect", tmp_path, beep({"say": "one"}))
    assert (code, run.outcome.kind) == (0, "success")
    first, second = sent(run, "INVITE ")
    assert "\r\nX-Probe: kept\r\n" in second
    assert first.split(" ")[1] != second.split(" ")[1]
    [redirected] = run.trace.of("call.redirected")
    assert redirected.fields["status"] == 302


async def test_a_transfer_that_the_agent_asks_for_is_declined_and_told(tmp_path: Path):
    run, code = await dial("agent_refer", tmp_path, beep({"say": "one two three four"}, {"pause_s": 1.0}))
    assert (code, run.outcome.kind) == (0, "success")
    [asked] = run.trace.of("call.transfer_requested")
    assert asked.fields["target"] == "sip:desk@127.0.0.1:9"
    assert [notify.rpartition("\r\n\r\n")[2] for notify in sent(run, "NOTIFY ")] == [
        "SIP/2.0 100 Trying\r\n",
        "SIP/2.0 603 Decline\r\n",
    ]


async def test_a_digit_by_info_and_the_reason_of_a_bye_are_traced(tmp_path: Path):
    run, code = await dial(
        "agent_info", tmp_path, beep({"say": "one two three four"}, {"listen": {"patience_s": 5.0}})
    )
    assert code == 0
    [digit] = run.trace.of("agent.digit")
    assert (digit.fields["digit"], digit.fields["by"]) == ("7", "INFO")
    ended = run.trace.first("call.ended")
    assert ended is not None
    assert ended.fields["q850"] == 16
    assert ended.fields["reason"] == "normal call clearing: bye (Q.850 16)"
