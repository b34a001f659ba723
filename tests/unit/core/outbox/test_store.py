"""The outbox with the time as an argument; processes are stood in for by holders, which is what tells them apart."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from tuner_core.errors import OutboxError
from tuner_core.outbox import KEEP_SETTLED_S, LEASE_S, Outbox
from tuner_core.outbox.parcels import Destination, Parcel

API = "https://api.example"
TO = Destination(API, 1, "agent")
T0 = 1_790_000_000.0


def put(box: Outbox, call_id: str = "c-1", body: bytes = b"{}", now: float = T0) -> Parcel:
    parcel = box.put(TO, call_id, body, repairs=["one"], now=now).parcel
    assert parcel is not None
    return parcel


def claim(box: Outbox, now: float = T0, *, hurry: bool = False) -> list[str]:
    return [parcel.call_id for parcel in box.claim(API, 1, now=now, limit=10, hurry=hurry)]


def test_what_is_stored_is_there_after_the_file_was_opened_anew(path: Path) -> None:
    first = Outbox(path)
    put(first, body=b'{"call_id": "c-1"}')
    first.close()
    again = Outbox(path)
    [parcel] = again.claim(API, 1, now=T0, limit=10)
    assert (parcel.body, parcel.repairs, parcel.to, parcel.attempts) == (
        b'{"call_id": "c-1"}',
        ("one",),
        TO,
        2,
    )
    again.close()


def test_two_processes_never_have_one_record(box: Outbox, neighbour: Outbox) -> None:
    put(box)
    assert claim(neighbour) == []
    assert claim(neighbour, T0 + LEASE_S - 1, hurry=True) == []


def test_a_lease_that_expired_is_taken_over_and_the_old_holder_learns_it(
    box: Outbox, neighbour: Outbox
) -> None:
    parcel = put(box)
    assert claim(neighbour, T0 + LEASE_S + 1) == ["c-1"]
    assert box.renew(parcel, now=T0 + LEASE_S + 2) is False


def test_a_renewed_lease_lasts_from_its_renewal(box: Outbox, neighbour: Outbox) -> None:
    parcel = put(box)
    assert box.renew(parcel, now=T0 + 50)
    assert claim(neighbour, T0 + LEASE_S + 1) == []


def test_the_lease_of_a_process_that_is_gone_is_free_at_once(path: Path, box: Outbox) -> None:
    child = os.fork()
    if child == 0:
        other = Outbox(path)
        other.put(TO, "of the dead", b"{}", now=T0)
        os._exit(9)
    os.waitpid(child, 0)
    assert claim(box) == ["of the dead"]


def test_a_forked_child_is_another_holder_and_leaves_its_parents_alone(path: Path, box: Outbox) -> None:
    parcel = put(box, "of the parent")
    child = os.fork()
    if child == 0:
        claimed = claim(box, T0 + 1)
        box.put(TO, "of the child", b"{}", now=T0)
        os._exit(0 if claimed == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert box.renew(parcel, now=T0 + 2)
    assert claim(box, T0 + 2) == ["of the child"]


def test_a_lease_from_before_the_clock_was_set_back_does_not_hold_for_ever(
    box: Outbox, neighbour: Outbox
) -> None:
    put(box, now=T0 + 1e6)
    assert claim(neighbour, T0) == ["c-1"]


def test_a_postponed_record_waits_its_turn_unless_in_a_hurry(box: Outbox, neighbour: Outbox) -> None:
    box.postpone(put(box), until=T0 + 100, detail="503")
    assert neighbour.next_due(API, 1) == T0 + 100
    assert claim(neighbour, T0 + 99) == []
    assert claim(neighbour, T0 + 99, hurry=True) == ["c-1"]


def test_a_try_that_was_broken_off_keeps_the_reason_of_the_one_before(box: Outbox) -> None:
    parcel = put(box)
    box.postpone(parcel, until=0, detail="503 said the API")
    claim(box)
    box.postpone(parcel, until=0, detail="")
    assert [entry.detail for entry in box.entries()] == ["503 said the API"]


def test_records_due_longest_come_first_and_only_for_a_key_that_fits(box: Outbox, neighbour: Outbox) -> None:
    for call_id, until in (("late", 30), ("early", 10), ("middle", 20)):
        box.postpone(put(box, call_id), until=T0 + until, detail="")
    assert neighbour.claim(API, 2, now=T0 + 60, limit=10) == []
    assert neighbour.claim("https://other.example", 1, now=T0 + 60, limit=10) == []
    assert claim(neighbour, T0 + 60) == ["early", "middle", "late"]


def test_a_call_handed_over_twice_is_one_record(box: Outbox, neighbour: Outbox) -> None:
    parcel = put(box)
    again = neighbour.put(TO, "c-1", b"{}", now=T0 + 1)
    assert (again.state, again.parcel) == ("pending", None)
    box.mark_delivered(parcel, tuner_id=5, is_new=True, now=T0 + 2)
    late = neighbour.put(TO, "c-1", b"{}", now=T0 + 3)
    assert (late.state, late.parcel, late.tuner_id) == ("delivered", None, 5)
    assert box.status().accepted == 1


def test_a_record_that_waits_takes_the_newer_body(box: Outbox) -> None:
    box.postpone(put(box, body=b"old"), until=T0 + 100, detail="")
    assert put(box, body=b"new", now=T0 + 1).body == b"new"
    assert box.status().accepted == 1


def test_one_call_id_at_two_agents_is_two_records(box: Outbox) -> None:
    put(box)
    assert box.put(Destination(API, 1, "other agent"), "c-1", b"{}", now=T0).parcel is not None
    assert box.status().accepted == 2


def test_the_account_balances_through_every_change(box: Outbox) -> None:
    parcels = [put(box, f"c-{n}") for n in range(4)]
    box.mark_delivered(parcels[0], tuner_id=1, is_new=True, now=T0)
    box.mark_refused(parcels[1], detail="422", now=T0)
    box.postpone(parcels[2], until=T0 + 9, detail="503")
    status = box.status()
    assert (status.accepted, status.delivered, status.pending, status.refused, status.dropped) == (
        4,
        1,
        2,
        1,
        0,
    )
    assert (status.sending, status.oldest_pending_at) == (1, T0)
    box.tidy(now=T0 + KEEP_SETTLED_S + 1)
    assert [entry.state for entry in box.entries()] == ["pending", "pending", "refused"]
    assert box.status() == status
    assert box.retry() == 1
    status = box.status()
    assert (status.accepted, status.pending, status.refused) == (4, 3, 0)


def test_a_refused_record_keeps_its_body_for_another_try(box: Outbox) -> None:
    box.mark_refused(put(box, body=b"kept"), detail="401: check the key", now=T0)
    [entry] = box.entries(state="refused")
    assert (entry.detail, entry.size) == ("401: check the key", 4)
    assert claim(box, hurry=True) == []
    assert box.retry("c-1") == 1
    [parcel] = box.claim(API, 1, now=T0, limit=1)
    assert parcel.body == b"kept"


def test_nothing_of_a_delivered_call_stays_on_disk(path: Path) -> None:
    box = Outbox(path)
    box.mark_delivered(put(box, body=b"swordfish" * 1000), tuner_id=1, is_new=True, now=T0)
    box.close()
    left = b"".join(file.read_bytes() for file in path.parent.rglob("*") if file.is_file())
    assert b"swordfish" not in left


def test_only_its_owner_can_read_the_outbox(box: Outbox, path: Path) -> None:
    put(box)
    for file in path.parent.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_holders_leave_no_files_behind(path: Path) -> None:
    box = Outbox(path)
    box.close()
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == [path.name]
    assert list(Path(f"{path}.holders").iterdir()) == []


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be one" * 100, None])
def test_a_file_that_is_no_outbox_is_a_clear_error_and_stays_as_it_is(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "other"
    if content is None:
        with sqlite3.connect(file) as db:
            db.execute("CREATE TABLE theirs (x)")
    else:
        file.write_bytes(content)
    with pytest.raises(OutboxError, match="other"):
        Outbox(file)
    if content is not None:
        assert file.read_bytes() == content


def test_an_outbox_of_a_later_version_is_left_alone(path: Path) -> None:
    Outbox(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(OutboxError, match="later version"):
        Outbox(path)


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match="outbox"):
        Outbox(tmp_path / "file" / "outbox")


def test_a_closed_outbox_says_so(path: Path) -> None:
    box = Outbox(path)
    box.close()
    with pytest.raises(OutboxError, match="closed"):
        box.status()


def test_an_outbox_in_memory_does_everything_but_last() -> None:
    box = Outbox(None)
    assert box.durable is False
    box.mark_delivered(put(box), tuner_id=1, is_new=True, now=T0)
    assert box.status().delivered == 1
    box.close()
