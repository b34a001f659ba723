"""The journal of running calls, with the time as an argument."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner_core.outbox import Outbox, open_calls
from tuner_core.outbox.open_calls import QUIET_S
from tuner_core.outbox.parcels import Checkpoint, Destination, OpenCall, Parcel, Rebuilt

API = "https://api.example"
TO = Destination(API, 1, "agent")
T0 = 1_790_000_000.0


def note(box: Outbox, *events: str, call_id: str = "c-1", now: float = T0, **facts: object) -> list[str]:
    return box.calls.checkpoint([Checkpoint(TO, call_id, events, facts)], now=now)


def as_told(call: OpenCall) -> Rebuilt:
    return Rebuilt(json.dumps([list(call.events), dict(call.facts)]).encode(), ("cut",))


def in_a_process_that_dies(work: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        work()
        os._exit(9)
    os.waitpid(child, 0)


def claim(box: Outbox, now: float = T0) -> list[Parcel]:
    return box.claim(API, 1, now=now, limit=10)


def bodies(box: Outbox) -> list[object]:
    return [json.loads(parcel.body) for parcel in claim(box)]


def test_a_call_is_open_until_its_record_is_stored(box: Outbox, neighbour: Outbox) -> None:
    note(box, "a")
    note(box, "b", now=T0 + 1)
    [call] = neighbour.calls.listed(now=T0 + 1)
    assert (call.call_id, call.opened_at, call.seen_at, call.abandoned) == ("c-1", T0, T0 + 1, False)
    assert (neighbour.status().open_calls, neighbour.status().accepted) == (1, 0)
    box.put(TO, "c-1", b"{}", now=T0 + 2)
    assert neighbour.calls.listed(now=T0 + 2) == []
    assert neighbour.calls.length(TO, "c-1") == 0
    assert (neighbour.status().open_calls, neighbour.status().accepted) == (0, 1)


def test_the_call_of_a_process_that_lives_is_left_to_it(box: Outbox, neighbour: Outbox) -> None:
    note(box, "a")
    assert neighbour.calls.recover(as_told, now=T0 + 3600) == []


def test_the_call_of_a_dead_process_becomes_a_record_once(path: Path, box: Outbox, neighbour: Outbox) -> None:
    def work() -> None:
        dying = Outbox(path)
        note(dying, "a", "b", call_type="phone_call", identity=None)
        note(dying, "c", call_type="web_call")

    in_a_process_that_dies(work)
    [call] = box.calls.listed(now=T0)
    assert (call.abandoned, call.holder_lives) == (True, False)
    assert box.calls.recover(as_told, now=T0) == ["c-1"]
    assert neighbour.calls.recover(as_told, now=T0) == []
    status = box.status()
    assert (status.accepted, status.pending, status.open_calls) == (1, 1, 0)
    assert bodies(box) == [[["a", "b", "c"], {"call_type": "web_call", "identity": None}]]


def test_many_that_recover_at_once_make_each_record_once(path: Path, box: Outbox) -> None:
    def dying() -> None:
        for n in range(20):
            note(Outbox(path), "a", call_id=f"c-{n}")

    in_a_process_that_dies(dying)
    go, start = os.pipe()
    children: list[int] = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            os.close(start)
            os.read(go, 1)
            os._exit(len(Outbox(path).calls.recover(as_told, now=T0)))
        children.append(child)
    os.close(start)
    done = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(go)
    assert sum(done) == 20
    assert (box.status().accepted, box.status().pending) == (20, 20)


def test_a_call_that_nobody_tells_of_any_more_becomes_a_record(box: Outbox) -> None:
    note(box, "a")
    assert box.calls.recover(as_told, now=T0 + QUIET_S) == []
    assert box.calls.recover(as_told, now=T0 + QUIET_S + 1) == ["c-1"]


def test_the_whole_record_replaces_the_one_that_was_cut_short(path: Path, box: Outbox) -> None:
    in_a_process_that_dies(lambda: [note(Outbox(path), "a"), None][1])
    box.calls.recover(as_told, now=T0)
    box.put(TO, "c-1", b'"whole"', now=T0)
    box.close()
    again = Outbox(path)
    assert bodies(again) == ["whole"]
    assert again.status().accepted == 1
    assert note(again, "late") == []
    assert again.status().open_calls == 0
    again.close()


def test_the_whole_record_waits_behind_the_try_with_the_cut_one(
    path: Path, box: Outbox, neighbour: Outbox
) -> None:
    in_a_process_that_dies(lambda: [note(Outbox(path), "a"), None][1])
    box.calls.recover(as_told, now=T0)
    [sent] = claim(box)
    stored = neighbour.put(TO, "c-1", b'"whole"', now=T0)
    assert (stored.state, stored.parcel) == ("pending", None)
    box.postpone(sent, until=T0, detail="503")
    assert bodies(neighbour) == ["whole"]


def test_a_process_that_was_only_thought_dead_goes_on_where_it_was(box: Outbox) -> None:
    note(box, "a")
    late = T0 + QUIET_S + 1
    box.calls.recover(as_told, now=late)
    note(box, "b", now=late)
    assert box.status().open_calls == 1
    box.calls.recover(as_told, now=late + QUIET_S + 1)
    assert (box.status().accepted, box.status().pending) == (1, 1)
    assert bodies(box) == [[["a", "b"], {}]]


def test_a_call_that_was_delivered_cut_short_is_not_made_again(box: Outbox) -> None:
    note(box, "a")
    box.calls.recover(as_told, now=T0 + QUIET_S + 1)
    [parcel] = claim(box, T0 + QUIET_S + 1)
    box.mark_delivered(parcel, tuner_id=1, is_new=True, now=T0)
    note(box, "b")
    assert box.status().open_calls == 0
    assert box.calls.length(TO, "c-1") == 0


def test_a_journal_that_no_record_can_be_made_of_is_kept_as_refused(box: Outbox) -> None:
    note(box, "a")
    box.calls.recover(lambda _: Rebuilt(b'{"events": []}', problem="no sense in it"), now=T0 + QUIET_S + 1)
    [entry] = box.entries(state="refused")
    assert (entry.detail, entry.size) == ("no sense in it", 14)


def test_a_journal_without_end_is_cut(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_calls, "MAX_JOURNAL_BYTES", 10)
    assert note(box, "x" * 11) == []
    assert note(box, "y") == ["c-1"]
    assert box.calls.length(TO, "c-1") == 1


def test_a_checkpoint_costs_the_same_late_in_a_long_call(box: Outbox) -> None:
    box.calls.checkpoint([Checkpoint(TO, "c-1", ("x" * 100,) * 20_000)], now=T0)
    with box._file.reading() as db:  # pyright: ignore[reportPrivateUsage]
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        note(box, "one more")
        db.set_trace_callback(None)
        plans = [
            str(row["detail"])
            for statement in statements
            if statement.startswith(("SELECT", "INSERT", "UPDATE"))
            for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert len(statements) < 10
    assert [plan for plan in plans if plan.startswith("SCAN")] == []
