"""Cells of grids by size and data."""

from agent.analysis.cells import cells_of
from engine.config import Config
from tests.support.run_rows import row

SMALL, LARGE = Config(n_embd=64, n_layer=2), Config(n_embd=128, n_layer=4)


def test_cells_are_ordered_and_of_two_the_newer_counts() -> None:
    rows = [row(1, LARGE, grid_id=1, budget_tokens=200, val_bpb=1.5),
            row(2, SMALL, grid_id=1, budget_tokens=200, val_bpb=1.6),
            row(3, SMALL, grid_id=1, budget_tokens=100, val_bpb=1.8),
            row(4, SMALL, grid_id=2, budget_tokens=100, val_bpb=1.7),
            row(5, SMALL, budget_tokens=400, val_bpb=1.0),
            row(6, LARGE, grid_id=2, budget_tokens=100, state="failed", val_bpb=None)]
    found = cells_of(rows)
    assert found is not None
    assert [(size.name, size.points) for size in found.sizes] == [
        ("64d/2L", [(100, 1.7), (200, 1.6)]), ("128d/4L", [(200, 1.5)])]
    assert (found.best, found.best_size, found.best_tokens) == ("E1", "128d/4L", 200)


def test_without_a_finished_cell_there_is_nothing() -> None:
    assert cells_of([row(1), row(2, grid_id=1, state="queued", val_bpb=None)]) is None
