"""A ledger that a person has changed by hand is read by every command that looks."""

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.columns import TABLES, present
from tests.support.example_home import a_home, agent

LOOKS = [["status"], ["table"], ["runs"], ["show", "E1"], ["show", "best"], ["show", "head"],
         ["log", "E1"], ["compare", "baseline", "E1"], ["lineage"], ["lineage", "E1"],
         ["baselines"], ["sample", "E1", "--tokens", "2"], ["path", "E1"], ["importance"],
         ["doctor"], ["studies"], ["best"], ["trace", "E1"]]
ROWS = ["runs WHERE label = 'E1'", "runs WHERE label = 'B2'", "runs WHERE label = 'E3'", "runs",
        "decisions", "decisions WHERE id = 2", "metrics", "corpora", "calibrations", "events"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return a_home(tmp_path / "home")


def change(home: Home, *statements: str) -> None:
    with closing(sqlite3.connect(home.ledger)) as db, db:
        for statement in statements:
            db.execute(statement)


def outcomes(home: Home) -> dict[str, tuple[int, str]]:
    """Status and output of every command that looks; a traceback fails here."""
    found = {}
    for look in (*LOOKS, *([*look, "--json"] for look in LOOKS)):
        result = agent(home, *look)
        assert result.exception is None or isinstance(result.exception, SystemExit), look
        assert result.exit_code in (0, 1), look
        found[" ".join(look)] = (result.exit_code, result.output)
    return found


def steady(found: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    """Without what looks at the clock and the machine."""
    return {name: one for name, one in found.items()
            if not name.startswith(("status", "doctor"))}


@pytest.mark.parametrize("table", TABLES.values())
def test_columns_of_any_name_change_nothing_that_is_shown(home: Home, table: str) -> None:
    before = steady(outcomes(home))
    with closing(sqlite3.connect(home.ledger)) as db:
        names = set(itertools.chain.from_iterable(present(db, one) for one in TABLES.values()))
        names |= {"tag", "against", "select", "gain_bpb", "a b", "Ü"}
        names -= {name for name in names if name.lower() in present(db, table)}
    change(home, *(f'ALTER TABLE {table} ADD COLUMN "{name}" TEXT' for name in sorted(names)),
           "DROP TRIGGER decisions_never_change", f"UPDATE {table} SET \"{min(names)}\" = 'mine'")
    after = outcomes(home)
    assert steady(after) == before
    assert after["status"][0] == 0


def test_tables_views_triggers_and_indexes_change_nothing_that_is_shown(home: Home) -> None:
    before = steady(outcomes(home))
    change(home, "CREATE TABLE tags (run_id INTEGER, state TEXT)",
           "CREATE VIEW good AS SELECT * FROM runs WHERE val_bpb < 1.2",
           "CREATE VIEW broken AS SELECT * FROM runs WHERE val_bpb < 1",
           "CREATE TRIGGER mine AFTER UPDATE ON runs BEGIN INSERT INTO tags VALUES (1, 'a'); END",
           "CREATE INDEX mine ON runs (val_bpb DESC, label)", "DROP INDEX runs_by_state",
           "ALTER TABLE runs ADD COLUMN n_layer INTEGER AS (json_extract(config, '$.n_layer'))")
    assert steady(outcomes(home)) == before


@pytest.mark.parametrize("rows", ROWS)
def test_deleted_rows_break_no_command_that_looks(home: Home, rows: str) -> None:
    change(home, "DROP TRIGGER decisions_never_go", f"DELETE FROM {rows}")
    found = outcomes(home)
    assert [found[name][0] for name in ("status", "table", "runs", "baselines")] == [0, 0, 0, 0]


def test_what_is_gone_and_needed_is_named_by_doctor(home: Home) -> None:
    change(home, "DELETE FROM runs WHERE label = 'E1'")
    said = " ".join(agent(home, "doctor").output.split())
    assert "FAIL ledger the ledger lacks row 4 of runs, which decision 2 (kept" in said
    assert "put the rows back from a copy of ledger.db, or begin another study" in said


def test_what_is_gone_and_needed_by_nothing_is_no_failure(home: Home) -> None:
    change(home, "DELETE FROM runs WHERE label = 'E2'")
    said = " ".join(agent(home, "doctor").output.split())
    assert "warn ledger the ledger lacks row 5 of runs" in said


def test_a_run_whose_text_was_deleted_is_shown_without_it(home: Home) -> None:
    change(home, "DELETE FROM corpora")
    assert agent(home, "show", "E1").exit_code == 0
    said = agent(home, "compare", "B2", "E1")
    assert (said.exit_code, said.stderr) == (
        1, "agent: the text of B2, row 1 of corpora, was deleted from the ledger, so nothing "
           "compares with it\n")
