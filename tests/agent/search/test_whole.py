"""A study whose decisions lost their rows is not taken up in silence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.machine import Clock
from agent.search.campaign import Campaign, Plan
from agent.search.searcher import Searcher
from agent.search.study import Origin, new_run
from agent.search.whole import other_gaps, require_whole
from engine.errors import LedgerError
from engine.text import TokenSet
from tests.agent.search.test_searcher import Desk, confirm, four_steps
from tests.support.parts import NOW, TINY, a_study


def _no_tokens(vocab_size: int) -> TokenSet:
    raise AssertionError("no token is needed")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A study with a confirmed head."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        desk = Desk(ledger)
        desk.calibrate()
        four_steps(desk)
        confirm(desk, 1.40)
        yield desk


def delete(desk: Desk, *statements: str) -> None:
    db = desk.ledger._db
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("DROP TRIGGER IF EXISTS decisions_never_go")
    for statement in statements:
        db.execute(statement)


@pytest.mark.parametrize("label", ["E1", "E2", "E3", "E4", "B1"])
def test_a_run_that_the_confirmed_head_rests_on_is_named(desk: Desk, label: str) -> None:
    row = desk.ledger.run(label).id
    delete(desk, f"DELETE FROM runs WHERE label = '{label}'")
    with pytest.raises(LedgerError, match=rf"has lost what study 1 builds on: row {row} of runs, "
                                          r"which decision \d+ \(.*; put the rows back"):
        Searcher(desk.ledger, desk.study)


@pytest.mark.parametrize("which", [
    "verdict = 'kept' AND run_id = (SELECT id FROM runs WHERE label = 'E4')",
    "run_id IN (SELECT id FROM runs WHERE strategy = 'confirm')", "verdict = 'baseline'"])
def test_decisions_that_make_no_sense_any_more_are_no_traceback(desk: Desk, which: str) -> None:
    delete(desk, f"DELETE FROM decisions WHERE {which}")
    with pytest.raises(LedgerError, match=r"lost what decision \d+ \(confirmed E4\) of study 1 "
                                          r"builds on: rows? .*of decisions; put the rows back"):
        Searcher(desk.ledger, desk.study)


def test_what_nothing_builds_on_is_told_and_the_search_goes_on(desk: Desk) -> None:
    worse = desk.challenge(-0.2, clip=0.7)
    delete(desk, f"DELETE FROM runs WHERE id = {worse.id}")
    require_whole(desk.ledger, desk.study)
    assert Searcher(desk.ledger, desk.study).search.head is not None
    assert other_gaps(desk.ledger).startswith(
        f"ledger.db lacks row {worse.id} of runs, which decision")


def test_a_gap_of_one_study_is_none_of_another(desk: Desk) -> None:
    later = desk.ledger.calibration(a_study(desk.ledger, budget_tokens=6400))
    delete(desk, "DELETE FROM runs WHERE label = 'E4'")
    assert Searcher(desk.ledger, later).search.head is None


def test_a_whole_ledger_says_nothing(desk: Desk) -> None:
    require_whole(desk.ledger, desk.study)
    assert other_gaps(desk.ledger) == ""


def test_a_night_takes_its_study_up_before_anything_runs(desk: Desk) -> None:
    def night() -> Campaign:
        found = Campaign(desk.ledger, Clock(), Plan(3000.0), _no_tokens, lambda: None)
        found.study = desk.study
        return found

    assert night().take_up() == ""
    delete(desk, "DELETE FROM runs WHERE label = 'E4'")
    with pytest.raises(LedgerError, match="has lost what study 1 builds on"):
        night().take_up()


def test_a_run_of_a_study_that_was_deleted_is_recorded_alone(desk: Desk) -> None:
    run = desk.ledger.queue(new_run(desk.ledger, TINY, 77, 3200, 1, NOW, Origin(
        "random", "a test asked", desk.study.id)))
    desk.ledger.claim(NOW, run_id=run.id)
    desk.ledger.finish(run.id, "finished", NOW, val_bpb=1.4)
    delete(desk, "DELETE FROM calibrations")
    Campaign(desk.ledger, Clock(), Plan(3000.0), _no_tokens, lambda: None).judge(
        desk.ledger.run(run.id), desk.tell)
    assert desk.verdicts(run.label) == ["recorded"]
