"""Every run in light rows, with what was decided on it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from agent.ledger.overview import run_rows
from agent.ledger.reader import Reader
from tests.support import example_ledger as example


def a_night(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    return path


def test_rows_are_the_runs_with_their_newest_verdict_and_all_that_ever_was(tmp_path: Path) -> None:
    path = a_night(tmp_path)
    with Reader.open(path) as ledger:
        rows = {row.label: row for row in run_rows(ledger)}
        for run in ledger.runs():
            row = rows[run.label]
            assert (row.state, row.val_bpb, row.reason) == (run.state, run.val_bpb, run.reason)
            assert row.fields() == run.config
    assert (rows["B2"].verdict, rows["E1"].is_kept, rows["E2"].is_kept) == ("baseline", 1, 0)
    assert rows["B1"].published()["Status"] == "Baseline"
    assert rows["E1"].published() == {}


def test_a_column_that_was_taken_away_by_hand_reads_as_unknown(tmp_path: Path) -> None:
    path = a_night(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for (view,) in list(connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'view'")):
            connection.execute(f"DROP VIEW {view}")
        connection.execute("ALTER TABLE runs DROP COLUMN rung_bpb")
    with Reader.open(path) as ledger:
        assert {row.rung_bpb for row in run_rows(ledger)} == {None}
