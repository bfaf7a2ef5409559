"""The published table read into rows of the ledger, its cells kept word for word."""

import codecs
import csv
import dataclasses
import datetime as dt
import io
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from agent.ledger.experiments import EXPERIMENT_COLUMNS
from agent.ledger.records import State
from agent.words import cut
from engine.config import OPTIMIZER_TITLES, Config
from engine.errors import LedgerError

# The source dates its rows 03-24 without a year; this one is an assumption.
ASSUMED_YEAR = 2026

SQLITE = b"SQLite format 3\0"  # how a database begins
MAX_BYTES = 50_000_000  # of a table; the published one has 20 kB
MAX_CELL = 10**15  # a count or a loss beyond it is a slip
SHOWN = 60  # characters of what a table that is none begins with

_SCALES = {"": "1", "%": "0.01", "k": "1e3", "M": "1e6", "B": "1e9"}


def is_ledger(path: Path) -> bool:
    """Whether a file is a SQLite database, by its first bytes. LedgerError: it cannot be read."""
    if not path.is_file():
        return False  # a pipe or a device, which would be read only once or without an end
    try:
        with open(path, "rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror or error}") from error


def table_text(path: Path) -> str:
    """The text of a table; LedgerError, with what the file is instead, where it has none."""
    try:
        if not path.is_file():
            raise LedgerError(f"{path} is no file; give a published table as CSV")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise LedgerError(f"{path} is over {MAX_BYTES / 1e6:.0f} MB long and no published table")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LedgerError(f"{path} is UTF-16 text; save it as CSV in UTF-8: iconv -f UTF-16 -t "
                          "UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise LedgerError(f"{path} is no UTF-8 text in line {number}; save it as CSV in UTF-8, "
                          "such as by iconv -f CP1252 -t UTF-8") from error


def new_rows(path: Path, csv_text: str, known: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows that the ledger at path lacks; LedgerError where it has a run of that label.

    known  where each of its runs comes from, by label
    """
    new = [row for row in parse(csv_text) if known.get(row["label"]) != "published"]
    for row in new:
        if row["label"] in known:
            raise LedgerError(f"{path} already has a run of its own called {row['label']}; "
                              "import the published table before the first run")
    return new


def parse(csv_text: str) -> list[dict[str, Any]]:
    """Rows for the table `runs`, in the order of the text; LedgerError if it is another table.

    Only what a cell says becomes a number: ~6.5 is 6.5, -1.3% is -0.013, 1.3M is 1300000, and
    `div` or `-` is None. `created_at` takes ASSUMED_YEAR and midnight, which the source lacks.
    """
    try:
        table = list(csv.reader(io.StringIO(csv_text.removeprefix("\ufeff"), newline="")))
    except csv.Error as error:
        raise LedgerError(f"the published table is no CSV: {error}") from error
    if not table or tuple(table[0]) != EXPERIMENT_COLUMNS:
        found = cut(",".join(table[0]), SHOWN) if table else "nothing"
        raise LedgerError(
            f"the published table must begin with {','.join(EXPERIMENT_COLUMNS)}, not {found}")
    return [_row(number, cells) for number, cells in enumerate(table[1:], start=2) if cells]


def _row(number: int, texts: list[str]) -> dict[str, Any]:
    if len(texts) != len(EXPERIMENT_COLUMNS):
        raise LedgerError(f"row {number} of the published table has {len(texts)} cells "
                          f"instead of {len(EXPERIMENT_COLUMNS)}")
    cells = dict(zip(EXPERIMENT_COLUMNS, texts, strict=True))
    n_params, steps = _number(cells["Params"]), _number(cells["Steps"])
    val_loss, vs_unigram = _number(cells["val_loss"]), _number(cells["vs Unigram"])
    return {
        # The same row has the same uid in every ledger that imports it.
        "uid": uuid.uuid5(uuid.NAMESPACE_OID, "phi-auto published " + cells["ID"]).hex,
        "label": cells["ID"],
        "created_at": _date(number, cells["Date"]),
        "state": _state(cells),
        "source": "published",
        "config": _config(cells["Config"]),
        "config_text": cells["Config"],
        "n_params": None if n_params is None else int(n_params),
        "steps": None if steps is None else int(steps),
        "val_loss": None if val_loss is None else float(val_loss),
        "vs_unigram": None if vs_unigram is None else float(vs_unigram),
        "notes": cells["Notes"],
        "cells": cells,
    }


def _date(number: int, cell: str) -> str:
    try:
        return f"{dt.date.fromisoformat(f'{ASSUMED_YEAR}-{cell}')}T00:00:00Z"
    except ValueError:
        raise LedgerError(
            f"row {number} of the published table is dated '{cell}'; use MM-DD") from None


def _state(cells: dict[str, str]) -> State:
    if cells["val_loss"] == "div":
        return "diverged"
    if cells["Status"] == "Killed":
        return "killed"
    return "failed" if cells["Status"] == "Failed" else "finished"


def _number(cell: str) -> Decimal | None:
    """Decimal, so that -1.3 % becomes the float nearest to -0.013."""
    match = re.fullmatch(r"~?([+-]?[0-9]+(?:\.[0-9]+)?)([%kMB]?)", cell)
    found = Decimal(match[1]) * Decimal(_SCALES[match[2]]) if match else None
    return found if found is not None and abs(found) <= MAX_CELL else None


def _config(cell: str) -> dict[str, Any]:
    """Fields of Config that the cell names: `128d/4L Lion lr=3e-5` names four."""
    fields: dict[str, Any] = {}
    shape = re.search(r"\b([0-9]{1,9})d/([0-9]{1,9})L\b", cell)
    if shape:
        fields |= {"n_embd": int(shape[1]), "n_layer": int(shape[2])}
    for name, title in OPTIMIZER_TITLES.items():
        if title in cell.split():
            fields["optimizer"] = name
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    number = r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?:e-?[0-9]{1,2})?"
    for name, text in re.findall(rf"\b(\w+)=({number})(?!\S)", cell):
        if name in defaults:
            is_whole = not isinstance(defaults[name], float) and text.isdecimal()
            fields[name] = int(text) if is_whole else float(text)
    return fields
