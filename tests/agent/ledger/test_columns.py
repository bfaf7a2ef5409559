"""Only the columns of the records are read, whatever a person has added, renamed or rebuilt."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.columns import TABLES, fields, lacking, present
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.ledger.records import Decision, Event, Run
from engine.errors import LedgerError
from tests.support import example_ledger as example


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


def test_what_a_joined_run_lends_a_record_is_no_column_of_its_table() -> None:
    assert not {"label", "against"} & {*fields(Decision), *fields(Event)}
    assert "label" in fields(Run)


def test_nothing_is_lacking_in_a_ledger_as_it_was_made(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        assert lacking(db, to_write=True) == []


def test_a_table_rebuilt_in_another_order_reads_the_same(path: Path) -> None:
    with Reader.open(path) as ledger:
        before = ledger.runs()
    with closing(sqlite3.connect(path)) as db:
        names = sorted(present(db, "runs"), reverse=True)
    change(path, f"CREATE TABLE anew AS SELECT {', '.join(names)}, 1 AS mine FROM runs",
           "DROP VIEW experiments", "DROP TABLE runs", "ALTER TABLE anew RENAME TO runs")
    with Reader.open(path) as ledger:
        assert ledger.runs() == before
        assert ledger.experiments()


def test_a_column_that_may_be_unknown_reads_as_unknown_where_it_is_gone(path: Path) -> None:
    change(path, "DROP VIEW experiments", "ALTER TABLE runs RENAME COLUMN notes TO my_notes")
    with Reader.open(path) as ledger:
        assert {run.notes for run in ledger.runs()} == {None}


@pytest.mark.parametrize("statement", ["ALTER TABLE decisions RENAME COLUMN reason TO why",
                                       "ALTER TABLE events RENAME COLUMN at TO moment"])
def test_one_that_must_be_known_is_named_with_what_brings_it_back(path: Path,
                                                                 statement: str) -> None:
    change(path, statement)
    table, column = statement.split()[2], statement.split()[5]
    with pytest.raises(LedgerError, match=rf"lacks {table}\.{column}, changed by hand; name it as "
                                          rf"it was, such as ALTER TABLE {table} RENAME COLUMN … "
                                          rf"TO {column}, or use another --home"):
        Reader.open(path)


def test_who_writes_needs_every_column(path: Path) -> None:
    change(path, "DROP VIEW experiments", "ALTER TABLE runs RENAME COLUMN notes TO my_notes")
    with pytest.raises(LedgerError, match=r"lacks runs\.notes, changed by hand"):
        Ledger.open(path)


def test_columns_of_every_kind_stay_what_they_are_while_a_night_writes(path: Path) -> None:
    for table in TABLES.values():
        change(path, *(f"ALTER TABLE {table} ADD COLUMN mine_{kind} {kind}"
                       for kind in ("TEXT", "INTEGER", "REAL", "BLOB", "ANY")),
               f"ALTER TABLE {table} ADD COLUMN made TEXT AS ('a' || 'b') VIRTUAL",
               f"ALTER TABLE {table} ADD COLUMN least INTEGER NOT NULL DEFAULT 7",
               f"CREATE INDEX mine_{table} ON {table} (mine_TEXT)")
    change(path, "UPDATE runs SET mine_BLOB = x'00ff', mine_ANY = 3",
           "CREATE TABLE notebook (run TEXT)", "CREATE VIEW mine AS SELECT * FROM runs",
           "CREATE TRIGGER mine AFTER INSERT ON events BEGIN "
           "INSERT INTO notebook VALUES (new.kind); END")
    with Ledger.open(path) as ledger:
        run = example.queue(ledger, seed=5)
        ledger.event("night", "on", example.NOW)
        example.finish(ledger, run, 2.4, example.NOW)
        ledger.decide(run.id, None, "recorded", "rule/1", {}, "to see", example.NOW)
        assert ledger.run(run.label).val_loss == 2.4
        assert ledger.rows("SELECT mine_ANY, made, least FROM runs WHERE id = ?", 1) == [
            {"mine_ANY": 3, "made": "ab", "least": 7}]
        assert ledger.rows("SELECT run FROM notebook") == [{"run": "night"}]


def test_a_trigger_that_refuses_is_named(path: Path) -> None:
    change(path, "CREATE TRIGGER mine BEFORE INSERT ON events BEGIN "
                 "SELECT RAISE(ABORT, 'not today'); END")
    with Ledger.open(path) as ledger, pytest.raises(
            LedgerError, match=r"a trigger in .* keeps this program from writing \(not today\)"):
        ledger.event("night", "on", example.NOW)


def test_a_trigger_that_asks_for_what_is_gone_is_no_traceback(path: Path) -> None:
    change(path, "CREATE TABLE mine (a)",
           "CREATE TRIGGER mine BEFORE INSERT ON events BEGIN INSERT INTO mine VALUES (1); END",
           "DROP TABLE mine")
    with Ledger.open(path) as ledger, pytest.raises(
            LedgerError, match=r"\(no such table: main\.mine\): a table, column or trigger was"):
        ledger.event("night", "on", example.NOW)


@pytest.mark.parametrize("table", ["decisions", "metrics", "events"])
def test_a_new_run_never_gets_what_was_noted_of_one_that_was_deleted(path: Path,
                                                                     table: str) -> None:
    with Ledger.open(path) as ledger:
        newest = ledger.runs()[-1].id
    row = {"decisions": f"VALUES (99, 'x', {newest}, NULL, 'kept', 'r', '{{}}', '')",
           "metrics": f"(run_id, step, tokens) VALUES ({newest}, 1, 1)",
           "events": f"VALUES (99, 'x', 'retry', {newest}, '', NULL, NULL)"}[table]
    change(path, f"INSERT INTO {table} {row}", f"DELETE FROM runs WHERE id = {newest}")
    with Ledger.open(path) as ledger:
        run = example.queue(ledger, seed=8)
        assert run.id > newest
        assert (ledger.decisions(run.id), ledger.metrics(run.id), ledger.events(None, run.id)) == (
            [], [], [])


def test_a_new_study_never_gets_the_runs_of_one_that_was_deleted(path: Path) -> None:
    change(path, "DELETE FROM calibrations", "DELETE FROM corpora")
    with Ledger.open(path) as ledger:
        corpus = example.add_corpus(ledger, text_sha256="another")
        study = example.add_study(ledger, corpus)
        assert (corpus, study) == (2, 2)
        assert ledger.study_runs(study) == []
