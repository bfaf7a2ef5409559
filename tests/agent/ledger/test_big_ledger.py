"""A ledger of years: the status of one is that of all its rows, and asked of indexes."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.show.status import gather
from tests.bench import big_ledger
from tests.support.example_ledger import NOW

N_RUNS, N_METRICS, N_STUDIES = 60, 5, 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "ledger.db"
    big_ledger.fill(path, N_RUNS, N_METRICS, N_STUDIES)
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    with Reader.open(path) as reader:
        yield reader


def test_it_is_a_ledger_like_any_other(path: Path, reader: Reader) -> None:
    with Ledger.open(path) as ledger:
        assert ledger._rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert ledger._rows("PRAGMA foreign_key_check") == []
        assert ledger.undecided() == []
    runs = reader.runs()
    assert len(runs) == N_RUNS
    assert [run.state for run in runs] == ["finished"] * (N_RUNS - 1) + ["running"]
    assert {run.calibration_id for run in runs} == {1, 2, 3}
    assert [len(reader.metrics(run.id)) for run in runs] == [N_METRICS] * N_RUNS
    assert len(reader.decisions()) == N_RUNS - 1
    assert len(reader.experiments()) == N_RUNS


def test_its_status_counts_every_run(reader: Reader) -> None:
    status = gather(reader, NOW, is_daemon_alive=True, read_mb=lambda pid: None)
    assert status.counts["finished"] == N_RUNS - 1
    assert status.run is not None
    assert (status.run.label, len(status.curve)) == (f"E{N_RUNS}", N_METRICS)
    assert status.night is not None
    assert status.night.n_ended == N_RUNS // N_STUDIES  # the last study, and the run that led to it
    assert status.best is not None
    assert status.best.id == 50  # of those kept, here each fiftieth


def plan(path: Path, statements: list[str]) -> list[str]:
    connection = sqlite3.connect(path)
    steps = [row[3] for statement in statements
             for row in connection.execute("EXPLAIN QUERY PLAN " + statement)]
    connection.close()
    return steps


@pytest.mark.parametrize(("ask", "indexes"), [
    (Reader.best, ["runs_by_state", "decisions_by_run"]),
    (Reader.counts, ["runs_by_state"]),
    (Reader.current, ["runs_by_state"]),
    (lambda reader: reader.metrics(7), ["PRIMARY KEY"]),
    (Reader.events_of_night, ["INTEGER PRIMARY KEY"]),
    (Reader.undecided, ["COVERING INDEX runs_by_state", "COVERING INDEX decisions_by_run"]),
], ids=["best", "counts", "current", "metrics", "events", "undecided"])
def test_what_status_and_a_waiting_daemon_ask_uses_indexes(path: Path, reader: Reader, ask: object,
                                       indexes: list[str]) -> None:
    assert callable(ask)
    asked: list[str] = []
    reader._connection.set_trace_callback(asked.append)  # with the values filled in
    ask(reader)
    steps = plan(path, asked)
    assert [index for index in indexes if not any(index in step for step in steps)] == []
    assert [step for step in steps if step.startswith("SCAN") and "INDEX" not in step] == []
