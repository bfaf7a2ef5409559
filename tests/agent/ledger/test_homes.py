"""What a home is called, and which rows are its own."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.homes import housemates, is_of_home, name_of, near, own, this_home
from agent.ledger.ledger import Ledger
from agent.ledger.studies import current_study
from tests.support.parts import NOW, a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_a_home_is_named_by_its_first_run_or_else_by_its_first_event(ledger: Ledger) -> None:
    db = ledger._connection
    assert name_of(db) != name_of(db)  # by chance, of an empty file
    ledger.event("doctor", "well", NOW)
    assert name_of(db) == name_of(db)
    first = a_run(ledger)
    a_run(ledger, seed=1)
    assert name_of(db) == first.uid


def test_every_ledger_has_a_name_from_its_beginning_on(ledger: Ledger, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "other.db") as other:
        assert len({this_home(ledger), this_home(other), None}) == 3


def test_rows_without_a_name_and_those_of_this_one_are_own(ledger: Ledger) -> None:
    runs = [a_run(ledger, seed=seed) for seed in range(3)]
    ledger._update("runs", runs[1].id, {"home": this_home(ledger)})
    ledger._update("runs", runs[2].id, {"home": "elsewhere"})
    assert [run.id for run in ledger.runs("queued")] == [1, 2]
    assert housemates(ledger, runs[0].id) == {1, 2}
    assert housemates(ledger, runs[2].id) == {3}


def test_another_homes_run_is_near_only_in_the_study_itself(ledger: Ledger) -> None:
    study = a_study(ledger)
    ours, theirs, shared = (a_run(ledger, seed=i, study=s) for i, s in enumerate(
        (None, None, study)))
    for run in (theirs, shared):
        ledger._update("runs", run.id, {"home": "elsewhere"})
    found = near(ledger, ledger.calibration(study), ledger.runs_on("t" * 64, 3200))
    assert [run.id for run in found] == [ours.id, shared.id]


def test_the_study_last_worked_on_is_this_homes_where_it_has_one(ledger: Ledger) -> None:
    first, second = a_study(ledger), a_study(ledger, created_at="2026-11-21T00:00:00Z")
    ledger._update("calibrations", second, {"home": "elsewhere"})
    ledger.event("night", "on", NOW, data={"study": second, "newest_study": second})
    ledger._db.execute("UPDATE events SET home = 'elsewhere'")
    found = current_study(ledger)
    assert found is not None
    assert (found.id, is_of_home(ledger, found)) == (first, True)
    ledger._update("calibrations", first, {"home": "elsewhere"})
    found = current_study(ledger)
    assert found is not None
    assert (found.id, is_of_home(ledger, found)) == (second, False)


def test_all_is_own_in_a_file_of_an_earlier_version() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        assert own(db, "runs") == "1"
