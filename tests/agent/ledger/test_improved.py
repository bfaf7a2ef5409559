"""What improves a run is told apart by all that decides it, and keeps its measures."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.ledger.improved import in_words, measures, note_measures, same_improvement
from agent.ledger.ledger import Ledger
from agent.ledger.merge import take_in
from agent.search.study import Origin, new_run
from tests.support.parts import NOW, TINY, a_run

ROWS = [{"name": "accuracy", "step": 0, "value": 0.5, "low": 0.4, "high": 0.6, "n": 90},
        {"name": "accuracy", "step": 9, "value": 0.75, "low": 0.65, "high": 0.85, "n": 90},
        {"name": "loss on the text", "step": 0, "value": 2.0, "low": None, "high": None, "n": None}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_the_same_recipe_is_found_again_and_another_is_another_run(path: Path) -> None:
    with Ledger.open(path) as ledger:
        base = a_run(ledger)  # of the same configuration, seed and budget
        new = replace(new_run(ledger, TINY, 0, 3200, base.corpus_id or 0, NOW,
                              Origin("improve", "why", parent_id=base.id)), recipe="β 0.1")
        assert same_improvement(ledger, new) is None
        run = ledger.queue(new)
        assert (run.label, run.config) == ("I1", base.config)
        assert run.config_hash != base.config_hash
        assert same_improvement(ledger, new) == run
        other = replace(new, uid="x" * 32, recipe="β 0.2")
        assert same_improvement(ledger, other) is None
        assert ledger.queue(other).label == "I2"
        ledger.finish(run.id, "failed", NOW)
        assert same_improvement(ledger, new) is None


def test_measures_are_kept_once_and_come_in_with_a_ledger(path: Path, tmp_path: Path) -> None:
    with Ledger.open(path) as ledger:
        run = a_run(ledger)
        note_measures(ledger, run.id, ROWS)
        note_measures(ledger, run.id, ROWS)
        assert measures(ledger, run.id) == ROWS
    with Ledger.open(tmp_path / "other.db") as other:
        take_in(other, [path])
        assert measures(other, other.run(run.uid).id) == ROWS


def test_a_sentence_has_before_after_and_the_interval() -> None:
    assert in_words(ROWS) == "accuracy 0.5 → 0.75 (0.65 to 0.85); loss on the text 2"
