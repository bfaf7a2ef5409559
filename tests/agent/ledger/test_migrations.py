"""Schema steps: every older file opens as the newest schema and keeps its rows."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from sqlite_utils import Database

from agent.ledger import reader
from agent.ledger.ledger import Ledger
from agent.ledger.migrations import known_steps, migrations, taken_steps
from agent.ledger.reader import N_NEEDED
from agent.ledger.records import LABEL_LETTERS, NewRun, State, Verdict
from engine.config import Config
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
INSERT INTO events (id, at, kind, run_id, message, data)
    VALUES (1, '2026-03-24T10:11:00Z', 'tick', 1, 'on', NULL);
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


def older(path: Path, next_step: str | None) -> None:
    """A ledger of the schema just before a step, or of the newest, with a row in every table."""
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


@pytest.mark.parametrize("next_step", STEPS[1:])
def test_a_run_of_an_older_schema_has_no_rung_and_a_new_one_may_be_pruned_at_it(
        path: Path, next_step: str) -> None:
    older(path, next_step)
    with Ledger.open(path) as ledger:
        old = ledger.run("E1")
        assert (old.confirm_bpb, old.test_bpb, old.rung_bpb) == (None, None, None)
        new = ledger.queue(NewRun(
            uid="beef", created_at="2026-03-24T10:20:00Z", strategy="random", config=Config(),
            seed=0, budget_tokens=2_048_000, corpus_id=1))
        ledger.finish(new.id, "pruned", "2026-03-24T10:30:00Z", steps=500, rung_bpb=1.5)
        assert [(run.state, run.rung_bpb) for run in ledger.runs()[1:]] == [("pruned", 1.5)]
        row = ledger.experiments()[1]
        assert [row[name] for name in ("Steps", "val_loss", "vs Unigram", "Status")] == [
            "500", "-", "-", "Pruned"]
        assert ledger.undecided() == [ledger.run("E2")]


@pytest.mark.parametrize("next_step", [*STEPS[1:], None])
def test_a_state_that_is_none_and_a_run_of_no_corpus_are_still_refused(
        path: Path, next_step: str | None) -> None:
    older(path, next_step)
    Ledger.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: state IN"):
            db.execute("UPDATE runs SET state = 'resting'")
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: source"):
            db.execute("UPDATE runs SET corpus_id = NULL")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY constraint failed"):
            db.execute("UPDATE runs SET corpus_id = 7")
        with pytest.raises(sqlite3.IntegrityError, match="decisions are append-only"):
            db.execute("DELETE FROM decisions")
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_the_schema_cannot_be_written_once_it_is_the_newest(path: Path) -> None:
    with Ledger.open(path) as ledger, pytest.raises(
            sqlite3.OperationalError, match="table sqlite_master may not be modified"):
        ledger._db.execute("UPDATE sqlite_master SET sql = sql")


def test_who_has_the_ledger_open_meanwhile_sees_the_new_schema(path: Path) -> None:
    older(path, "m005_shards_and_rung")
    with closing(sqlite3.connect(path)) as onlooker:
        assert onlooker.execute("SELECT state FROM runs").fetchall() == [("finished",)]
        Ledger.open(path).close()
        onlooker.execute("UPDATE runs SET state = 'pruned', rung_bpb = 1.5")
        assert onlooker.execute("SELECT state, rung_bpb FROM runs").fetchall() == [("pruned", 1.5)]


def test_every_verdict_and_letter_is_named_in_the_schema(path: Path) -> None:
    Ledger.open(path).close()
    texts = dict(schema(path))
    comment = texts["decisions"].partition("verdict TEXT")[2].partition("rule TEXT")[0]
    assert [one for one in get_args(Verdict) if not re.search(rf"\b{one}\b", comment)] == []
    label = next(line for line in texts["runs"].splitlines() if " label TEXT" in line)
    assert [(letter, name) for name, letter in LABEL_LETTERS.items()
            if f"{letter} {name.replace('grid', 'grid cell').replace('hand', 'by hand')}"
            not in label] == []
    states = re.findall(r"'(\w+)'", texts["runs"].partition("(state IN")[2].partition(")")[0])
    assert states == list(get_args(State))


def test_a_table_that_was_changed_by_hand_is_left_as_it_is(path: Path) -> None:
    older(path, "m005_shards_and_rung")
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE decisions RENAME COLUMN reason TO why")
    before = schema(path)
    with pytest.raises(LedgerError) as caught:
        Ledger.open(path)
    assert str(caught.value) == (
        "the columns of decisions are not those this program made, so the ledger cannot be brought "
        "up to date; use another --home")
    assert schema(path) == before


def test_a_ledger_that_is_not_sound_is_left_as_it_is(path: Path) -> None:
    older(path, "m005_shards_and_rung")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("UPDATE runs SET state = 'resting'")
        db.commit()
    before = schema(path)
    with pytest.raises(LedgerError) as caught:
        Ledger.open(path)
    assert str(caught.value) == (
        "the ledger is not sound, so it is not brought up to date: CHECK constraint failed in "
        "runs; `agent doctor` says more")
    assert schema(path) == before


@pytest.mark.parametrize(("next_step", "number"), [(STEPS[1], 1), ("m005_shards_and_rung", 4)])
def test_reader_of_an_older_schema_is_told_how_to_mend_it(
        path: Path, next_step: str, number: int) -> None:
    older(path, next_step)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=f"^{path} has schema {number} of {len(STEPS)}; "
                                          "`agent run` brings it up to date$"):
        Ledger.open(path, read_only=True)
    assert path.read_bytes() == before


def test_reader_needs_no_step_that_only_adds_a_table(path: Path) -> None:
    older(path, STEPS[N_NEEDED])
    before = path.read_bytes()
    with Ledger.open(path, read_only=True) as ledger:
        assert ledger.run("E1").val_loss == 5.25
        assert ledger.blocks_on("aa", 1000, "confirm") == {}
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
    for column in ("vs_unigram", "events_offset", "budget_tokens", "cells", "config_hash",
                   "replicas", "confirm_bpb", "test_bpb", "rung_bpb", "kernels"):
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


@pytest.mark.parametrize("next_step", STEPS[1:])
def test_an_older_schema_with_columns_of_a_person_becomes_the_newest(path: Path,
                                                                     next_step: str) -> None:
    older(path, next_step)
    with closing(sqlite3.connect(path)) as db:
        for table in ("runs", "decisions", "metrics"):
            db.execute(f"ALTER TABLE {table} ADD COLUMN tag TEXT DEFAULT 'mine'")
    with Ledger.open(path) as ledger:
        assert ledger.schema_version == len(STEPS)
        assert ledger.rows("SELECT tag, label, rung_bpb FROM runs") == [
            {"tag": "mine", "label": "E1", "rung_bpb": None}]
        ledger._db.execute("UPDATE runs SET state = 'pruned'")
        assert ledger.runs()[0].state == "pruned"
