"""What a harvest waits for, what it grows, and the verdict on it."""

from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Prediction
from agent.search import harvest
from agent.search.searcher import Searcher
from tests.support.parts import NOW, a_run, a_study

ITS = Prediction(1.2, 1.1, 1.3)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger.db")


@pytest.mark.parametrize(("bpb", "word", "where"), [
    (1.25, "as predicted", "inside"), (1.1, "as predicted", "inside"),
    (1.31, "not as predicted", "above"), (1.0, "not as predicted", "below")])
def test_a_score_is_inside_what_was_written_down_or_not(ledger: Ledger, bpb: float, word: str,
                                                        where: str) -> None:
    run = ledger.finish(a_run(ledger).id, "finished", NOW, val_bpb=bpb, val_loss=2 * bpb)
    found = harvest.judged(run, ITS)
    assert found.verdict == word
    assert f", {where}, " in found.reason
    assert found.evidence["bpb"] == bpb
    assert found.evidence["from_bpb"] == 1.1


def test_a_harvest_that_broke_is_no_word_on_the_prediction(ledger: Ledger) -> None:
    run = ledger.finish(a_run(ledger).id, "diverged", NOW, error="not a number")
    assert harvest.judged(run, ITS).verdict == "diverged"


def test_it_grows_the_baseline_where_nothing_is_kept_and_waits_for_a_test(ledger: Ledger) -> None:
    study = a_study(ledger)
    assert harvest.of_study(ledger, ledger.calibration(study)) is None
    first = a_run(ledger, strategy="baseline", study=study)
    ledger.finish(first.id, "finished", NOW, val_bpb=2.0, val_loss=4.0, confirm_bpb=2.0)
    ledger.decide(first.id, None, "baseline", "r", {}, "w", NOW)
    searcher = Searcher(ledger, ledger.calibration(study))
    found = harvest.to_grow(ledger, searcher)
    assert found is not None
    assert found.label == first.label
    assert not harvest.is_pending(ledger, searcher)
    a_run(ledger, seed=9, strategy="confirm", study=study)
    assert harvest.is_pending(ledger, searcher)
