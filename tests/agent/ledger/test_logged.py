"""What a run logged of its network: kept, renewed, forgotten, and absent in older files."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.logged import forget, layers_of, trace_of
from agent.ledger.merge import take_in
from agent.ledger.reader import Reader
from agent.ledger.records import Layer, Metric, Trace
from tests.support.parts import NOW, a_run, a_study

ROOT = Path(__file__).resolve().parents[3]
TRACE = Trace(12, "forward", 1, "mlp.down", ["infinite weight: one entry"], "block 1 …",
              {"growth": [[3, 0.5]]})
LAYERS = [Layer(1, 0, 0.5, 1e-3, 2.0, 0.9, 0.0), Layer(1, 1, 0.5), Layer(2, 0, float("inf"))]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        a_study(opened)
        a_run(opened)
        opened.claim(NOW)
        yield opened


def test_layers_and_a_trace_come_back_and_a_later_word_counts(ledger: Ledger) -> None:
    ledger.ingest(1, [Metric(1, 32)], 10, NOW, [*LAYERS, TRACE])
    assert layers_of(ledger, 1) == [*LAYERS[:2], Layer(2, 0)]  # what is not finite is unknown
    assert trace_of(ledger, 1) == TRACE
    ledger.ingest(1, [], 20, NOW, [Layer(1, 1, 0.7)])
    assert layers_of(ledger, 1)[1] == Layer(1, 1, 0.7)
    assert layers_of(ledger, 2) == []
    assert trace_of(ledger, 2) is None


def test_an_attempt_that_is_begun_anew_leaves_nothing(ledger: Ledger) -> None:
    ledger.ingest(1, [Metric(1, 32)], 10, NOW, [*LAYERS, TRACE])
    forget(ledger._connection, 1)
    assert (ledger.metrics(1), layers_of(ledger, 1), trace_of(ledger, 1)) == ([], [], None)


def test_they_go_with_their_run_into_another_ledger(ledger: Ledger, tmp_path: Path) -> None:
    ledger.ingest(1, [Metric(1, 32)], 10, NOW, [*LAYERS, TRACE])
    ledger.finish(1, "diverged", NOW, error="loss nan")
    with Ledger.open(tmp_path / "other.db") as other:
        take_in(other, [ledger.path])
        assert layers_of(other, 1) == layers_of(ledger, 1)
        assert trace_of(other, 1) == TRACE


@pytest.mark.parametrize("change", ["UPDATE traces SET causes = 'none'",
                                    "UPDATE traces SET data = '[]'",
                                    "ALTER TABLE traces RENAME COLUMN told TO said",
                                    "ALTER TABLE layers RENAME COLUMN act_rms TO mine",
                                    "ALTER TABLE layers RENAME COLUMN run_id TO run"])
def test_what_a_person_changed_reads_as_unknown(ledger: Ledger, change: str) -> None:
    ledger.ingest(1, [], 10, NOW, [*LAYERS, TRACE])
    with closing(sqlite3.connect(ledger.path)) as db, db:
        db.execute(change)
    with Reader.open(ledger.path) as reader:
        assert trace_of(reader, 1) in (None, TRACE)
        assert {layer.act_rms for layer in layers_of(reader, 1)} <= {None, 0.5}


def test_a_ledger_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    path = shutil.copy(ROOT / "ledger.db", tmp_path / "ledger.db")
    with closing(sqlite3.connect(path)) as db:
        for table in ("layers", "traces"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm009_layers'")
        db.commit()
    with Reader.open(path) as ledger:
        assert (layers_of(ledger, 1), trace_of(ledger, 1)) == ([], None)
