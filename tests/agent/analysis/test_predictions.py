"""What was expected of runs, beside what came of them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.analysis.predictions import Predicted, predicted
from agent.ledger.ended import foretold
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.ledger.records import Earned, Prediction
from agent.show.earnings import lines
from tests.agent.search.test_searcher import Desk


def test_nothing_foretold_is_nothing_told() -> None:
    assert predicted([]) is None


def test_errors_are_parts_of_the_score_and_bias_has_a_sign() -> None:
    one = Prediction(2.0, 1.9, 2.1)
    found = predicted([(one, 2.02), (one, 1.8), (one, 2.2)])
    assert found is not None
    assert (found.n, found.n_inside) == (3, 1)
    assert found.median_error == pytest.approx(0.1)
    assert found.bias == pytest.approx(0.01)


def test_what_the_model_expects_of_an_idea_is_in_the_ledger_before_it_runs(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        desk = Desk(ledger)
        desk.calibrate()
        while (asked := desk.next()).prediction is None:  # some are a strategy's own
            desk.end(desk.queue(asked), 1.6)
        told = asked.prediction
        assert told is not None
        assert told.low_bpb < told.mean_bpb < told.high_bpb
        run = desk.queue(asked)
        with closing(sqlite3.connect(ledger.path)) as db, db:
            kept = db.execute("SELECT * FROM predictions WHERE run_id = ?", [run.id]).fetchall()
        assert kept == [(run.id, told.mean_bpb, told.low_bpb, told.high_bpb)]
        assert foretold(ledger, desk.study.id) == []  # it has not ended
        desk.end(run, 1.25)
        assert foretold(ledger, desk.study.id) == [(told, 1.25)]


def test_a_ledger_of_an_earlier_version_has_foretold_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        Desk(ledger).calibrate()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        db.execute("DROP TABLE predictions")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm007_predictions'")
    with Reader.open(tmp_path / "ledger.db") as ledger:
        assert foretold(ledger, 1) == []


def test_status_says_how_far_the_model_was_off() -> None:
    ideas = Earned(strategy="explore", n_runs=12, n_kept=1, n_confirmed=0, n_pruned=0,
                   gain_bpb=0.1, tokens=900, saved_tokens=0)
    found = lines([ideas], Predicted(11, 10, 0.021, -0.01))
    assert "half of the scores foretold within 2.1 %; 10 of 11 in the range expected" in found
