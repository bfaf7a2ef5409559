"""Schema steps: every older file opens as the newest schema and keeps its rows."""

import re
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from agent import reader
from agent.ledger import Ledger
from agent.migrations import known_steps, migrations, taken_steps
from engine.errors import LedgerError

ROWS_OF_SCHEMA_1 = """
INSERT INTO corpora (id, name, source, text_sha256, vocab_size, tokenizer_sha256, search_sha256,
    created_at) VALUES (1, 'stories', 'builtin', 'aa', 1024, 'bb', 'cc', '2026-03-24T10:00:00Z');
INSERT INTO calibrations (id, created_at, corpus_id, text_sha256, budget_tokens, config)
    VALUES (1, '2026-03-24T10:00:00Z', 1, 'aa', 1000, '{}');
INSERT INTO grids VALUES (1, '2026-03-24T10:00:00Z', '["1M"]', '[1000]', 0, NULL);
INSERT INTO runs (id, uid, label, created_at, ended_at, state, strategy, grid_id, calibration_id,
    config, config_hash, config_text, seed, n_params, budget_tokens, steps, val_loss, vs_unigram,
    corpus_id, reason)
    VALUES (1, 'f00d', 'E1', '2026-03-24T10:00:00Z', '2026-03-24T10:10:00Z', 'finished', 'random',
    1, 1, '{"lr": 0.001}', 'abcd', '128d/4L', 0, 1311872, 1000, 10, 5.25, -0.01, 1, 'to see');
INSERT INTO metrics (run_id, step, tokens, train_loss) VALUES (1, 10, 1000, 5.5);
INSERT INTO decisions VALUES (1, '2026-03-24T10:11:00Z', 1, NULL, 'kept', 'noise-1', '{}', 'good');
INSERT INTO events VALUES (1, '2026-03-24T10:11:00Z', 'tick', 1, 'on', NULL);
"""
STEPS = known_steps()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def schema(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return rows


def older(path: Path, next_step: str) -> None:
    """A ledger of the schema just before a step, with a row in every table."""
    db = Database(sqlite3.connect(path))
    migrations.apply(db, stop_before=next_step)
    db.executescript(ROWS_OF_SCHEMA_1)
    db.close()


def test_steps_are_numbered_without_gaps() -> None:
    assert [int(name[1:4]) for name in STEPS] == list(range(1, len(STEPS) + 1))


def test_readers_know_the_names_of_all_steps() -> None:
    assert list(reader.STEPS) == STEPS


def test_empty_file_becomes_the_newest_schema(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.schema_version == len(STEPS)
        assert ledger.experiments() == []


def test_newest_schema_is_left_alone(path: Path) -> None:
    Ledger.open(path).close()
    before = path.read_bytes()
    Ledger.open(path).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("next_step", STEPS[1:])
def test_older_schema_becomes_the_newest_and_keeps_its_rows(
        path: Path, tmp_path: Path, next_step: str) -> None:
    older(path, next_step)
    Ledger.open(tmp_path / "new.db").close()
    with Ledger.open(path) as ledger:
        assert ledger.schema_version == len(STEPS)
        run = ledger.run("E1")
        assert (run.id, run.config, run.val_loss) == (1, {"lr": 0.001}, 5.25)
        assert [metric.step for metric in ledger.metrics(1)] == [10]
        assert [decision.reason for decision in ledger.decisions()] == ["good"]
        assert [event.message for event in ledger.events()] == ["on"]
        assert (ledger.corpus(1).name, ledger.calibration(1).budget_tokens) == ("stories", 1000)
        assert ledger.grid(1).sizes == ["1M"]
        assert [list(row.values()) for row in ledger.experiments()] == [
            ["E1", "03-24", "1.3M", "128d/4L", "10", "5.25", "-1.0%", "Kept", "to see"]]
    assert schema(path) == schema(tmp_path / "new.db")


@pytest.mark.parametrize(("next_step", "number"), [(STEPS[1], 1), (STEPS[-1], len(STEPS) - 1)])
def test_reader_of_an_older_schema_is_told_how_to_mend_it(
        path: Path, next_step: str, number: int) -> None:
    older(path, next_step)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=f"^{path} has schema {number} of {len(STEPS)}; "
                                          "`agent run` brings it up to date$"):
        Ledger.open(path, read_only=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_newer_schema_is_refused_untouched(path: Path, read_only: bool) -> None:
    Ledger.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
                       "VALUES ('ledger', 'm999_from_the_future', '2030-01-01')")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=rf"^{path} was written by a newer version of this "
                                          rf"program \(schema {len(STEPS) + 1}, known here "
                                          rf"{len(STEPS)}\); update the program$"):
        Ledger.open(path, read_only=read_only)
    assert path.read_bytes() == before


def test_failing_step_leaves_the_older_schema_whole(
        path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older(path, STEPS[1])
    before = schema(path)

    def torn(db: Database) -> None:
        db.execute("CREATE TABLE half (done INTEGER)")
        db.execute("CREATE TABLE half (done INTEGER)")

    monkeypatch.setattr(migrations._migrations[-1], "fn", torn)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        Ledger.open(path)
    db = Database(sqlite3.connect(path))
    assert taken_steps(db) == STEPS[:1]
    db.close()
    assert schema(path) == before


def test_every_column_of_runs_that_needs_words_has_them(path: Path) -> None:
    Ledger.open(path).close()
    text = dict(schema(path))["runs"]
    for column in ("vs_unigram", "events_offset", "budget_tokens", "cells", "config_hash"):
        assert re.search(rf"^ +{column} .*-- \w+", text, re.MULTILINE), column


def test_tables_are_strict_about_types(path: Path) -> None:
    Ledger.open(path).close()
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in INTEGER column"):
        connection.execute("INSERT INTO grids (created_at, sizes, tokens, seed) "
                           "VALUES ('now', '[]', '[]', 'seven')")
    connection.close()


@pytest.mark.parametrize(("query", "index"), [
    ("SELECT * FROM runs WHERE state = 'queued' ORDER BY id LIMIT 1", "runs_by_state"),
    ("SELECT * FROM runs WHERE label = 'E1'", "sqlite_autoindex_runs"),
    ("SELECT max(label) FROM runs WHERE label GLOB 'E[0-9]*'", "sqlite_autoindex_runs"),
    ("SELECT * FROM runs WHERE calibration_id = 1 ORDER BY id", "runs_by_calibration"),
    ("SELECT * FROM metrics WHERE run_id = 1 ORDER BY step", "PRIMARY KEY"),
    ("SELECT * FROM decisions WHERE run_id = 1 ORDER BY id DESC", "decisions_by_run"),
    ("SELECT * FROM events WHERE run_id = 1 ORDER BY id DESC LIMIT 9", "events_by_run"),
])
def test_long_ledgers_are_searched_by_index(path: Path, query: str, index: str) -> None:
    Ledger.open(path).close()
    connection = sqlite3.connect(path)
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query)]
    connection.close()
    assert len(plan) == 1
    assert index in plan[0]
