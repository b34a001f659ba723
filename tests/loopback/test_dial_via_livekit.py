"""`dial --via livekit` from the outside: usage, what is missing, and how its calls are linked."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sipbridge.via_livekit.livekit_api import KEY, SECRET, Answer, LiveKitApi
from tests.unit.sipbridge.via_livekit.memory_room import MemoryRoom
from typer.testing import CliRunner

from tuner_core import AsyncTunerClient, CallRecord, Segment, TunerConfig
from tuner_core.testing import LocalTuner
from tuner_sipbridge.batch import BatchResult, run_batch
from tuner_sipbridge.caller.plan import BatchPlan, Target
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.cli import app
from tuner_sipbridge.link import LinkDesk
from tuner_sipbridge.report.collect import result_of
from tuner_sipbridge.via_livekit.dialer import LiveKitDialer
from tuner_sipbridge.via_livekit.terms import TrunkTerms

ENVIRONMENT = {"LIVEKIT_URL": "http://127.0.0.1:9", "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
CALL_ID = "9f2a7c@198.51.100.7"
SCENARIO = "name: tones\npersona: {voice: tone}\nsteps:\n  - pause_s: 0.01\n"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "tones.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["+15551234567", "--trunk-id=ST_1"], {}, "need LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET"),
        (["+15551234567"], ENVIRONMENT, "needs a trunk of LiveKit's"),
        (["sip:a@edge.example"], ENVIRONMENT, "needs the caller's number (--from)"),
        (["+15551234567", "--trunk-id=ST_1", "--codec=PCMA"], ENVIRONMENT, "--codec does not go with"),
        (["+15551234567", "--trunk-id=ST_1", "--attribute=x"], ENVIRONMENT, "is not NAME=VALUE"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    scenario: Path, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    unset = dict.fromkeys(ENVIRONMENT)
    command = ["dial", *arguments, "--via=livekit", f"--scenario={scenario}"]
    done = CliRunner().invoke(app, command, env={**unset, **environment})
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.output.split())


def test_options_of_livekit_need_it_to_be_named(scenario: Path) -> None:
    done = CliRunner().invoke(app, ["dial", "sip:a@b", "--trunk-id=ST_1", f"--scenario={scenario}"])
    assert (done.exit_code, "--trunk-id is for --via livekit" in done.output) == (2, True)


def test_a_missing_extra_names_itself(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("tuner_sipbridge.via_livekit.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "livekit", None)
    command = ["dial", "+15551234567", "--via=livekit", "--trunk-id=ST_1", f"--scenario={scenario}"]
    done = CliRunner().invoke(app, command, env=ENVIRONMENT)
    assert done.exit_code == 3
    assert "--via livekit needs livekit: pip install 'tuner-sipbridge[livekit]'" in done.output


def test_a_livekit_that_is_not_there_fails_the_call(scenario: Path) -> None:
    command = ["dial", "+15551234567", "--via=livekit", "--trunk-id=ST_1", f"--scenario={scenario}"]
    done = CliRunner().invoke(app, command, env=ENVIRONMENT)
    assert done.exit_code == 1
    assert "the room could not be joined" in done.output
    assert SECRET not in done.output


@pytest.fixture
async def livekit() -> AsyncIterator[LiveKitApi]:
    async with LiveKitApi().serve() as served:
        yield served


async def simulated(
    livekit: LiveKitApi, tuner: LocalTuner, outbox: Path, *, knows_call_id: bool
) -> BatchResult:
    """One call through LiveKit, and what its agent posts about it."""
    room, made = MemoryRoom(), livekit.on_call

    async def on_call(request: Any) -> Answer:
        room.shows(callIDFull=CALL_ID, callStatus="active")
        record = CallRecord(
            call_id="c-1",
            call_type="phone_call",
            start_timestamp=time.time(),
            end_timestamp=time.time() + 1,
            transcript_with_tool_calls=[Segment.user("one", start_ms=0, end_ms=400)],
            sip_call_id=CALL_ID if knows_call_id else None,
            sip_headers=None if knows_call_id else dict(request.headers),
        )
        async with AsyncTunerClient(config) as client:
            await client.create_call(record)
        return await made(request)

    livekit.on_call = on_call
    config = TunerConfig(
        api_key=tuner.api_key,
        workspace_id=tuner.workspace_id,
        agent_id="desk",
        base_url=tuner.base_url,
        outbox=outbox,
    )
    scenario = Scenario.model_validate({"name": "tones", "steps": [{"pause_s": 0.05}]})
    plan = BatchPlan.of([Target(agent="desk", uri="tel:+15551234567")], [(scenario, 1)], name="tones")
    async with (
        LinkDesk(tuner.base_url) as desk,
        LiveKitDialer(livekit.account, TrunkTerms(trunk_id="ST_1"), room=room.at) as dialer,
    ):
        return await run_batch(plan, dialer, environ={}, desk=desk, link_wait_s=3.0, call_ids_of_others=True)


@pytest.mark.parametrize(("knows_call_id", "by"), [(True, "sip_call_id"), (False, "correlation_id")])
async def test_the_call_is_linked_by_livekits_call_id_or_by_our_header(
    livekit: LiveKitApi, tmp_path: Path, knows_call_id: bool, by: str
) -> None:
    with LocalTuner() as tuner:
        batch = await simulated(livekit, tuner, tmp_path / "outbox", knows_call_id=knows_call_id)
    (call,) = result_of(batch).calls
    assert (call.outcome, call.linked, call.linked_by) == ("success", True, by)
    assert call.sip_call_id == CALL_ID
    assert set(call.not_known) == {"SIP messages", "RTP statistics"}
