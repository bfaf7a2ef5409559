"""A harvest as it is planned and queued."""

from collections.abc import Iterator
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


def test_it_is_told_in_words_and_as_values(crop: Crop) -> None:
    assert "a guess by the way of its own runs" in str(crop)
    assert "where T1 has 2.250" in str(crop)
    guess = "; that score is a guess, from the loss at 1 point on the way of T1; count on little"
    assert guess in str(crop)
    assert str(crop).startswith("T1 trained for longer, on ")  # and not grown
    found = crop.as_dict()
    assert found["foretold"]["mean_bpb"] < found["now_bpb"] == 2.25
    assert found["tokens"] == crop.grown.tokens
