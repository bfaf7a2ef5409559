"""Tables of a ledger in the formats that other programs read: CSV, JSON lines, Parquet."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TextIO

from agent.ledger import Exported
from engine.errors import UserError
from engine.files import storage_error
from engine.text import write_parquet

Format = Literal["csv", "jsonl", "parquet"]


def write_csv(table: Exported, file: TextIO) -> int:
    """The table with a line of names first; unknown is empty. Returns the number of rows."""
    writer, n_rows = csv.writer(file, lineterminator="\n"), 0
    writer.writerow(table.columns)
    for rows in table.batches:
        writer.writerows(["" if row[name] is None else row[name] for name in table.columns]
                         for row in rows)
        n_rows += len(rows)
    return n_rows


def write_jsonl(table: Exported, file: TextIO, *, names_table: bool = False) -> int:
    """A JSON object a line, with `table` in it where more than one goes there; JSON stays JSON."""
    n_rows = 0
    for rows in table.batches:
        for row in rows:
            whole: dict[str, Any] = {"table": table.name} if names_table else {}
            whole |= {name: _parsed(row[name]) if name in table.json else row[name]
                      for name in table.columns}
            file.write(json.dumps(whole, ensure_ascii=False) + "\n")
        n_rows += len(rows)
    return n_rows


def write_file(table: Exported, folder: Path, form: Format) -> tuple[Path, int]:
    """The table as a file of its name; whole or not at all. Returns its path and number of rows.

    Raises StorageError where the disk is full or may not be written.
    """
    path = folder / f"{table.name}.{form}"
    part = path.with_name(f"{path.name}.part")
    try:
        n_rows = _WRITERS[form](table, part)
        os.replace(part, path)
    except OSError as error:
        n_bytes = part.stat().st_size if part.exists() else 0
        part.unlink(missing_ok=True)
        raise storage_error(error, path, n_bytes) from error
    except (UserError, KeyboardInterrupt):
        part.unlink(missing_ok=True)
        raise
    return path, n_rows


def _parsed(text: str | None) -> Any:
    """A JSON column as JSON; text that a person put there stays text."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _as_text(write: Callable[[Exported, TextIO], int]) -> Callable[[Exported, Path], int]:
    def written(table: Exported, part: Path) -> int:
        with open(part, "w", encoding="utf-8", newline="") as file:
            n_rows = write(table, file)
            file.flush()
            os.fsync(file.fileno())
        return n_rows
    return written


_WRITERS: dict[Format, Callable[[Exported, Path], int]] = {
    "csv": _as_text(write_csv), "jsonl": _as_text(write_jsonl),
    "parquet": lambda table, part: write_parquet(part, table.columns, table.batches)}
