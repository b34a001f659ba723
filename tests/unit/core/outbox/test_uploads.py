"""Uploads in the outbox, with the time as an argument."""

from pathlib import Path

import pytest

from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Destination, Parcel
from tuner_core.outbox.uploads import LEASE_S, Upload
from tuner_core.recordings import UploadTarget

API = "https://api.example"
TO = Destination(API, 1, "agent")
T0 = 1_790_000_000.0
TARGET = UploadTarget("https://b.example/", (("key", "k"), ("policy", "5ec4e7")), "audio/wav", 1000)
SOUND = Path("/recordings/c-1.wav")


def put(box: Outbox, call_id: str = "c-1") -> Parcel:
    with box.changing():
        box.uploads.hold(TO, call_id, SOUND, delete_after=True, now=T0)
        parcel = box.put(TO, call_id, b'{"call_id": "c-1"}', now=T0).parcel
    assert parcel is not None
    return parcel


def delivered(box: Outbox, call_id: str = "c-1", target: UploadTarget | None = TARGET) -> Upload:
    parcel = put(box, call_id)
    with box.changing():
        upload = box.uploads.free(TO, call_id, target, body=None, now=T0)
        box.mark_delivered(parcel, tuner_id=1, is_new=True, now=T0)
    assert upload is not None
    return upload


def claim(box: Outbox, now: float = T0, *, hurry: bool = False) -> list[Upload]:
    return box.uploads.claim(API, 1, now=now, limit=10, hurry=hurry)


def state(box: Outbox, call_id: str = "c-1") -> str | None:
    found = box.uploads.state_of(TO, call_id)
    return found[0] if found else None


def test_an_upload_waits_for_its_call(box: Outbox) -> None:
    put(box)
    assert state(box) == "held"
    assert claim(box, T0 + 9999) == []
    assert box.uploads.next_due(API, 1) is None


def test_the_record_that_asks_for_another_target_outlives_the_delivery(box: Outbox) -> None:
    upload = delivered(box)
    assert (upload.path, upload.delete_after, upload.body) == (SOUND, True, b'{"call_id": "c-1"}')
    assert (upload.target, upload.target_at, upload.attempts) == (TARGET, T0, 1)
    assert box.status().delivered == 1
    assert "5ec4e7" not in repr(upload)


def test_two_processes_never_have_one_upload(box: Outbox, neighbour: Outbox) -> None:
    upload = delivered(box)
    assert claim(neighbour, hurry=True) == []
    assert box.uploads.renew(upload, now=T0 + LEASE_S - 1)
    assert claim(neighbour, T0 + LEASE_S + 1) == []
    [taken] = claim(neighbour, T0 + 2 * LEASE_S)
    assert (taken.target, taken.attempts) == (TARGET, 2)
    assert not box.uploads.renew(upload, now=T0 + 2 * LEASE_S)
    box.uploads.settle(upload, "failed", detail="too late to say", now=T0)
    assert state(box) == "waiting"


def test_a_dead_process_holds_nothing(box: Outbox, neighbour: Outbox) -> None:
    delivered(box)
    box.close()
    assert [upload.call_id for upload in claim(neighbour)] == ["c-1"]


def test_a_clock_that_was_set_back_holds_nothing_for_long(box: Outbox, neighbour: Outbox) -> None:
    delivered(box)
    assert [upload.call_id for upload in claim(neighbour, T0 - 86400)] == ["c-1"]


def test_what_failed_waits_its_turn_and_forgets_a_refused_target(box: Outbox, neighbour: Outbox) -> None:
    upload = delivered(box)
    refused = Upload(
        **{name: getattr(upload, name) for name in Upload.__slots__} | {"target": None, "refusals": 1}
    )
    box.uploads.postpone(refused, until=T0 + 30, detail="it has expired")
    assert box.uploads.next_due(API, 1) == T0 + 30
    assert claim(neighbour, T0 + 29) == []
    [again] = claim(neighbour, T0 + 29, hurry=True)
    assert (again.target, again.refusals) == (None, 1)
    neighbour.uploads.aim(again, TARGET, now=T0 + 40)
    neighbour.uploads.postpone(again, until=T0, detail="")


@pytest.mark.parametrize("end", ["uploaded", "failed"])
def test_a_settled_upload_keeps_neither_record_nor_signature(end: str, box: Outbox, path: Path) -> None:
    upload = delivered(box)
    box.uploads.settle(upload, end, detail="why", now=T0 + 1)  # type: ignore[arg-type]
    assert box.uploads.counts() == {"held": 0, "waiting": 0, "uploaded": 0, "failed": 0, end: 1}
    assert claim(box, T0 + 9999, hurry=True) == []
    box.close()
    assert not [file for file in path.parent.iterdir() if file.is_file() and b"5ec4e7" in file.read_bytes()]


def test_settled_uploads_are_forgotten_and_others_are_not(box: Outbox) -> None:
    box.uploads.settle(delivered(box, "done"), "uploaded", detail="", now=T0)
    delivered(box, "waits")
    box.uploads.prune(settled_before=T0 + 1)
    assert [entry.call_id for entry in box.uploads.entries()] == ["waits"]


def test_a_recording_handed_over_again_starts_anew_only_when_it_had_failed(box: Outbox) -> None:
    box.uploads.settle(delivered(box, "failed"), "failed", detail="gone", now=T0)
    box.uploads.settle(delivered(box, "uploaded"), "uploaded", detail="", now=T0)
    for call_id in ("failed", "uploaded"):
        box.uploads.hold(TO, call_id, Path("/elsewhere.wav"), delete_after=False, now=T0)
    assert (state(box, "failed"), state(box, "uploaded")) == ("held", "uploaded")
    upload = box.uploads.free(TO, "failed", None, body=b"anew", now=T0)
    assert upload is not None
    assert (upload.path, upload.body, upload.target) == (Path("/elsewhere.wav"), b"anew", None)


def test_a_call_that_is_purged_takes_its_recording_along(box: Outbox) -> None:
    parcel = put(box)
    box.mark_refused(parcel, detail="", now=T0)
    box.purge("refused", now=T0 + 1)
    assert state(box) is None


def test_memory_hands_over_its_recordings_with_their_calls(box: Outbox) -> None:
    memory = Outbox(None)
    first = put(memory, "waits")
    memory.postpone(first, until=T0, detail="")
    put(memory, "being sent")
    upload = delivered(memory, "delivered")
    memory.uploads.postpone(upload, until=T0, detail="")
    assert box.take_over(memory) == 2
    assert (state(box, "waits"), state(memory, "waits")) == ("held", None)
    assert (state(box, "being sent"), state(memory, "being sent")) == (None, "held")
    assert [one.call_id for one in claim(box)] == ["delivered"]
    assert not memory.holds_something()
    memory.close()
