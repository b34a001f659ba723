"""Files of earlier and later versions; version-1.sqlite3 was written by the code of that version."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from tuner_core.errors import OutboxError
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Checkpoint, Destination
from tuner_core.outbox.schema import SCHEMA_VERSION

T0 = 1_790_000_000.0
TO = Destination("https://api.example", 1, "agent")
VERSION_1 = Path(__file__).parents[3] / "data" / "outbox" / "version-1.sqlite3"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(VERSION_1, tmp_path / "outbox.sqlite3"))


def test_a_file_of_version_1_keeps_its_records_and_its_account(path: Path) -> None:
    box = Outbox(path)
    status = box.status()
    assert (status.accepted, status.delivered, status.pending, status.refused) == (9, 2, 6, 1)
    assert [entry.detail for entry in box.entries(state="refused")] == ["422 said the API"]
    claimed = {parcel.call_id: parcel for parcel in box.claim(TO.base_url, 1, now=T0 + 1000, limit=10)}
    assert sorted(claimed) == ["c-3", "c-4", "c-5", "c-6", "c-7", "c-9"]
    assert claimed["c-9"].body == b'{"call_id": "c-9", "call_type": "phone_call"}'
    box.close()


def test_a_file_of_version_1_takes_what_version_2_can_do(path: Path) -> None:
    box = Outbox(path)
    box.calls.checkpoint([Checkpoint(TO, "open", ("{}",))], now=T0)
    box.put(TO, "c-4", b"{}", now=T0 + 1000)
    status = box.status()
    assert (status.accepted, status.open_calls) == (9, 1)
    box.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_opening_it_again_changes_nothing(path: Path) -> None:
    for _ in range(2):
        box = Outbox(path)
        assert box.status().accepted == 9
        box.close()


def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(OutboxError, match="later version: update tuner-core"):
        Outbox(path)
    assert path.read_bytes() == before
