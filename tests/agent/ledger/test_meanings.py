"""Every column is described, once: by the schema's own comment or, where it has none, beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from agent.ledger.ledger import Ledger
from agent.ledger.meanings import UNSAID, commented, described


def test_every_column_of_a_ledger_is_described(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    found = described()
    with closing(sqlite3.connect(path)) as db:
        tables = [row[0] for row in db.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite%' AND name NOT LIKE '~_%' ESCAPE '~'")]
        assert sorted(found) == sorted(tables)
        for table in tables:
            about, columns = found[table]
            assert about, table
            assert list(columns) == [row[1] for row in db.execute(f"PRAGMA table_xinfo({table})")]
            assert [name for name, told in columns.items() if not told] == [], table


def test_nothing_is_described_twice_or_for_nothing() -> None:
    used = set()
    for table, (_, columns) in described().items():
        for column, told in columns.items():
            key = f"{table}.{column}" if f"{table}.{column}" in UNSAID else column
            if UNSAID.get(key) == told:
                used.add(key)
    assert set(UNSAID) - used == set()


def test_comments_are_read_over_lines_and_a_checks_lines_are_none() -> None:
    text = """CREATE TABLE t (  -- what
                  -- it is
    a TEXT CHECK (a IN
        ('x', 'y')),
    -- of nobody
    b REAL,       -- below zero: -0.5
                  -- is half
    c INTEGER,
    d REAL        -- first ...
)"""
    assert commented(text, ["a", "b", "c", "d"]) == (
        "What it is", {"b": "Below zero: -0.5 is half"})
