"""What an outbox keeps, what goes first, and that the account balances at every moment."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner_core.outbox import KEEP_SETTLED_S, LEASE_S, Bounds, Outbox
from tuner_core.outbox.parcels import Checkpoint, Destination, Parcel

API = "https://api.example"
TO = Destination(API, 1, "agent")
T0 = 1_790_000_000.0
MIB = 1024 * 1024


@pytest.fixture
def tight(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path, Bounds(records=3, bytes=10_000, age_s=100.0))
    yield opened
    opened.close()


def put(box: Outbox, call_id: str, size: int = 10, *, now: float = T0) -> Parcel:
    parcel = box.put(TO, call_id, b"x" * size, now=now).parcel
    assert parcel is not None
    return parcel


def wait(box: Outbox, call_id: str, size: int = 10, *, now: float = T0) -> None:
    """A record that is pending and not being sent."""
    box.postpone(put(box, call_id, size, now=now), until=now, detail="503")


def refuse(box: Outbox, call_id: str, size: int = 10) -> None:
    box.mark_refused(put(box, call_id, size), detail="422", now=T0)


def kept(box: Outbox) -> set[str]:
    return {entry.call_id for entry in box.entries() if entry.state in {"pending", "refused"}}


def assert_balanced(box: Outbox) -> None:
    status = box.status()
    assert status.accepted == status.delivered + status.pending + status.refused + status.dropped
    rows = [entry.state for entry in box.entries(limit=10_000)]
    assert (rows.count("pending"), rows.count("refused")) == (status.pending, status.refused)


def test_the_oldest_refused_go_first_and_then_the_oldest_pending(tight: Outbox) -> None:
    wait(tight, "p-1")
    refuse(tight, "r-1")
    refuse(tight, "r-2")
    wait(tight, "p-2")
    assert kept(tight) == {"p-1", "r-2", "p-2"}
    wait(tight, "p-3")
    assert kept(tight) == {"p-1", "p-2", "p-3"}
    wait(tight, "p-4")
    assert kept(tight) == {"p-2", "p-3", "p-4"}
    assert tight.status().dropped == 3
    assert_balanced(tight)


def test_what_is_dropped_is_counted_and_its_row_says_why(tight: Outbox) -> None:
    for n in range(4):
        wait(tight, f"p-{n}")
    [entry] = tight.entries(state="dropped")
    assert (entry.call_id, entry.size, entry.detail) == ("p-0", 0, "dropped: the outbox was full")
    tight.tidy(now=T0 + 50)
    assert len(tight.entries(state="dropped")) == 1
    tight.tidy(now=T0 + KEEP_SETTLED_S + 1)
    assert "p-0" not in {entry.call_id for entry in tight.entries()}
    assert tight.status().accepted == 4
    assert_balanced(tight)


def test_bytes_are_bounded_too_and_the_newest_record_is_never_dropped(tight: Outbox) -> None:
    wait(tight, "small", 3_000)
    assert tight.put(TO, "large", b"x" * 20_000, now=T0).dropped == 1
    assert kept(tight) == {"large"}


def test_the_journals_of_running_calls_count(tight: Outbox) -> None:
    wait(tight, "p-1", 3_000)
    tight.calls.checkpoint([Checkpoint(TO, "open", ("x" * 6_000,))], now=T0)
    wait(tight, "p-2", 3_000)
    assert kept(tight) == {"p-2"}
    assert tight.status().open_calls == 1


def test_a_record_that_is_being_sent_is_not_dropped(tight: Outbox) -> None:
    sent = put(tight, "sent")
    for n in range(4):
        wait(tight, f"p-{n}")
    assert "sent" in kept(tight)
    tight.mark_delivered(sent, tuner_id=1, is_new=True, now=T0)
    assert_balanced(tight)


def test_an_old_record_is_dropped_unless_it_is_being_sent(tight: Outbox) -> None:
    wait(tight, "old")
    refuse(tight, "old and refused")
    put(tight, "being sent")
    assert tight.tidy(now=T0 + 100) == 0
    assert tight.tidy(now=T0 + 101) == 2
    assert kept(tight) == {"being sent"}
    assert {entry.detail for entry in tight.entries(state="dropped")} == {
        "dropped: not delivered within 0.00115741 days"
    }


def test_a_call_that_was_dropped_is_taken_when_it_is_handed_over_again(tight: Outbox) -> None:
    for n in range(4):
        wait(tight, f"p-{n}")
    wait(tight, "p-0")
    assert kept(tight) == {"p-2", "p-3", "p-0"}
    assert tight.status().accepted == 4
    assert_balanced(tight)


def test_the_file_shrinks_when_what_it_held_is_gone(path: Path) -> None:
    box = Outbox(path)
    parcels = [box.put(TO, f"c-{n}", os.urandom(100_000), now=T0).parcel for n in range(100)]
    for parcel in parcels:
        assert parcel is not None
        box.mark_delivered(parcel, tuner_id=1, is_new=True, now=T0)
    for _ in range(3):
        box.tidy(now=T0)
    box.close()
    assert path.stat().st_size < 3 * MIB
    assert not path.with_name(f"{path.name}-wal").exists()


def test_the_account_balances_whatever_happens(path: Path) -> None:
    chance = random.Random(7)
    boxes = [Outbox(path, Bounds(records=20, bytes=20_000, age_s=500.0)) for _ in range(2)]
    parcels: list[tuple[Outbox, Parcel]] = []
    now = T0
    for _ in range(600):
        now += chance.random() * 10
        box = chance.choice(boxes)
        match chance.randrange(8):
            case 0 | 1 | 2:
                call_id = f"c-{chance.randrange(200)}"
                stored = box.put(TO, call_id, b"x" * chance.randrange(2_000), now=now)
                parcels += [(box, stored.parcel)] if stored.parcel else []
            case 3:
                parcels += [(box, parcel) for parcel in box.claim(API, 1, now=now, limit=5, hurry=True)]
            case 4 | 5 if parcels:
                owner, parcel = parcels.pop(chance.randrange(len(parcels)))
                settle = chance.choice([0, 1, 2])
                if settle == 0:
                    owner.mark_delivered(parcel, tuner_id=1, is_new=True, now=now)
                elif settle == 1:
                    owner.mark_refused(parcel, detail="422", now=now)
                else:
                    owner.postpone(parcel, until=now + LEASE_S, detail="503")
            case 6:
                box.retry()
            case _:
                box.tidy(now=now)
        assert_balanced(box)
    status = boxes[0].status()
    assert status.dropped > 0
    assert status.delivered > 0
    for box in boxes:
        box.close()
