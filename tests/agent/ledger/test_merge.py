"""Other ledgers taken into one: nothing twice, nothing lost, and the order does not matter."""

import dataclasses
import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from agent.ledger.ledger import Ledger
from agent.ledger.merge import Taken, columns_of_program, rehearse, take_in
from agent.ledger.migrations import migrations
from agent.ledger.notes import Remark, set_remark
from agent.ledger.reader import faults
from agent.ledger.records import Blocks, Metric, Run
from engine.errors import LedgerError, UserError
from tests.support.parts import NOW, TEXT, TINY, a_run, a_study, new_corpus

LATER = "2026-11-21T00:00:00Z"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ours.db") as opened:
        yield opened


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "theirs.db") as opened:
        yield opened


def take(ours: Ledger, *theirs: Ledger) -> Taken:
    found = take_in(ours, [one.path for one in theirs])
    assert faults(ours.path) == []
    assert ours.rows("PRAGMA foreign_key_check") == []
    return found[-1]


def brief(taken: Taken) -> tuple[int, int, int]:
    """Runs that are new, runs of which there was news, and decisions."""
    return taken.n_runs, taken.n_renewed, taken.new["decisions"]


def ended(ledger: Ledger, run: Run, bpb: float = 2.0) -> Run:
    ledger.claim(NOW, 77, run_id=run.id)
    ledger.ingest(run.id, [Metric(1, 32, train_loss=5.0), Metric(2, 64, val_loss=4.0)], 99, NOW)
    return ledger.finish(run.id, "finished", NOW, {"confirm": Blocks((8.0,), (4,))}, val_bpb=bpb)


def a_night(ledger: Ledger, lr: float = 1e-3) -> tuple[Run, Run]:
    """A baseline and an idea that was kept, in a study, with a word of a person."""
    study = a_study(ledger)
    first = ended(ledger, a_run(ledger, strategy="baseline", study=study))
    ledger.decide(first.id, None, "baseline", "r", {}, "the start", NOW)
    changed = dataclasses.replace(TINY, lr=lr)
    second = ended(ledger, a_run(ledger, changed, strategy="random", study=study), 1.9)
    ledger._update("runs", second.id, {"parent_id": first.id})
    ledger.decide(second.id, first.id, "kept", "r", {"gain_bpb": 0.1, "with": "E1"}, "ok", NOW)
    ledger.event("night", "on", NOW, data={"study": study, "newest_study": study})
    ledger.event("device", "moved", NOW, second.id, {"study": study})
    set_remark(ledger, second.id, Remark("look", True), NOW)
    return first, second


def all_rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but what a file says of itself."""
    with closing(sqlite3.connect(path)) as db:
        return {table: sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
                for table in columns_of_program() if table not in (
                    "this_home", "_sqlite_migrations")}


# --- one ledger and another ------------------------------------------------------------------


def test_an_empty_ledger_becomes_like_the_one_it_takes_in(ours: Ledger, theirs: Ledger) -> None:
    a_night(theirs)
    assert brief(take(ours, theirs)) == (2, 0, 2)
    homeless = [dataclasses.replace(run, home=None) for run in ours.runs()]
    assert homeless == theirs.runs()
    assert ours.decisions() == theirs.decisions()
    for run in ours.runs():
        assert ours.metrics(run.id) == theirs.metrics(run.id)
    assert ours.corpora() == theirs.corpora()
    assert ours.blocks_on(TEXT, 3200, "confirm") == theirs.blocks_on(TEXT, 3200, "confirm") != {}
    assert ours.experiments() == theirs.experiments()
    assert [event.message for event in ours.events()] == ["moved", "on"]


def test_taken_in_twice_it_is_there_once(ours: Ledger, theirs: Ledger) -> None:
    a_night(ours, 2e-3)
    a_night(theirs)
    take(ours, theirs)
    before = all_rows(ours.path)
    assert not any(take(ours, theirs, theirs).new.values())
    assert all_rows(ours.path) == before


def test_three_ledgers_in_all_six_orders_give_the_same_rows(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.db" for name in "abc"]
    for i, path in enumerate(paths):
        with Ledger.open(path) as ledger:
            a_night(ledger, 1e-3 + i * 1e-4)
            a_run(ledger, seed=7)  # waits
    found = []
    for order in itertools.permutations(paths):
        with Ledger.open(tmp_path / "merged.db") as fresh:
            take_in(fresh, list(order))
        found.append(all_rows(tmp_path / "merged.db"))
        (tmp_path / "merged.db").unlink()
        shutil.copy(order[0], tmp_path / "own.db")
        with Ledger.open(tmp_path / "own.db") as own:
            for other in order[1:]:
                take_in(own, [other])
        found.append(all_rows(tmp_path / "own.db"))
    assert found == [found[0]] * 12
    assert len(found[0]["runs"]) == 9


def test_a_ledger_of_before_learns_what_became_of_its_runs(
        ours: Ledger, theirs: Ledger, tmp_path: Path) -> None:
    study = a_study(ours)
    waits = a_run(ours, strategy="baseline", study=study)
    ours.keep(tmp_path / "later.db")
    with Ledger.open(tmp_path / "later.db") as later:
        ended(later, later.run(waits.id))
        later.decide(waits.id, None, "baseline", "r", {}, "the start", NOW)
        later.update_calibration(study, n=1, mean_bpb=2.0)
        assert brief(take(ours, later)) == (0, 1, 1)
        found = dataclasses.replace(ours.run(waits.id), home=None)
        assert found == later.run(waits.id)
        assert (ours.calibration(study).n, ours.calibration(study).mean_bpb) == (1, 2.0)
        assert len(ours.metrics(waits.id)) == 2
        later.decide(waits.id, None, "recorded", "r", {}, "a change of mind", LATER)
        assert brief(take(ours, later)) == (0, 0, 1)


def test_what_is_known_better_here_stays(ours: Ledger, theirs: Ledger, tmp_path: Path) -> None:
    waits = a_run(ours)
    ours.keep(tmp_path / "before.db")
    done = ended(ours, waits)
    with Ledger.open(tmp_path / "before.db") as before:
        assert brief(take(ours, before)) == (0, 0, 0)
    assert ours.run(waits.id) == done


def test_a_label_that_two_homes_gave_gets_the_letter_of_the_younger(
        ours: Ledger, theirs: Ledger) -> None:
    first, second = a_night(theirs)
    ours.add_corpus(new_corpus())
    other = dataclasses.replace(TINY, lr=2e-3)
    for strategy, seed in (("baseline", 8), ("random", 9), ("random", 10)):
        a_run(ours, other, seed, strategy)
    ours._db.execute("UPDATE runs SET created_at = '2026-01-01T00:00:00Z'")
    assert take(ours, theirs).renamed == {"B1": "B1b", "E1": "E1b"}
    assert [run.label for run in ours.runs()] == ["B1", "E1", "E2", "B1b", "E1b"]
    idea = ours.run(second.uid)
    assert idea.parent_id == ours.run(first.uid).id
    verdict = ours.decisions(idea.id)[0]
    assert (verdict.label, verdict.against, verdict.evidence["with"]) == ("E1b", "B1b", "E1b")
    assert ours.events_of("device")[0].label == "E1b"
    assert ours.events_of("device")[0].data == {"study": idea.calibration_id}
    assert a_run(ours, seed=11, strategy="random").label == "E3"
    assert take(theirs, ours).relabelled == {"B1": "B1b", "E1": "E1b"}
    assert theirs.decisions(theirs.run("E1b").id)[0].evidence["with"] == "E1b"


# --- whose a run is --------------------------------------------------------------------------


def test_what_two_homes_ran_alike_is_there_twice_and_only_their_own_counts(
        ours: Ledger, theirs: Ledger) -> None:
    a_night(ours)
    a_night(theirs)
    take(ours, theirs)
    studies = ours.studies()
    found = [[run.label for run in ours.baselines(study)] for study in studies]
    assert len(ours.runs()) == 4
    assert sorted(found) == [["B1"], ["B1b"]]


def test_what_waits_or_runs_elsewhere_is_not_this_homes_to_run(
        ours: Ledger, theirs: Ledger) -> None:
    theirs.claim(NOW, 77, run_id=a_run(theirs).id)
    waits = a_run(theirs, seed=1)
    over = a_run(theirs, seed=2)
    theirs.finish(over.id, "failed", NOW)
    take(ours, theirs)
    assert [run.state for run in ours.runs()] == ["running", "queued", "failed"]
    assert (ours.runs("queued"), ours.runs("running"), ours.undecided()) == ([], [], [])
    assert ours.claim(NOW) is None
    assert ours.claim(NOW, run_id=ours.run(waits.uid).id) is None
    assert ours.counts()["queued"] == 0
    assert ours.stale(LATER, 1.0) == []
    mine = a_run(ours, seed=1)  # the same again, on this device
    assert [run.id for run in ours.runs("queued")] == [mine.id]


def test_a_night_elsewhere_is_none_of_this_home(ours: Ledger, theirs: Ledger) -> None:
    a_night(ours)
    a_night(theirs)
    theirs.event("pause", "hush", LATER)
    take(ours, theirs)
    assert [event.kind for event in ours.events_of_night()] == ["device", "night"]
    assert ours.newest_stamp() == NOW


# --- what a merge leaves alone ---------------------------------------------------------------


def test_another_validation_slice_is_named_and_its_runs_stay_there(
        ours: Ledger, theirs: Ledger) -> None:
    ours.add_corpus(new_corpus(search_sha256="x" * 64))
    a_night(theirs)
    a_run(theirs, text="u" * 64)
    taken = take(ours, theirs)
    assert [(one.what, one.why) for one in taken.conflicts] == [(
        "text tiny", "was scored on another validation slice there, and losses on two slices do "
        "not compare: its 2 runs stay there")]
    assert brief(taken) == (1, 0, 0)
    assert [event.message for event in ours.events()] == ["on"]


def test_of_a_run_that_ended_in_two_ways_ours_stays(
        ours: Ledger, theirs: Ledger, tmp_path: Path) -> None:
    waits = a_run(ours)
    ours.keep(tmp_path / "copy.db")
    ended(ours, waits, 2.0)
    with Ledger.open(tmp_path / "copy.db") as copy:
        ended(copy, copy.run(waits.id), 2.5)
        copy.decide(waits.id, None, "recorded", "r", {}, "of another number", NOW)
        taken = take(ours, copy)
    assert [one.what for one in taken.conflicts] == ["run T1"]
    assert taken.conflicts[0].why == "has another val_bpb there: 2.5, here 2.0"
    assert (ours.run(waits.id).val_bpb, ours.decisions()) == (2.0, [])


def test_a_study_that_two_copies_went_on_with_stays_as_it_is_here(
        ours: Ledger, theirs: Ledger, tmp_path: Path) -> None:
    _, kept = a_night(ours)
    ours.keep(tmp_path / "copy.db")
    with Ledger.open(tmp_path / "copy.db") as copy:
        for ledger, lr in ((ours, 2e-3), (copy, 4e-3)):
            run = a_run(ledger, dataclasses.replace(TINY, lr=lr), strategy="random", study=1)
            ledger.decide(ended(ledger, run).id, kept.id, "discarded", "r", {}, "no", NOW)
        taken = take(ours, copy)
    assert [one.what for one in taken.conflicts] == ["study 1"]
    assert [run.strategy for run in ours.study_runs(1)] == ["baseline", "random", "random"]
    assert {run.label for run in ours.runs()} == {"B1", "E1", "E2", "E2a"}
    before = all_rows(ours.path)
    take_in(ours, [tmp_path / "copy.db"])
    assert all_rows(ours.path) == before


# --- what another ledger may be --------------------------------------------------------------


def test_a_persons_own_stays_there_and_is_named(ours: Ledger, theirs: Ledger) -> None:
    a_run(theirs)
    theirs._db.execute("ALTER TABLE runs ADD COLUMN tag TEXT")
    theirs._db.execute("CREATE TABLE ideas (text TEXT)")
    theirs._db.execute("CREATE TRIGGER mine BEFORE INSERT ON runs BEGIN SELECT "
                       "RAISE(ABORT, 'no more'); END")
    taken = take(ours, theirs)
    assert (taken.n_runs, taken.own) == (1, ("table ideas", "column runs.tag"))


@pytest.mark.parametrize("last", [1, 5, 9, 13])
def test_one_of_an_older_schema_comes_in_and_stays_as_it_is(
        ours: Ledger, tmp_path: Path, last: int) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        steps = [step.name for step in migrations.pending(Database(memory=True))]
        migrations.apply(Database(connection), stop_before=steps[last])
        connection.executescript(f"""
            INSERT INTO corpora (id, name, source, text_sha256, vocab_size, tokenizer_sha256,
                search_sha256, created_at) VALUES (1, 's', 'builtin', 'aa', 9, 'b', 'c', '{NOW}');
            INSERT INTO runs (uid, label, created_at, state, strategy, config, config_hash,
                config_text, seed, budget_tokens, corpus_id) VALUES ('f00d', 'E1', '{NOW}',
                'finished', 'random', '{{}}', 'abcd', 'x', 0, 1000, 1);
            INSERT INTO metrics (run_id, step, tokens) VALUES (1, 10, 1000);""")
    before = path.read_bytes()
    assert take_in(ours, [path])[0].n_runs == 1
    assert path.read_bytes() == before
    assert (ours.run("E1").home, [one.step for one in ours.metrics(1)]) == ("f00d", [10])
    assert not any(take_in(ours, [path])[0].new.values())


@pytest.mark.parametrize(("spoil", "told"), [
    ("DELETE FROM _sqlite_migrations", "is a database of something else"),
    ("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('ledger', 'm999_x',"
     " 'now')", "was written by a newer version of this program"),
    ("PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 2 WHERE name = 'runs'",
     "is damaged"),
    ("ALTER TABLE decisions RENAME COLUMN reason TO why", "lacks decisions.reason")])
def test_what_cannot_be_read_is_one_sentence_and_nothing_of_ours_changes(
        ours: Ledger, theirs: Ledger, tmp_path: Path, spoil: str, told: str) -> None:
    a_night(ours)
    a_night(theirs)
    theirs.keep(tmp_path / "spoilt.db")
    with closing(sqlite3.connect(tmp_path / "spoilt.db", isolation_level=None)) as db:
        db.executescript(spoil)
    before = all_rows(ours.path)
    with pytest.raises(LedgerError, match=f"^{tmp_path}/spoilt.db {told}"):
        take_in(ours, [theirs.path, tmp_path / "spoilt.db"])
    assert all_rows(ours.path) == before


def test_what_is_no_ledger_is_refused(ours: Ledger, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello")
    (tmp_path / "link.db").symlink_to(ours.path)
    for name, told in (("none.db", "there is no ledger at"), ("text.db", "is no ledger; name"),
                       ("link.db", "is the ledger of this --home itself")):
        with pytest.raises(UserError, match=told):
            take_in(ours, [tmp_path / name])


# --- rehearsed -------------------------------------------------------------------------------


def test_a_rehearsal_says_what_the_merge_then_does(ours: Ledger, theirs: Ledger) -> None:
    a_night(ours, 2e-3)
    a_night(theirs)
    before = all_rows(ours.path)
    told = rehearse(ours, [theirs.path])
    assert all_rows(ours.path) == before
    assert take_in(ours, [theirs.path]) == told
    assert rehearse(None, [theirs.path])[0].n_runs == 2
