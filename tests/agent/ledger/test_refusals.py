"""What SQLite refuses is one sentence; a bug stays a bug."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.refusals import in_words
from engine.errors import LedgerBusy, LedgerError


def test_a_file_that_is_no_database_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("a poem, and a long one, which is no database at all\n" * 99)
    with closing(sqlite3.connect(path)) as db, pytest.raises(
            LedgerError, match="is not a SQLite database; move it away"), in_words(path):
        db.execute("SELECT 1 FROM sqlite_master")


def test_a_lock_of_another_program_is_told_as_what_passes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    one, other = sqlite3.connect(path), sqlite3.connect(path, timeout=0)
    one.execute("CREATE TABLE t (x)")
    one.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy, match="another program keeps"), in_words(path):
        other.execute("BEGIN IMMEDIATE")
    one.close()
    other.close()


def test_a_mistake_of_ours_keeps_its_own_words(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as db, pytest.raises(
            sqlite3.OperationalError), in_words(tmp_path):
        db.execute("SELEKT 1")
