"""A grid as a table, and what its cells say of themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.show.grid import lines, page, said, state_of
from engine.config import Config
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW

SIZES = (Config(n_embd=64, n_layer=2, n_head=2), Config())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        yield opened


def a_grid(ledger: Ledger) -> list[Run]:
    """64d/2L and 128d/4L on 100k and 400k tokens, foreseen as 10, 20, 30 and 40 s."""
    grid_id = ledger.add_grid(["64d/2L", "128d/4L"], [100_000, 400_000], 0, None, NOW)
    runs = [example.queue(ledger, config, strategy="grid", calibration_id=None, grid_id=grid_id,
                          budget_tokens=budget)
            for config in SIZES for budget in (100_000, 400_000)]
    ledger.event("grid", "4 cells queued", NOW, data={"grid_id": grid_id, "run_s": {
        run.label: 10.0 * number for number, run in enumerate(runs, 1)}})
    return runs


def test_sizes_go_down_and_tokens_to_the_right() -> None:
    cells = {("64d/2L", 100_000): "12 s", ("128d/4L", 100_000): "queued",
             ("64d/2L", 1_600_000): "2 min"}
    assert lines(["64d/2L", "128d/4L"], [100_000, 1_600_000], cells, 60) == [
        "size       100k   1.6M",
        "64d/2L     12 s  2 min",
        "128d/4L  queued      -"]


def test_columns_that_do_not_fit_stand_below() -> None:
    tokens = [n * 100_000 for n in range(1, 12)]
    found = lines(["64d/2L"], tokens, {("64d/2L", n): "left out" for n in tokens}, 40)
    assert max(map(len, found)) <= 40
    assert sum(line.count("left out") for line in found) == 11
    assert found.count("") == sum(line.startswith("size") for line in found) - 1


@pytest.mark.parametrize("width", [1, 20, 60])
def test_a_narrow_terminal_still_gets_every_column(width: int) -> None:
    found = lines(["64d/2L"], [1, 2_000_000], {}, width)
    assert "2M" in "".join(found)


def test_a_count_that_is_not_round_is_written_out() -> None:
    assert "123,456" in lines(["64d/2L"], [123_456], {}, 60)[0]


@pytest.mark.parametrize("state", ["failed", "killed", "pruned", "diverged"])
def test_a_cell_says_what_it_is(ledger: Ledger, state: str) -> None:
    first, second, *_ = a_grid(ledger)
    ledger.claim(NOW, run_id=first.id)
    ledger.finish(first.id, state, NOW)  # type: ignore[arg-type]
    ledger.claim(NOW, run_id=second.id)
    found = state_of(ledger)
    assert found is not None
    assert [said(cell) for cell in found.cells] == [state, "running", "queued", "queued"]
    assert (found.n_ended, found.n_left) == (1, 3)


def test_a_finished_cell_says_its_score_and_the_line_what_is_left(ledger: Ledger) -> None:
    first = a_grid(ledger)[0]
    ledger.claim(NOW, run_id=first.id)
    ledger.finish(first.id, "finished", NOW, val_bpb=1.2345)
    found = state_of(ledger)
    assert found is not None
    assert page(found, 60) == [
        "grid: 1 of 4 cells ended, 3 to go, about 2 min; bits/byte",
        "size       100k    400k",
        "64d/2L    1.234  queued",
        "128d/4L  queued  queued"]


def test_where_no_time_was_foreseen_none_is_told(ledger: Ledger) -> None:
    grid_id = ledger.add_grid(["128d/4L"], [100_000], 0, None, NOW)
    example.queue(ledger, strategy="grid", calibration_id=None, grid_id=grid_id)
    found = state_of(ledger)
    assert found is not None
    assert found.left_s is None
    assert "about" not in page(found, 60)[0]


def test_a_grid_that_is_over_is_not_shown(ledger: Ledger) -> None:
    for run in a_grid(ledger):
        ledger.claim(NOW, run_id=run.id)
        ledger.finish(run.id, "finished", NOW, val_bpb=1.2)
    assert state_of(ledger) is None
