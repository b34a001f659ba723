import pytest

from tuner_sipbridge.media.grid import Grid


def test_steps_are_due_on_an_absolute_grid():
    grid = Grid(100.0, 4)
    for step in range(9):
        assert grid.due == pytest.approx(100.0 + step * 0.005)
        assert (grid.tick, grid.slot) == divmod(step, 4)
        grid.advance()


@pytest.mark.parametrize(("slot", "step"), [(2, 6), (3, 7), (0, 8), (1, 9)])
def test_next_step_of_a_slot(slot: int, step: int):
    grid = Grid(0.0, 4)
    grid.step = 6
    assert grid.next_step_of(slot) == step


def test_late_worker_owes_every_step():
    grid = Grid(100.0, 4)
    assert grid.skip_stall(100.3) == 0
    assert grid.due == 100.0


def test_stalled_worker_leaves_out_whole_ticks():
    grid = Grid(100.0, 4)
    grid.step = 3
    assert grid.skip_stall(105.0) == 249
    assert grid.slot == 3
    assert 0 <= 105.0 - grid.due < 0.02
