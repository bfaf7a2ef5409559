"""Numbering anew: what points to a row follows, and triggers see what comes in and no more."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.merge import take_in
from engine.errors import LedgerError
from tests.support.parts import a_run

EARLY = "UPDATE runs SET created_at = '2026-01-01T00:00:00Z'"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ours.db") as opened:
        a_run(opened)
        yield opened


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A ledger whose runs are older, so that those of ours get other numbers."""
    with Ledger.open(tmp_path / "theirs.db") as opened:
        a_run(opened, seed=1)
        opened._db.execute(EARLY)
    return tmp_path / "theirs.db"


def test_a_persons_own_table_follows_what_it_refers_to(ours: Ledger, theirs: Path) -> None:
    mine = ours.runs()[0]
    ours._db.execute("CREATE TABLE ideas (run INTEGER REFERENCES runs, text TEXT)")
    ours._db.execute("INSERT INTO ideas VALUES (?, 'mine')", [mine.id])
    take_in(ours, [theirs])
    now = ours.run(mine.uid)
    assert (mine.id, now.id, now.label) == (1, 2, "T1b")
    assert ours.rows("SELECT run FROM ideas") == [{"run": 2}]


def test_triggers_of_a_persons_own_see_what_comes_in_alone(ours: Ledger, theirs: Path) -> None:
    ours._db.execute("CREATE TABLE seen (uid TEXT)")
    for what in ("INSERT", "UPDATE"):
        ours._db.execute(f"CREATE TRIGGER on_{what} AFTER {what} ON runs BEGIN "
                         "INSERT INTO seen VALUES (new.uid); END")
    before = ours.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
    take_in(ours, [theirs])
    (older,) = [run for run in ours.runs() if run.label == "T1"]
    assert ours.rows("SELECT uid FROM seen") == [{"uid": older.uid}]
    assert ours.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' "
                     "ORDER BY name") == before


def test_a_trigger_that_forbids_it_is_told_and_nothing_comes_in(
        ours: Ledger, theirs: Path) -> None:
    ours._db.execute("CREATE TRIGGER mine BEFORE INSERT ON runs BEGIN SELECT "
                     "RAISE(ABORT, 'no more'); END")
    before = ours.runs()
    with pytest.raises(LedgerError, match=r"a trigger in .*ours.db keeps this program from .*no m"):
        take_in(ours, [theirs])
    assert ours.runs() == before


def test_what_is_said_of_a_run_that_was_deleted_is_never_anothers(
        ours: Ledger, theirs: Path) -> None:
    gone = a_run(ours, seed=3)
    ours.event("guard", "of what is gone", "2026-11-20T10:00:00Z", gone.id)
    by_hand = sqlite3.connect(ours.path, isolation_level=None)  # asks for no foreign keys
    by_hand.execute("DELETE FROM runs WHERE id = ?", [gone.id])
    by_hand.close()
    take_in(ours, [theirs])
    (event,) = ours.events()
    assert event.run_id == 3
    assert [run.id for run in ours.runs()] == [1, 2]
