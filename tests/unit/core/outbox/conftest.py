from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner_core.outbox import Outbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.sqlite3"


@pytest.fixture
def box(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path)
    yield opened
    opened.close()


@pytest.fixture
def neighbour(path: Path, box: Outbox) -> Iterator[Outbox]:
    """A second opening of the same file, with a holder of its own: another process, to the outbox."""
    opened = Outbox(path)
    yield opened
    opened.close()
