"""Whole calls on loopback: our dialer, our answering side, real SIP and RTP sockets."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tuner_sipbridge import (
    AuthenticationFailed,
    CallRejected,
    CallTimedOut,
    Dialer,
    LocalProtocolError,
    NetworkError,
    Scenario,
)
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.audio import g711
from tuner_sipbridge.media.engine import DigitReceived
from tuner_sipbridge.sip.timers import Timers

USERNAME, PASSWORD = "probe", "s3cret"
QUICK = Timers(t1=0.02, t2=0.16, t4=0.2)


def scenario(*steps: dict[str, object] | str, **fields: object) -> Scenario:
    given = {"name": "tones", "persona": {"voice": "tone"}, "steps": list(steps), **fields}
    return Scenario.model_validate(given)


def uri_of(answerer: Answerer) -> str:
    host, port = answerer.local
    return f"sip:agent@{host}:{port}"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_challenged_call_is_played_recorded_and_hung_up(algorithm):
    async with (
        Answerer(echo, port=0, username=USERNAME, password=PASSWORD, algorithm=algorithm) as answerer,
        Dialer(username=USERNAME, password=PASSWORD) as dialer,
    ):
        run = await dialer.run(uri_of(answerer), scenario({"say": "one two"}, {"pause_s": 0.3}))
    assert run.outcome.kind == "success", run.outcome.detail
    assert run.measures.signalling.challenges == 1
    assert run.measures.signalling.setup_time_s is not None
    assert run.recording is not None
    caller, agent = (g711.decode(side, "PCMU") for side in (run.recording.caller, run.recording.agent))
    assert np.abs(caller).max() > 3000
    assert np.abs(agent).max() > 3000
    assert run.statistics.lost == 0
    assert [event.fields["by"] for event in run.trace.of("call.ended")] == ["caller"]


async def test_no_credential_and_no_digest_response_is_in_the_trace(tmp_path):
    async with (
        Answerer(echo, port=0, username=USERNAME, password=PASSWORD) as answerer,
        Dialer(username=USERNAME, password=PASSWORD) as dialer,
    ):
        run = await dialer.run(uri_of(answerer), scenario({"say": "one"}))
    trace, _ = run.write(tmp_path)
    text = trace.read_text()
    assert PASSWORD not in text
    assert f'username=\\"{USERNAME}\\"' not in text
    assert "Proxy-Authorization" in text


async def test_agent_learns_call_id_and_headers_and_who_calls():
    seen: list[tuple[str, str, str, str]] = []

    async def note(line: Line) -> None:
        seen.append((line.sip_call_id, line.headers["x-correlation-id"], line.headers["x-cid"], line.called))

    async with Answerer(note, port=0) as answerer, Dialer() as dialer:
        target = uri_of(answerer).replace("agent@", "front-desk@")
        async with dialer.dial(target, sip_call_id="my-own-id", correlation_id="c" * 32) as call:
            await call.ended()
    assert seen == [("my-own-id", "c" * 32, "my-own-id", "front-desk")]


async def test_wrong_password_is_told_apart_from_no_password():
    async with Answerer(echo, port=0, username=USERNAME, password=PASSWORD) as answerer:
        async with Dialer(username=USERNAME, password="wrong") as dialer:
            with pytest.raises(AuthenticationFailed, match=r"again after credentials were sent") as wrong:
                async with dialer.dial(uri_of(answerer)):
                    pass
        async with Dialer() as dialer:
            with pytest.raises(AuthenticationFailed) as none:
                async with dialer.dial(uri_of(answerer)):
                    pass
    assert str(wrong.value) != str(none.value)
    assert "wrong" not in str(wrong.value).split()


async def test_busy_agent_is_a_rejected_call():
    async with Answerer(echo, port=0, pick="busy") as answerer, Dialer() as dialer:
        with pytest.raises(CallRejected) as rejected:
            async with dialer.dial(uri_of(answerer)):
                pass
        run = await dialer.run(uri_of(answerer), scenario({"say": "one"}))
    assert rejected.value.status == 486
    assert run.outcome.kind == "agent_error"


async def test_call_that_is_not_picked_up_is_cancelled():
    async with Answerer(echo, port=0, pick="ring") as answerer, Dialer() as dialer:
        with pytest.raises(CallTimedOut) as timed_out:
            async with dialer.dial(uri_of(answerer), ring_timeout=0.5):
                pass
        run = await dialer.run(uri_of(answerer), scenario({"say": "one"}), ring_timeout=0.5)
    assert timed_out.value.stage == "ringing"
    assert run.outcome.kind == "agent_error"
    assert [event.fields["summary"] for event in run.trace.of("sip.sent")][1].startswith("CANCEL ")


async def test_silent_host_is_given_up_after_timer_b():
    async with Dialer(timers=QUICK) as dialer:
        run = await dialer.run("sip:agent@127.0.0.1:9", scenario({"say": "one"}))
    assert run.outcome.kind == "upstream_error"
    assert run.measures.signalling.retransmissions >= 5


async def test_agent_that_hangs_up_early_is_told():
    async def brief(line: Line) -> None:
        await asyncio.sleep(0.3)

    async with Answerer(brief, port=0) as answerer, Dialer() as dialer:
        run = await dialer.run(uri_of(answerer), scenario({"say": "one"}, "listen", {"say": "two"}))
    assert run.outcome.kind == "agent_error"
    assert "hung up" in run.outcome.detail


async def test_silent_agent_is_given_up_and_hung_up_on():
    ended: list[str] = []

    async def deaf(line: Line) -> None:
        ended.append(await line.ended())

    async with Answerer(deaf, port=0) as answerer, Dialer() as dialer:
        run = await dialer.run(uri_of(answerer), scenario("listen", {"say": "one"}, patience_s=0.5))
    assert run.outcome.kind == "agent_error"
    assert "said nothing" in run.outcome.detail
    assert ended == ["caller"]


async def test_digits_arrive_once_each():
    digits: list[str] = []

    async def listen(line: Line) -> None:
        async for event in line.stream.events():
            if isinstance(event, DigitReceived):
                digits.append(event.digit)

    async with Answerer(listen, port=0) as answerer, Dialer() as dialer:
        run = await dialer.run(uri_of(answerer), scenario({"dtmf": "4227#"}, {"pause_s": 0.2}))
    assert run.outcome.kind == "success", run.outcome.detail
    assert "".join(digits) == "4227#"


async def test_agent_that_raises_ends_its_call_only():
    served: list[str] = []

    async def sometimes(line: Line) -> None:
        served.append(line.called)
        if line.called == "bad":
            raise RuntimeError("a bug in the agent")
        await line.ended()

    async with Answerer(sometimes, port=0) as answerer, Dialer() as dialer:
        bad, good = await asyncio.gather(
            *(
                dialer.run(uri_of(answerer).replace("agent@", f"{name}@"), scenario({"say": "one two three"}))
                for name in ("bad", "good")
            )
        )
    assert sorted(served) == ["bad", "good"]
    assert (bad.outcome.kind, good.outcome.kind) == ("agent_error", "success")


async def test_twenty_calls_at_once_each_hear_their_own_echo():
    async with Answerer(echo, port=0, username=USERNAME, password=PASSWORD) as answerer:
        async with Dialer(username=USERNAME, password=PASSWORD) as dialer:
            runs = await asyncio.gather(
                *(
                    dialer.run(uri_of(answerer), scenario({"say": "one two"}, {"pause_s": 0.4}))
                    for _ in range(20)
                )
            )
    assert [run.outcome.detail for run in runs if run.outcome.kind != "success"] == []
    assert len({run.sip_call_id for run in runs}) == 20
    for run in runs:
        assert run.recording is not None
        assert np.abs(g711.decode(run.recording.agent, "PCMU")).max() > 3000


async def test_leaving_a_dial_by_cancellation_hangs_up():
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def wait(line: Line) -> None:
        ended.put_nowait(await line.ended())

    async with Answerer(wait, port=0) as answerer, Dialer() as dialer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), dialer.dial(uri_of(answerer)) as call:
                await call.ended()
        assert await asyncio.wait_for(ended.get(), 5) == "caller"


@pytest.mark.parametrize("uri", ["", "agent@host", "http://host", "sip:", "sip:a@host:99999"])
async def test_what_is_no_sip_uri_is_refused_before_anything_is_sent(uri):
    async with Dialer() as dialer:
        with pytest.raises(LocalProtocolError):
            async with dialer.dial(uri):
                pass


async def test_unknown_host_is_told():
    async with Dialer() as dialer:
        with pytest.raises(NetworkError, match=r"nowhere\.invalid"):
            async with dialer.dial("sip:agent@nowhere.invalid"):
                pass


async def test_header_that_is_ours_to_write_is_refused():
    async with Dialer() as dialer:
        with pytest.raises(LocalProtocolError, match="Via"):
            async with dialer.dial("sip:agent@127.0.0.1:9", headers={"Via": "x"}):
                pass
