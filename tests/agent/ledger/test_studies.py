"""Which study is meant, and the best, head and baseline of one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.find import find_run
from agent.ledger.ledger import Ledger
from agent.ledger.records import NewCalibration, Run
from agent.ledger.studies import (
    by_use,
    current_study,
    events_of_its_night,
    last_used,
    study_of,
)
from engine.config import Config
from engine.errors import LedgerError, UserError
from tests.support import example_ledger as example
from tests.support.parts import NOW, TINY, a_study

LATER = "2026-12-24T10:00:00Z"
BIG = 6 * example.BUDGET


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Study 1 with baseline, E1 kept and E2 discarded; study 2 of six times the tokens."""
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.fill(opened)
        opened.finish(example.claim(opened, NOW).id, "failed", NOW)  # E4
        opened.add_calibration(NewCalibration(
            created_at=LATER, corpus_id=1, text_sha256="aa", budget_tokens=BIG,
            config=TINY.to_dict()))
        yield opened


def night(ledger: Ledger, study: int) -> None:
    ledger.event("night", "a test began", LATER, data={"study": study, "newest_study": 2})


def ended(ledger: Ledger, nats: float, strategy: str, study: int | None, seed: int = 5) -> Run:
    queued = example.queue(ledger, TINY if strategy == "baseline" else Config(lr=9e-3),
                           strategy=strategy, seed=seed, budget_tokens=BIG, calibration_id=study)
    ledger.claim(LATER, 4242, run_id=queued.id)
    return example.finish(ledger, queued, nats, LATER)


def test_the_night_of_a_study_is_told_without_those_behind_it(ledger: Ledger) -> None:
    for study in (1, 1, 2):
        night(ledger, study)
        ledger.event("silent_test", f"of study {study}", LATER)
    first, second = (events_of_its_night(ledger, ledger.calibration(number)) for number in (1, 2))
    assert [event.message for event in first] == ["of study 1", "a test began"]
    assert [event.message for event in second] == ["of study 2", "a test began"]
    assert max(event.id for event in first) < min(event.id for event in second)
    third = ledger.add_calibration(NewCalibration(
        created_at=LATER, corpus_id=1, text_sha256="aa", budget_tokens=7, config=TINY.to_dict()))
    assert events_of_its_night(ledger, ledger.calibration(third)) == []


def test_a_grid_run_with_more_tokens_does_not_hide_the_winner_of_the_night(
        ledger: Ledger) -> None:
    night(ledger, 1)
    grid = ended(ledger, 1.0, "grid", None)
    assert find_run(ledger, "best").label == "E1"
    assert find_run(ledger, "baseline").label == "B2"
    assert find_run(ledger, "best", of_all=True).label == grid.label


def test_best_head_and_baseline_are_those_of_the_study_last_worked_on(ledger: Ledger) -> None:
    first = ended(ledger, 2.9, "baseline", 2)
    for key in ("best", "head", "baseline"):
        assert find_run(ledger, key).label == first.label
    night(ledger, 1)
    assert [find_run(ledger, key).label for key in ("best", "head", "baseline")] == [
        "E1", "E1", "B2"]


def test_best_head_and_baseline_of_a_named_study(ledger: Ledger) -> None:
    night(ledger, 1)
    first = ended(ledger, 2.9, "baseline", 2)
    for key in ("best", "head", "baseline"):
        assert find_run(ledger, key, 2).label == first.label
        assert find_run(ledger, key, 1).label in ("E1", "B2")


def test_a_study_without_a_result_leaves_best_to_the_one_before(ledger: Ledger) -> None:
    night(ledger, 2)
    assert find_run(ledger, "best").label == "E1"
    with pytest.raises(LedgerError, match="^study 2 has no finished run yet, so none is best"):
        find_run(ledger, "best", 2)
    with pytest.raises(LedgerError, match="^study 2 has no finished baseline yet"):
        find_run(ledger, "head", 2)
    with pytest.raises(LedgerError, match="^study 2 does not have a baseline yet"):
        find_run(ledger, "baseline", 2)


@pytest.mark.parametrize(("key", "study", "of_all", "told"), [
    ("E1", 2, False, "E1 is of study 1, not of study 2; leave out --study"),
    ("E1", None, True, "E1 is one run, so leave out --any"),
    ("best", 1, True, "give one of the two"),
    ("best", 7, False, "there is no study 7; this ledger has studies 1, 2")])
def test_what_contradicts_itself_is_told(ledger: Ledger, key: str, study: int | None,
                                         of_all: bool, told: str) -> None:
    with pytest.raises(UserError, match=told):
        find_run(ledger, key, study, of_all=of_all)


@pytest.mark.parametrize(("key", "meant"), [
    ("bset", "best"), ("winner", "best"), ("incumbent", "head"), ("base", "baseline"),
    ("Baselin", "baseline")])
def test_a_word_for_a_run_is_met_by_its_meaning(ledger: Ledger, key: str, meant: str) -> None:
    with pytest.raises(LedgerError, match=rf"^there is no run '{key}'; did you mean {meant}\?$"):
        find_run(ledger, key)


def test_the_last_study_is_that_of_the_newest_night_or_was_opened_since(ledger: Ledger) -> None:
    assert [one.id for one in by_use(ledger)] == [2, 1]
    night(ledger, 1)
    assert [one.id for one in by_use(ledger)] == [1, 2]
    third = a_study(ledger)
    current = current_study(ledger)
    assert current is not None
    assert current.id == third
    assert study_of(ledger, 2).id == 2
    assert last_used(ledger)[1] == LATER


def test_without_a_study_there_is_none(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as empty:
        assert current_study(empty) is None
        with pytest.raises(LedgerError, match="has no study yet"):
            study_of(empty, None)
