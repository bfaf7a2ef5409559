"""Tables for other programs: all rows, in batches, with labels."""

import itertools
from pathlib import Path

import pytest

from agent.ledger import exported
from agent.ledger.exported import export_table
from agent.ledger.reader import Reader
from tests.support import example_ledger as example


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    return path


@pytest.mark.parametrize("size", [1, 2, 2000])
def test_batches_hold_every_row_once_whatever_their_size(
        path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(exported, "BATCH", size)
    monkeypatch.setattr(exported, "RUNS_A_BATCH", size)
    with Reader.open(path) as ledger:
        for name in exported.EXPORTED:
            table = export_table(ledger, name)
            rows = list(itertools.chain.from_iterable(table.batches))
            (counted,) = ledger.rows(f"SELECT count(*) AS n FROM {name}")
            assert len(rows) == counted["n"] > 0
            assert list(rows[0]) == list(table.columns)


def test_metrics_and_decisions_name_their_runs(path: Path) -> None:
    with Reader.open(path) as ledger:
        metrics = [row for rows in export_table(ledger, "metrics").batches for row in rows]
        decisions = [row for rows in export_table(ledger, "decisions").batches for row in rows]
    assert [row["label"] for row in metrics].count("B2") == 4
    assert ("E1", "B2", "kept") in {(row["label"], row["against"], row["verdict"])
                                    for row in decisions}


def test_columns_that_hold_json_are_known_and_numbers_are_none_of_them(path: Path) -> None:
    with Reader.open(path) as ledger:
        assert export_table(ledger, "runs").json == {"config", "cells"}
        assert export_table(ledger, "decisions").json == {"evidence"}
        assert export_table(ledger, "metrics").json == frozenset()
