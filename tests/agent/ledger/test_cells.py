"""What a grid asked for in its runs, and parts of a text as texts of their own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.ledger.cells import cells_with, grid_cells, is_on_text, part_sha256, unique_tokens
from agent.ledger.ledger import Ledger
from agent.ledger.merge import take_in
from agent.ledger.records import GridCell, Run
from agent.search.study import Origin, new_run
from tests.support.parts import NOW, TEXT, TINY, a_run, new_corpus

PART = GridCell(family="deep", size="deep 30k", unique_tokens=40, unique_asked="5s")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def on_part(ledger: Ledger, cell: GridCell = PART) -> Run:
    corpus_id = ledger.add_corpus(new_corpus(text_sha256=part_sha256(TEXT, 40)))
    return ledger.queue(replace(new_run(ledger, TINY, 0, 3200, corpus_id, NOW,
                                        Origin("grid", "a test asked")), cell=cell))


def test_a_cell_is_kept_with_its_run(ledger: Ledger) -> None:
    whole, part = a_run(ledger), on_part(ledger)
    assert grid_cells(ledger) == {part.id: PART}
    assert (unique_tokens(ledger, whole), unique_tokens(ledger, part)) == (None, 40)


def test_the_same_settings_on_a_part_are_another_run(ledger: Ledger) -> None:
    """Nothing takes it for the run on all of the text: it is of another text."""
    whole, part = a_run(ledger), on_part(ledger)
    assert whole.config_hash == part.config_hash
    assert [run.id for run in ledger.runs_on(TEXT, 3200)] == [whole.id]


def test_a_part_belongs_to_the_text_it_is_of_and_to_no_other(ledger: Ledger) -> None:
    part = on_part(ledger)
    assert is_on_text(ledger, part, TEXT)
    assert not is_on_text(ledger, part, "u" * 64)
    assert not is_on_text(ledger, a_run(ledger, text="u" * 64), TEXT)


def test_purposes_part_the_law_from_its_checks(ledger: Ledger) -> None:
    rate = on_part(ledger, replace(PART, purpose="rate", rate=2.0))
    assert cells_with(grid_cells(ledger), "rate").keys() == {rate.id}
    assert cells_with(grid_cells(ledger), "replicate") == {}


def test_cells_go_with_their_runs_into_another_ledger(ledger: Ledger, tmp_path: Path) -> None:
    on_part(ledger)
    with Ledger.open(tmp_path / "other.db") as other:
        a_run(other)
        take_in(other, [ledger.path])
        (run,) = [one for one in other.runs() if one.strategy == "grid"]
        assert grid_cells(other) == {run.id: PART}
        assert is_on_text(other, run, TEXT)
