import numpy as np
import pytest

from tuner_sipbridge.media.lateness import LatenessTable


def note(table: LatenessTable, late_ms: list[float], row: int = 0) -> None:
    for value in late_ms:
        table.note(np.array([row]), np.array([value * 1e-3]))


def test_figures_are_right_to_a_bin_and_the_maximum_exactly():
    table = LatenessTable(1)
    note(table, [0.1] * 97 + [3.0] * 2 + [7.25])
    assert table.summary(0) == (
        pytest.approx(0.1e-3, rel=0.13),
        pytest.approx(3.0e-3, rel=0.13),
        pytest.approx(7.25e-3),
    )


def test_no_figure_is_above_the_maximum():
    table = LatenessTable(1)
    note(table, [0.5])
    assert table.summary(0) == (pytest.approx(0.5e-3),) * 3


def test_row_without_packets_has_no_summary():
    assert LatenessTable(1).summary(0) is None


def test_early_and_absurd_values_are_counted_at_the_ends():
    table = LatenessTable(1)
    note(table, [-1.0, 60000.0])
    summary = table.summary(0)
    assert summary is not None
    assert summary[2] == pytest.approx(60.0)


def test_rows_move_and_grow_without_mixing():
    table = LatenessTable(2)
    note(table, [1.0], row=0)
    note(table, [5.0], row=1)
    table.move(1, 0)
    table.grow(4)
    summary = table.summary(0)
    assert summary is not None
    assert summary[2] == pytest.approx(5e-3)
    assert table.summary(1) is None
    assert table.summary(3) is None
