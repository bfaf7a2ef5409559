"""The published table read into rows of the ledger, its cells kept word for word."""

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

from agent.ledger.records import EXPERIMENT_COLUMNS, State
from engine.config import OPTIMIZER_TITLES, Config
from engine.errors import LedgerError

# The source dates its rows 03-24 without a year; this one is an assumption.
ASSUMED_YEAR = 2026

_SCALES = {"": "1", "%": "0.01", "k": "1e3", "M": "1e6", "B": "1e9"}


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
    table = list(csv.reader(io.StringIO(csv_text.removeprefix("\ufeff"))))
    if not table or tuple(table[0]) != EXPERIMENT_COLUMNS:
        found = ",".join(table[0]) if table else "nothing"
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
    match = re.fullmatch(r"~?([+-]?\d+(?:\.\d+)?)([%kMB]?)", cell)
    return Decimal(match[1]) * Decimal(_SCALES[match[2]]) if match else None


def _config(cell: str) -> dict[str, Any]:
    """Fields of Config that the cell names: `128d/4L Lion lr=3e-5` names four."""
    fields: dict[str, Any] = {}
    shape = re.search(r"\b(\d+)d/(\d+)L\b", cell)
    if shape:
        fields |= {"n_embd": int(shape[1]), "n_layer": int(shape[2])}
    for name, title in OPTIMIZER_TITLES.items():
        if title in cell.split():
            fields["optimizer"] = name
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    for name, text in re.findall(r"\b(\w+)=(\d+(?:\.\d+)?(?:e-?\d+)?)(?!\S)", cell):
        if name in defaults:
            fields[name] = float(text) if isinstance(defaults[name], float) else int(text)
    return fields
