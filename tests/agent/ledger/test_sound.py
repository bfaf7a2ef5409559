"""A value of another kind than its column's is found, whichever bit fell over."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.reader import damage, faults
from agent.ledger.sound import TABLES, misfits
from tests.support import example_ledger as example


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA ignore_check_constraints = 1")
        db.execute(statement)
    db.close()


def test_a_ledger_as_we_write_it_is_sound(ledger: Path) -> None:
    assert (faults(ledger), damage(ledger)) == ([], None)
    assert damage(ledger.with_name("none.db")) is None


def test_the_published_record_is_sound() -> None:
    assert damage(Path(__file__).parents[3] / "ledger.db") is None


@pytest.mark.parametrize(("statement", "told"), [
    ("UPDATE runs SET config = '{' WHERE id = 4", "runs.config is '{' in row 4"),
    ("UPDATE runs SET config = '[]' WHERE id = 4", "runs.config is '[]' in row 4"),
    ("UPDATE runs SET config = 'null' WHERE id = 4", "runs.config is 'None' in row 4"),
    ("UPDATE runs SET created_at = CAST(x'ff' AS TEXT) WHERE id = 4", "runs cannot be read: "),
    ("UPDATE runs SET state = 'finish' WHERE id = 4", "finish")])
def test_a_value_of_another_kind_is_named_with_its_row(
        ledger: Path, statement: str, told: str) -> None:
    change(ledger, statement)
    found = damage(ledger)
    assert found
    assert told in found
    assert found.startswith(f"{ledger} is damaged: ")


def test_no_more_than_asked_for_are_told(ledger: Path) -> None:
    change(ledger, "UPDATE runs SET config = '['")
    with closing(sqlite3.connect(ledger)) as db, db:
        assert len(misfits(db, 3)) == 3
    db.close()


def test_a_table_that_is_gone_is_named(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as db, db:
        db.execute("DROP TABLE grids")
        assert misfits(db, 3) == ["grids cannot be read: no such table: grids"]
    db.close()
    assert set(TABLES) == {"runs", "corpora", "calibrations", "decisions", "events", "grids",
                           "metrics"}
