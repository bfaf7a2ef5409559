"""One ledger taken into another: nothing twice, nothing lost, every pointer follows."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader, faults
from agent.ledger.records import Blocks, Metric, Run
from engine.errors import LedgerError
from tests.support.parts import NOW, TEXT, TINY, a_run, a_study, new_corpus

LATER = "2026-03-25T00:00:00Z"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ours.db") as opened:
        yield opened


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "theirs.db") as opened:
        yield opened


def take(ours: Ledger, theirs: Ledger) -> str:
    with Reader.open(theirs.path) as other:
        taken = str(ours.take_in(other, LATER))
    assert faults(ours.path) == []
    return taken


def ended(ledger: Ledger, run: Run, bpb: float = 2.0) -> Run:
    ledger.claim(NOW, 77, run_id=run.id)
    ledger.ingest(run.id, [Metric(1, 32, train_loss=5.0), Metric(2, 64, val_loss=4.0)], 99, NOW)
    return ledger.finish(run.id, "finished", NOW, {"confirm": Blocks((8.0,), (4,))}, val_bpb=bpb)


def a_night(ledger: Ledger) -> tuple[Run, Run]:
    """A baseline and an idea that was kept, in a study."""
    study = a_study(ledger)
    first = ended(ledger, a_run(ledger, strategy="baseline", study=study))
    ledger.decide(first.id, None, "baseline", "r", {}, "the start", NOW)
    changed = dataclasses.replace(TINY, lr=1e-3)
    second = ended(ledger, a_run(ledger, changed, strategy="random", study=study), 1.9)
    ledger._update("runs", second.id, {"parent_id": first.id})
    ledger.decide(second.id, first.id, "kept", "r", {"gain_bpb": 0.1, "with": "E1"}, "ok", NOW)
    ledger.event("device", "moved", NOW, second.id, {"study": study})
    return first, second


def test_an_empty_ledger_becomes_like_the_one_it_takes_in(ours: Ledger, theirs: Ledger) -> None:
    a_night(theirs)
    assert take(ours, theirs) == "2 runs, 2 decisions"
    assert ours.runs() == theirs.runs()
    assert ours.decisions() == theirs.decisions()
    for run in ours.runs():
        assert ours.metrics(run.id) == theirs.metrics(run.id)
    assert ours.studies() == theirs.studies()
    assert ours.corpora() == theirs.corpora()
    assert ours.blocks_on(TEXT, 3200, "confirm") == theirs.blocks_on(TEXT, 3200, "confirm") != {}
    assert ours.experiments() == theirs.experiments()
    assert [event.message for event in ours.events()[1:]] == ["moved"]
    assert ours.events()[0].message == f"2 runs, 2 decisions of {theirs.path}"


def test_taken_in_twice_it_is_there_once(ours: Ledger, theirs: Ledger) -> None:
    a_night(theirs)
    take(ours, theirs)
    before = ours.runs(), ours.decisions()
    assert take(ours, theirs) == "0 runs, 0 decisions"
    assert (ours.runs(), ours.decisions()) == before


def test_a_ledger_of_before_learns_what_became_of_its_runs(
        ours: Ledger, theirs: Ledger, tmp_path: Path) -> None:
    study = a_study(ours)
    waits = a_run(ours, strategy="baseline", study=study)
    ours.keep(tmp_path / "later.db")
    with Ledger.open(tmp_path / "later.db") as later:
        ended(later, later.run(waits.id))
        later.decide(waits.id, None, "baseline", "r", {}, "the start", NOW)
        later.update_calibration(study, n=1, mean_bpb=2.0)
        assert take(ours, later) == "0 runs and news of 1, 1 decision"
        assert ours.run(waits.id) == later.run(waits.id)
        assert ours.calibration(study) == later.calibration(study)
        assert len(ours.metrics(waits.id)) == 2
        later.decide(waits.id, None, "recorded", "r", {}, "a change of mind", LATER)
        assert take(ours, later) == "0 runs, 1 decision"


def test_what_is_known_better_here_stays(ours: Ledger, theirs: Ledger, tmp_path: Path) -> None:
    waits = a_run(ours)
    ours.keep(tmp_path / "before.db")
    done = ended(ours, waits)
    with Ledger.open(tmp_path / "before.db") as before:
        assert take(ours, before) == "0 runs, 0 decisions"
    assert ours.run(waits.id) == done


def test_labels_that_are_taken_change_and_what_points_to_them_follows(
        ours: Ledger, theirs: Ledger) -> None:
    first, second = a_night(theirs)
    ours.add_corpus(new_corpus())
    other = dataclasses.replace(TINY, lr=2e-3)
    for strategy, seed in (("baseline", 8), ("random", 9)):
        a_run(ours, other, seed, strategy)
    assert take(ours, theirs) == "2 runs, 2 decisions"
    assert [run.label for run in ours.runs()] == ["B1", "E1", "B2", "E2"]
    idea = ours.run(second.uid)
    assert idea.parent_id == ours.run(first.uid).id
    verdict = ours.decisions(idea.id)[0]
    assert (verdict.label, verdict.against, verdict.evidence["with"]) == ("E2", "B2", "E2")
    assert ours.events_of("device")[0].label == "E2"
    assert ours.events_of("device")[0].data == {"study": idea.calibration_id}


def test_what_was_computed_here_too_is_not_there_twice(ours: Ledger, theirs: Ledger) -> None:
    a_night(theirs)
    mine = ended(ours, a_run(ours, strategy="baseline"), 2.5)
    assert take(ours, theirs) == "1 run, 1 decision"
    assert [run.val_bpb for run in ours.runs()] == [2.5, 1.9]
    assert ours.runs()[1].parent_id == mine.id  # the same configuration and seed
    assert ours.decisions()[0].against_id == mine.id


def test_a_run_that_ran_there_waits_here_for_a_worker_of_ours(
        ours: Ledger, theirs: Ledger) -> None:
    theirs.claim(NOW, 77, run_id=a_run(theirs).id)
    take(ours, theirs)
    found = ours.runs()[0]
    assert (found.state, found.pid, found.events_offset) == ("queued", None, 0)


def test_columns_and_tables_of_a_persons_own_do_not_matter(ours: Ledger, theirs: Ledger) -> None:
    a_run(theirs)
    theirs._db.execute("ALTER TABLE runs ADD COLUMN tag TEXT")
    theirs._db.execute("CREATE TABLE notes (text TEXT)")
    assert take(ours, theirs) == "1 run, 0 decisions"


def test_another_validation_slice_is_refused_and_nothing_comes_in(
        ours: Ledger, theirs: Ledger) -> None:
    ours.add_corpus(new_corpus())
    theirs.add_corpus(new_corpus(text_sha256="other"))
    theirs.add_corpus(new_corpus(search_sha256="x" * 64))
    with pytest.raises(LedgerError, match="scored tiny on another validation slice than .*ours.db"):
        take(ours, theirs)
    assert len(ours.corpora()) == 1
