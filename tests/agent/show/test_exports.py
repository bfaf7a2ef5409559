"""Formats that other programs read, read back by others than us."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.exported import export_table
from agent.ledger.reader import Reader
from agent.show.exports import write_csv, write_file, write_jsonl
from engine.errors import StorageError, UserError
from tests.support import example_ledger as example
from tests.support import hostile


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Reader]:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    hostile.spoil(path)
    with Reader.open(path) as reader:
        yield reader


def test_csv_brings_every_cell_back(ledger: Reader) -> None:
    file = io.StringIO()
    assert write_csv(export_table(ledger, "runs"), file) == 7
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    for row, run in zip(rows, ledger.runs(), strict=True):
        assert row["label"] == run.label
        assert row["reason"] == run.reason
        assert json.loads(row["config"]) == run.config
        assert row["val_bpb"] == ("" if run.val_bpb is None else repr(run.val_bpb))


def test_json_lines_keep_types_and_may_name_their_table(ledger: Reader) -> None:
    file = io.StringIO()
    write_jsonl(export_table(ledger, "decisions"), file, names_table=True)
    rows = [json.loads(line) for line in file.getvalue().splitlines()]
    assert {row["table"] for row in rows} == {"decisions"}
    assert rows[1]["evidence"]["gain_bpb"] == 0.0232
    assert rows[0]["against"] is None


def test_parquet_has_the_columns_types_and_rows(ledger: Reader, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path, n_rows = write_file(export_table(ledger, "metrics"), tmp_path, "parquet")
    table = parquet.read_table(path)
    assert table.num_rows == n_rows == 13
    assert str(table.schema.field("step").type) == "int64"
    assert str(table.schema.field("train_loss").type) == "double"
    assert table.column("label").to_pylist() == [
        row["label"] for rows in export_table(ledger, "metrics").batches for row in rows]


def test_without_pyarrow_the_extra_is_named_and_nothing_is_left(
        ledger: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'phi-auto\[parquet\]', or take --csv"):
        write_file(export_table(ledger, "runs"), tmp_path, "parquet")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("runs")] == []


def test_a_file_is_whole_or_as_it_was(ledger: Reader, tmp_path: Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = write_file(export_table(ledger, "runs"), tmp_path, "csv")
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageError, match="No space left on device"):
        write_file(export_table(ledger, "runs"), tmp_path, "csv")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
