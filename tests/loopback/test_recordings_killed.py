"""Processes killed between the delivery of a call and the end of its upload, and while a record waits for a URL."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tuner_core import Delivery, TunerConfig
from tuner_core.testing import HANG, ScriptedStorage, ScriptedTuner

AGENT = """
import asyncio, sys, time
from tuner_core import CallRecord, Delivery
from tuner_core.recordings import Recording, send

RECORD = CallRecord(call_id="c-81", call_type="phone_call", start_timestamp=time.time(), end_timestamp=time.time())

async def upload_nothing(*arguments):
    print("ready", flush=True)
    await asyncio.sleep(60)

async def hang():
    print("ready", flush=True)
    await asyncio.sleep(60)

async def main(what, path=""):
    delivery = Delivery()
    if what == "before":
        send.upload_once = upload_nothing
    if what in ("before", "during"):
        print((await delivery.deliver(RECORD, recording=Recording(path), deadline_s=60)).recording, flush=True)
    elif what == "late":
        await delivery.deliver(RECORD, recording_url=hang, url_wait_s=60, deadline_s=60)

asyncio.run(main(*sys.argv[1:]))
"""


class Machine:
    """One machine on which an agent is killed; this process is the next one to use its outbox."""

    def __init__(self, tuner: ScriptedTuner, folder: Path) -> None:
        self.sound = folder / "c-81.wav"
        self.sound.write_bytes(bytes(range(256)) * 40_000)
        self.config = TunerConfig(
            api_key="tr_api_k",
            workspace_id=1,
            agent_id="a",
            base_url=tuner.base_url,
            outbox=folder / "outbox",
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = {
            **os.environ,
            "TUNER_API_KEY": "tr_api_k",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "a",
            "TUNER_BASE_URL": self.config.base_url,
            "TUNER_OUTBOX": str(self.config.outbox_path),
        }
        return subprocess.Popen(
            [sys.executable, "-c", AGENT, *arguments], env=environment, stdout=subprocess.PIPE, text=True
        )

    def drained(self, within_s: float = 20.0) -> bool:
        with Delivery(self.config) as delivery:
            return delivery.drain_sync(deadline_s=within_s) is not None


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("moment", ["before", "during"])
def test_the_next_process_finishes_an_upload_once(moment: str, tmp_path: Path) -> None:
    script = [HANG] if moment == "during" else []
    with ScriptedStorage(*script) as storage, ScriptedTuner(recordings=storage) as tuner:
        machine = Machine(tuner, tmp_path)
        agent = machine.start(moment, str(machine.sound))
        if moment == "during":
            assert storage.wait_for_uploads(1)
        else:
            assert agent.stdout is not None
            assert agent.stdout.readline() == "ready\n"
        kill(agent)
        assert machine.drained()
    assert storage.stored == {"c-81": hashlib.sha256(machine.sound.read_bytes()).hexdigest()}
    assert storage.times_stored == {"c-81": 1}
    assert len(tuner.received) == 1


def test_a_record_that_waits_for_a_url_is_sent_by_nobody_else_until_its_process_is_gone(
    tmp_path: Path,
) -> None:
    with ScriptedTuner() as tuner:
        machine = Machine(tuner, tmp_path)
        agent = machine.start("late")
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
        assert not machine.drained(0.5)
        assert tuner.received == []
        kill(agent)
        assert machine.drained()
    [posted] = tuner.received
    assert posted.body["recording_url"] == "pending"
