"""A harvest as it is planned and queued."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.ledger import prediction_of
from agent.ledger.ledger import Ledger
from agent.night.crop import FINISH, Crop, crop_of, sow, waiting
from engine.errors import LedgerError
from tests.agent.analysis.test_harvest import finished, limits
from tests.support.parts import NOW


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def crop(ledger: Ledger) -> Crop:
    return crop_of(ledger, finished(ledger), None, limits(), 60.0)


def test_it_leaves_a_margin_so_that_it_finishes(crop: Crop) -> None:
    assert 0.7 * FINISH * 60 < crop.run_s <= FINISH * 60


def test_what_is_foretold_is_written_with_the_run(ledger: Ledger, crop: Crop) -> None:
    run = sow(ledger, crop, NOW)
    assert (run.label, run.strategy, run.budget_tokens) == ("H1", "harvest", crop.grown.tokens)
    assert prediction_of(ledger, run.id) == crop.source.prediction(crop.grown)
    assert waiting(ledger) == run
    claimed = ledger.claim(NOW, run_id=run.id)  # by a daemon that dies
    assert waiting(ledger) == claimed
    assert waiting(ledger, (run.corpus_id or 0) + 1) is None
    with pytest.raises(LedgerError, match="H1"):
        sow(ledger, crop, NOW)


def test_a_time_that_foretells_too_much_is_doubted_in_words(ledger: Ledger) -> None:
    far = crop_of(ledger, finished(ledger), None, limits(), 100_000.0)
    assert "way of T1; count on little of it: " in str(far)


def test_what_may_not_grow_is_trained_for_longer(ledger: Ledger) -> None:
    run = finished(ledger)
    crop = crop_of(ledger, run, None, replace(limits(), max_params=run.n_params), 60.0)
    assert str(crop).startswith("T1 trained for longer, on ")


def test_it_is_told_in_words_and_as_values(crop: Crop) -> None:
    assert "a guess by the way of its own runs" in str(crop)
    assert "where T1 has 2.250" in str(crop)
    assert str(crop).endswith("; that score is a guess, from the loss at 1 point on the way of T1")
    assert str(crop).startswith("T1 grown to 17.9k parameters on ")
    found = crop.as_dict()
    assert found["foretold"]["mean_bpb"] < found["now_bpb"] == 2.25
    assert found["tokens"] == crop.grown.tokens
