"""Recordings that follow their calls: a real outbox, a real Create Call, and a storage as strict as S3."""

import asyncio
import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tuner_core import CallRecord, Delivery, TunerConfig
from tuner_core.http import RetryPolicy
from tuner_core.outbox import Outbox
from tuner_core.outbox.uploads import UploadEntry
from tuner_core.recordings import Recording
from tuner_core.recordings.tries import NO_TARGET
from tuner_core.testing import (
    EXPIRED,
    HALF,
    HANG,
    RESET,
    TAKE_AND_RESET,
    Answer,
    ScriptedStorage,
    ScriptedTuner,
)

QUICK = RetryPolicy(max_attempts=4, base_s=0.01, cap_s=0.05)
SOUND = bytes(range(256)) * 400
Start = Callable[..., Delivery]


def record(call_id: str = "c-81", **fields: Any) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        call_type="phone_call",
        start_timestamp=1_790_000_000,
        end_timestamp=1_790_000_042,
        **fields,
    )


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "+14155550123.wav"
    path.write_bytes(SOUND)
    return path


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@pytest.fixture
def start(outbox: Path) -> Iterator[Start]:
    """Makes deliveries to a server; they are closed in the end."""
    with ExitStack() as stack:

        def make(tuner: ScriptedTuner) -> Delivery:
            config = TunerConfig(
                api_key="tr_api_k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=outbox
            )
            delivery = Delivery(config, retry=QUICK, timeout_s=5.0)
            stack.callback(delivery.close, deadline_s=0)
            return delivery

        yield make


def uploads(path: Path) -> list[UploadEntry]:
    box = Outbox(path)
    try:
        return box.uploads.entries()
    finally:
        box.close()


async def test_a_recording_follows_its_call(start: Start, sound: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        outcome = await start(tuner).deliver(record(), recording=Recording(sound, caller_channel=1))
    assert (outcome.state, outcome.recording, outcome.recording_detail) == ("delivered", "uploaded", "")
    assert storage.stored == {"c-81": hashlib.sha256(SOUND).hexdigest()}
    [posted] = tuner.received
    assert posted.body["recording_file_extension"] == "wav"
    assert posted.body["recording_s3_multi_channel"] is True
    assert posted.body["recording_s3_caller_channel"] == 1


def test_it_does_so_without_an_event_loop_and_leaves_nothing_when_asked(start: Start, sound: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        outcome = start(tuner).deliver_sync(
            record().model_dump(exclude_none=True), recording=Recording(sound, delete_after=True)
        )
    assert outcome.recording == "uploaded"
    assert not sound.exists()


def test_a_recording_stays_where_it_is_unless_asked(start: Start, sound: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        start(tuner).deliver_sync(record(), recording=Recording(sound))
    assert sound.read_bytes() == SOUND


@pytest.mark.parametrize(
    "step", [503, 500, 408, RESET, TAKE_AND_RESET, Answer(400, "<Code>RequestTimeout</Code>")]
)
async def test_what_may_pass_is_tried_again(step: Any, start: Start, sound: Path) -> None:
    with ScriptedStorage(step, step) as storage, ScriptedTuner(recordings=storage) as tuner:
        outcome = await start(tuner).deliver(record(), recording=Recording(sound))
    assert outcome.recording == "uploaded"
    assert storage.begun == 3
    assert storage.stored["c-81"] == hashlib.sha256(SOUND).hexdigest()
    assert tuner.stored == {"c-81": 1}


async def test_another_target_is_asked_for_by_posting_the_same_record(start: Start, sound: Path) -> None:
    with ScriptedStorage(EXPIRED) as storage, ScriptedTuner(recordings=storage) as tuner:
        outcome = await start(tuner).deliver(record(), recording=Recording(sound))
    assert outcome.recording == "uploaded"
    first, second = tuner.received
    assert first.body == second.body
    assert (tuner.stored, storage.times_stored) == ({"c-81": 1}, {"c-81": 1})


async def test_a_storage_that_accepts_no_fresh_target_is_given_up(start: Start, sound: Path) -> None:
    with ScriptedStorage(*[EXPIRED] * 9) as storage, ScriptedTuner(recordings=storage) as tuner:
        outcome = await start(tuner).deliver(record(), recording=Recording(sound))
    assert (outcome.state, outcome.recording) == ("delivered", "failed")
    assert "has expired" in outcome.recording_detail
    assert storage.begun == 3


async def test_a_recording_that_is_too_large_costs_no_byte_and_no_call(start: Start, sound: Path) -> None:
    with ScriptedStorage(max_bytes=1000) as storage, ScriptedTuner(recordings=storage) as tuner:
        outcome = await start(tuner).deliver(record(), recording=Recording(sound))
    assert (outcome.state, outcome.recording, storage.begun) == ("delivered", "failed", 0)
    assert (
        outcome.recording_detail == f"the recording has {len(SOUND)} bytes and the upload target takes 1000"
    )


async def test_a_storage_that_takes_less_than_it_said_is_believed(start: Start, sound: Path) -> None:
    too_large = Answer(400, "<Error><Code>EntityTooLarge</Code></Error>")
    with ScriptedStorage(too_large) as storage, ScriptedTuner(recordings=storage) as tuner:
        outcome = await start(tuner).deliver(record(), recording=Recording(sound))
    assert "EntityTooLarge, it is larger" in outcome.recording_detail
    assert storage.begun == 1


async def test_a_file_that_is_gone_or_empty_costs_the_recording_only(start: Start, tmp_path: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        delivery = start(tuner)
        gone = await delivery.deliver(record("gone"), recording=Recording(tmp_path / "gone.wav"))
        empty = await delivery.deliver(record("empty"), recording=Recording("/dev/null", extension="wav"))
        folder = await delivery.deliver(record("folder"), recording=Recording(tmp_path, extension="wav"))
    assert [one.state for one in (gone, empty, folder)] == ["delivered"] * 3
    assert gone.recording_detail == "the recording's file does not exist any more"
    assert empty.recording_detail == "the recording is not a file"
    assert [gone.recording, empty.recording, folder.recording] == ["failed"] * 3


async def test_an_api_that_offers_no_target_is_named(start: Start, sound: Path) -> None:
    unusable = Answer(201, {"id": 1, "is_new": True, "recording_upload": {"url": "https://b.example/"}})
    with ScriptedTuner(201, unusable, 409) as tuner:
        delivery = start(tuner)
        for call_id, words in (("a", NO_TARGET), ("b", "cannot be used: it has no fields"), ("c", NO_TARGET)):
            outcome = await delivery.deliver(record(call_id), recording=Recording(sound))
            assert (outcome.state, outcome.recording) == ("delivered", "failed")
            assert words in outcome.recording_detail


async def test_the_wait_for_an_upload_ends_with_the_deadline(start: Start, sound: Path, outbox: Path) -> None:
    with ScriptedStorage(HANG) as storage, ScriptedTuner(recordings=storage) as tuner:
        delivery = start(tuner)
        await delivery.deliver(
            record("before")
        )  # loads and opens HTTP, which may take longer than this deadline
        outcome = await delivery.deliver(record(), recording=Recording(sound), deadline_s=0.4)
        assert (outcome.state, outcome.recording) == ("delivered", "waiting")
        [entry] = uploads(outbox)
        assert (entry.state, entry.call_id) == ("waiting", "c-81")


async def test_what_one_process_could_not_upload_the_next_one_does(
    start: Start, sound: Path, outbox: Path
) -> None:
    with ScriptedStorage(*[503] * 4) as storage, ScriptedTuner(recordings=storage) as tuner:
        first = start(tuner)
        outcome = await first.deliver(record(), recording=Recording(sound))
        assert outcome.recording == "waiting"
        assert "503 SlowDown" in outcome.recording_detail
        await first.aclose()
        assert (await start(tuner).drain(deadline_s=10)) is not None
        assert storage.times_stored == {"c-81": 1}
        assert len(tuner.received) == 1
    assert [entry.state for entry in uploads(outbox)] == ["uploaded"]


async def test_an_old_target_is_replaced_by_the_next_process(start: Start, sound: Path) -> None:
    with (
        ScriptedStorage(*[503] * 4, lasts_s=0.3) as storage,
        ScriptedTuner(recordings=storage) as tuner,
    ):
        first = start(tuner)
        await first.deliver(record(), recording=Recording(sound))
        await first.aclose()
        await asyncio.sleep(0.35)
        await start(tuner).drain(deadline_s=20)
        assert storage.times_stored == {"c-81": 1}
        assert tuner.stored == {"c-81": 1}


async def test_a_call_that_waits_takes_its_recording_with_it(start: Start, sound: Path, outbox: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(422, recordings=storage) as tuner:
        delivery = start(tuner)
        outcome = await delivery.deliver(record(), recording=Recording(sound))
        assert (outcome.state, outcome.recording) == ("refused", "waiting")
        assert [entry.state for entry in uploads(outbox)] == ["held"]
        box = Outbox(outbox)
        box.retry("c-81")
        box.close()
        await delivery.drain(deadline_s=10)
        assert storage.times_stored == {"c-81": 1}


async def test_handing_over_again_uploads_what_failed_and_nothing_twice(start: Start, sound: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        delivery = start(tuner)
        moved = Recording(sound.with_name("moved.wav"))
        assert (await delivery.deliver(record(), recording=moved)).recording == "failed"
        again = await delivery.deliver(record(), recording=Recording(sound))
        assert (again.state, again.recording) == ("delivered", "uploaded")
        third = await delivery.deliver(record(), recording=Recording(sound))
        assert (third.state, third.recording) == ("delivered", "uploaded")
    assert storage.times_stored == {"c-81": 1}
    assert tuner.stored == {"c-81": 1}


async def test_an_answer_that_was_lost_loses_no_recording(start: Start, sound: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(HALF, TAKE_AND_RESET, recordings=storage) as tuner:
        outcome = await start(tuner).deliver(record(), recording=Recording(sound))
    assert (outcome.state, outcome.recording) == ("delivered", "uploaded")
    assert tuner.stored == {"c-81": 1}


async def test_an_odd_recording_costs_no_call(start: Start) -> None:
    with ScriptedTuner() as tuner:
        outcome = await start(tuner).deliver(record(), recording="c-81.wav")  # type: ignore[arg-type]
    assert (outcome.state, outcome.recording) == ("delivered", "failed")
    assert outcome.recording_detail == "a recording is a Recording, not str"


async def test_a_call_that_is_no_call_has_no_recording(start: Start, sound: Path, outbox: Path) -> None:
    with ScriptedTuner() as tuner:
        outcome = await start(tuner).deliver({"call_type": "phone_call"}, recording=Recording(sound))
    assert (outcome.state, outcome.recording) == ("refused", "failed")
    assert uploads(outbox) == []


async def test_signatures_and_names_of_files_stay_out_of_the_log_and_leave_the_disk(
    start: Start, sound: Path, outbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedStorage(503, EXPIRED) as storage, ScriptedTuner(recordings=storage) as tuner:
        delivery = start(tuner)
        outcome = await delivery.deliver(record(), recording=Recording(sound))
        assert outcome.recording == "uploaded"
        await delivery.aclose()
    said = caplog.text + repr(outcome) + repr(Recording(sound)) + repr(uploads(outbox))
    assert not [word for word in ("x-amz", "policy", "AWS4", "4155550123", "tr_api") if word in said]
    db = sqlite3.connect(outbox)
    assert db.execute("SELECT body, target FROM uploads").fetchall() == [(None, None)]
    db.close()
    left = b"".join(path.read_bytes() for path in outbox.parent.glob("outbox.sqlite3*") if path.is_file())
    assert b"x-amz-signature" not in left
    assert oct(os.stat(outbox).st_mode)[-3:] == "600"


async def test_a_large_recording_holds_no_call_up(start: Start, tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(30 * 1024 * 1024)
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        delivery = start(tuner)
        await delivery.deliver(record("large"), recording=Recording(large), deadline_s=0)
        assert storage.wait_for_uploads(1)
        began = time.monotonic()
        outcome = await delivery.deliver(record("next"))
        assert outcome.state == "delivered"
        assert time.monotonic() - began < 1
        await delivery.drain(deadline_s=20)
    assert "large" in storage.stored
