"""The runs as they lie in the repository: a table in text, compressed, the same bytes every time.

    python -m tests.bench.table pack runs.jsonl
    python -m tests.bench.table unpack --out runs.jsonl     # to go on with

The first line tells of the texts, the second names the columns: what a Row has, then the fields of
Config in which runs differ.
"""

import argparse
import csv
import dataclasses
import io
import json
import lzma
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import CHOICES, Config
from engine.errors import UserError
from engine.files import write_atomically
from tests.bench.table.rows import OLDEST, RUNGS, SCORES, Row, read_rows, read_texts

PATH = Path(__file__).with_name("runs.csv.xz")
MAX_BYTES = 1_000_000
DIGITS = 5  # of a bit per byte, behind the point
ABOUT = ("text", "slot", "kind", "seed", "state", "seconds")
RUNG_COLUMNS = tuple(f"rung{i}" for i in range(1, len(RUNGS) + 1))
FIELDS = tuple(field.name for field in dataclasses.fields(Config))


@dataclass(frozen=True)
class Table:
    """The runs, ordered by text, slot and seed, and what is known of their texts."""

    texts: dict[str, Any]
    rows: list[Row]


def pack(table: Table) -> bytes:
    rows = sorted(table.rows, key=lambda row: row.key)
    varied = [name for name in FIELDS
              if any(getattr(row.config, name) != getattr(OLDEST, name) for row in rows)]
    text = io.StringIO()
    text.write(json.dumps(table.texts, sort_keys=True) + "\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*ABOUT, *RUNG_COLUMNS, *SCORES, *varied])
    for row in rows:
        scores = [*row.rungs, *(getattr(row, name) for name in SCORES)]
        writer.writerow([*(getattr(row, name) for name in ABOUT),
                         *("" if bpb is None else f"{bpb:.{DIGITS}f}" for bpb in scores),
                         *(_cell(getattr(row.config, name)) for name in varied)])
    return lzma.compress(text.getvalue().encode(), preset=9 | lzma.PRESET_EXTREME)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def load(path: Path = PATH) -> Table:
    """The runs of a packed table."""
    head, _, body = lzma.decompress(path.read_bytes()).decode().partition("\n")
    return Table(json.loads(head), [_row(line) for line in csv.DictReader(io.StringIO(body))])


def _row(line: dict[str, str]) -> Row:
    def scores(names: Sequence[str]) -> list[float | None]:
        return [float(line[name]) if line[name] else None for name in names]

    fields = {name: line[name] if name in CHOICES else json.loads(line[name])
              for name in FIELDS if name in line}
    return Row(line["text"], int(line["slot"]), line["kind"], int(line["seed"]),
               Config.from_dict(fields), line["state"], float(line["seconds"]),
               tuple(scores(RUNG_COLUMNS)), *scores(SCORES))


def read(path: Path) -> Table:
    """The runs of a file that `make` writes, or of a packed one."""
    if path.suffix == ".xz":
        return load(path)
    table = Table(read_texts(path), read_rows(path))
    if not table.rows:
        raise UserError(f"{path} holds no run yet; python -m tests.bench.table make --out {path} "
                        "makes some")
    return table


def run_pack(options: argparse.Namespace) -> int:
    table = read(options.runs)
    data = pack(table)
    if len(data) > MAX_BYTES:
        raise UserError(f"{len(table.rows):,} runs take {len(data):,} bytes packed, more than the "
                        f"{MAX_BYTES:,} that may lie in the repository")
    write_atomically(options.to, data)
    sys.stdout.write(f"{len(table.rows):,} runs in {len(data):,} bytes: {options.to}\n")
    return 0


def run_unpack(options: argparse.Namespace) -> int:
    """The file that `make` and `ask` go on with, from the packed one."""
    if options.out.exists():
        raise UserError(f"{options.out} is there already; give another --out")
    table = load(options.table)
    lines = [{"texts": table.texts}, *(row.line() for row in table.rows)]
    write_atomically(options.out, "".join(json.dumps(line) + "\n" for line in lines).encode())
    sys.stdout.write(f"{len(table.rows):,} runs: {options.out}\n")
    return 0
