"""A process killed at the worst moment: its call had ended, and the server sat on the first try."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import OutboxStatus
from tuner_core.testing import HANG, TAKE_AND_RESET, ScriptedTuner, Step

AGENT = """
import asyncio, sys, time
from tuner_core import CallRecord, Delivery, Segment

async def main() -> None:
    delivery = Delivery()
    if len(sys.argv) == 1:
        delivery.start()
        await delivery.drain(deadline_s=20)
        await delivery.aclose()
        return
    record = CallRecord(
        call_id=sys.argv[1], call_type="phone_call", sip_call_id="2jf9wCCX7Ab3kLmNoPqRsTuVwXy",
        start_timestamp=time.time() - 42, end_timestamp=time.time(),
        transcript_with_tool_calls=[Segment.agent("Hello!", start_ms=600, end_ms=1400)],
    )
    await delivery.deliver(record, deadline_s=60)

asyncio.run(main())
"""


class Machine:
    """One machine on which processes come and go; they share its outbox."""

    def __init__(self, tuner: ScriptedTuner, outbox: Path) -> None:
        self.outbox = outbox
        self._environment = {
            **os.environ,
            "TUNER_API_KEY": "tr_api_k",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "front desk",
            "TUNER_BASE_URL": tuner.base_url,
            "TUNER_OUTBOX": str(outbox),
        }

    def start(self, *arguments: str, script: str = AGENT) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", script, *arguments], env=self._environment)

    def account(self) -> OutboxStatus:
        box = Outbox(self.outbox)
        try:
            return box.status()
        finally:
            box.close()


@pytest.mark.parametrize(
    "first_answer", [HANG, TAKE_AND_RESET], ids=["nothing stored", "stored, answer lost"]
)
def test_the_next_start_delivers_exactly_the_record_of_a_killed_process(
    first_answer: Step, tmp_path: Path
) -> None:
    # After the lost answer the server hangs too, so that the process is killed in the middle of a try.
    with ScriptedTuner(first_answer, *([HANG] if first_answer != HANG else [])) as tuner:
        machine = Machine(tuner, tmp_path / "outbox.sqlite3")
        victim = machine.start("c-81")
        assert tuner.wait_for_requests(1 if first_answer == HANG else 2, timeout_s=30)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        left = machine.account()
        assert (left.accepted, left.pending, left.delivered) == (1, 1, 0)

        started = time.monotonic()
        assert machine.start().wait(timeout=30) == 0
        assert time.monotonic() - started < 15, "the lease of the dead process was waited for"
        assert machine.account().delivered == 1
        posts = len(tuner.received)

        assert machine.start().wait(timeout=30) == 0
        assert len(tuner.received) == posts
    assert tuner.stored == {"c-81": 1}
    final = tuner.received[-1]
    assert final.body["sip_call_id"] == "2jf9wCCX7Ab3kLmNoPqRsTuVwXy"
    assert final.body["transcript_with_tool_calls"][0]["text"] == "Hello!"
    assert final.query["agent_remote_identifier"] == "front desk"


def test_a_process_that_ends_right_after_handing_over_loses_nothing(tmp_path: Path) -> None:
    """The mistake of a delivery that is a loose task of the application's loop."""
    script = AGENT.replace("deadline_s=60", "deadline_s=0")
    with ScriptedTuner(503) as tuner:
        machine = Machine(tuner, tmp_path / "outbox.sqlite3")
        machine.start("c-82", script=script).wait(timeout=30)
        assert machine.account().accepted == 1
        assert machine.start().wait(timeout=30) == 0
        assert machine.account().delivered == 1
    assert tuner.stored == {"c-82": 1}
