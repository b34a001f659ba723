"""Files that are damaged, deleted or moved, also while several have them open."""

import os
import sqlite3
from pathlib import Path

import pytest

from tuner_core.errors import OutboxError
from tuner_core.outbox import Outbox
from tuner_core.outbox.opening import DamagedOutbox
from tuner_core.outbox.parcels import Checkpoint, Destination

API = "https://api.example"
TO = Destination(API, 1, "agent")
T0 = 1_790_000_000.0


def put(box: Outbox, call_id: str, size: int = 10) -> None:
    parcel = box.put(TO, call_id, call_id.encode().ljust(size, b"."), now=T0).parcel
    assert parcel is not None
    box.postpone(parcel, until=T0, detail="503")


def fill(box: Outbox, count: int = 200, size: int = 20_000) -> None:
    with box.changing():
        for n in range(count):
            put(box, f"c-{n}", size)
    with box._file.reading() as db:  # pyright: ignore[reportPrivateUsage]
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def scribble(path: Path, start: float, pages: int) -> None:
    """Overwrite pages from a part of the file on."""
    at = int(path.stat().st_size * start) // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(4096 * pages))


def kept(box: Outbox) -> set[str]:
    return {record.call_id for record in box.ledger.records()}


def set_aside(path: Path) -> list[Path]:
    return [file for file in path.parent.glob("*.damaged-*") if not file.name.endswith(("-wal", "-shm"))]


def assert_sound(path: Path) -> None:
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.mark.parametrize(
    "content", [b"no database at all " * 500, b"\x00" * 10_000, b"SQLite format 3\x00" * 300]
)
def test_an_outbox_that_became_garbage_is_set_aside_and_begun_anew(
    content: bytes, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Outbox(path).close()
    path.write_bytes(content)
    box = Outbox(path)
    put(box, "next")
    assert kept(box) == {"next"}
    [aside] = set_aside(path)
    assert aside.read_bytes() == content
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]
    assert aside.name in caplog.text
    box.close()
    assert_sound(path)


def test_a_file_of_somebody_else_is_never_touched(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes " * 1000)
    for _ in range(2):
        with pytest.raises(OutboxError, match="set TUNER_OUTBOX to another file"):
            Outbox(notes)
    assert notes.read_text() == "my notes " * 1000
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_truncated_file_yields_what_is_left_of_it(path: Path) -> None:
    box = Outbox(path)
    fill(box)
    box.close()
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    again = Outbox(path)
    for attempt in range(2):
        try:
            put(again, "next")
            break
        except DamagedOutbox:
            assert attempt == 0
    assert "next" in kept(again)
    assert len(kept(again)) > 50
    again.close()
    assert_sound(path)


def test_damage_in_the_middle_of_an_open_file_costs_only_what_it_hit(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = Outbox(path)
    fill(box)
    box.calls.checkpoint([Checkpoint(TO, "running", ("a", "b"))], now=T0)
    box.close()
    open_one = Outbox(path)
    scribble(path, 0.5, pages=12)
    with pytest.raises(DamagedOutbox):
        list(open_one.ledger.records())
    put(open_one, "next")
    saved = kept(open_one)
    assert "next" in saved
    assert len(saved) > 150
    assert open_one.calls.length(TO, "running") == 2
    status = open_one.status()
    assert (status.accepted, status.pending, status.open_calls) == (len(saved), len(saved), 1)
    assert len(set_aside(path)) == 1
    assert len([entry for entry in caplog.records if entry.levelname == "WARNING"]) == 1
    open_one.close()
    assert_sound(path)


def test_all_who_have_a_damaged_file_open_go_on_with_the_same_one(
    path: Path, box: Outbox, neighbour: Outbox
) -> None:
    fill(box)
    put(neighbour, "of the neighbour")
    with box._file.reading() as db:  # pyright: ignore[reportPrivateUsage]
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    scribble(path, 0.5, pages=12)
    with pytest.raises(DamagedOutbox):
        list(box.ledger.records())
    put(box, "after")
    put(neighbour, "after too")
    assert kept(box) == kept(neighbour) >= {"after", "after too", "of the neighbour"}
    assert box.status() == neighbour.status()
    box.close()
    put(neighbour, "alone")
    neighbour.close()
    assert_sound(path)
    last = Outbox(path)
    assert kept(last) >= {"after", "after too", "alone"}
    last.close()


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal", "-shm")])
def test_a_file_that_is_deleted_under_a_running_process_comes_back_whole(
    suffixes: tuple[str, ...], path: Path, box: Outbox, neighbour: Outbox
) -> None:
    put(box, "before")
    box.calls.checkpoint([Checkpoint(TO, "running", ("a",))], now=T0)
    put(neighbour, "of the neighbour")
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink()
    put(box, "after")
    put(neighbour, "after too")
    box.calls.checkpoint([Checkpoint(TO, "running", ("b",))], now=T0)
    everything = {"before", "of the neighbour", "after", "after too"}
    assert kept(box) == kept(neighbour) == everything
    assert box.calls.length(TO, "running") == 2
    box.close()
    neighbour.close()
    assert_sound(path)
    again = Outbox(path)
    assert kept(again) == everything
    assert again.status().accepted == 4
    again.close()


def test_a_directory_that_is_deleted_comes_back_and_leases_hold(path: Path, box: Outbox) -> None:
    put(box, "before")
    for file in sorted(path.parent.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    path.parent.rmdir()
    leased = box.put(TO, "after", b"{}", now=T0).parcel
    assert leased is not None
    other = Outbox(path)
    assert [parcel.call_id for parcel in other.claim(API, 1, now=T0, limit=10)] == ["before"]
    other.close()


def test_what_memory_held_goes_to_the_disk_but_for_what_is_being_sent(box: Outbox) -> None:
    memory = Outbox(None)
    put(memory, "waits")
    assert memory.put(TO, "is sent", b"{}", now=T0).parcel is not None
    assert box.take_over(memory) == 1
    assert box.take_over(memory) == 0
    assert (kept(box), kept(memory)) == ({"waits"}, {"is sent"})
