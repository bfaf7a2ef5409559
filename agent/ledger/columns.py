"""What is read of each table: the columns of its record and no others, whatever a person added.

A ledger is queried by hand, and people add columns, tables and triggers of their own. What this
program did not make it does not look at; a column of its own that is gone reads as unknown where
a record allows that, and is named in one sentence where it does not.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any, get_args

from agent.ledger.records import (
    JSON_COLUMNS,
    Calibration,
    Corpus,
    Decision,
    Event,
    Grid,
    Metric,
    Row,
    Run,
)

TABLES: dict[type[Any], str] = {
    Run: "runs", Metric: "metrics", Decision: "decisions", Corpus: "corpora",
    Calibration: "calibrations", Event: "events", Grid: "grids"}
# Fields of a record that are columns of runs, joined to it.
JOINED = {Decision: ("label", "against"), Event: ("label",)}
KEYS = {Metric: ("run_id",)}  # columns that no record holds
# By which rows are found, ordered and counted: a ledger without them cannot be read.
SEARCHED = {
    "runs": {"id", "uid", "label", "state", "source", "strategy", "seed", "config_hash",
             "corpus_id", "calibration_id", "parent_id", "budget_tokens", "val_bpb", "tokens",
             "started_at", "ended_at", "heartbeat_at", "device", "cores", "tok_per_s"},
    "decisions": {"against_id"}, "events": {"run_id"}}


def fields(kind: type[Any]) -> list[str]:
    """The columns of a record's own table, in the record's order."""
    return [field.name for field in dataclasses.fields(kind)
            if field.name not in JOINED.get(kind, ())]


def from_rows(kind: type[Row], rows: Iterable[Sequence[Any]]) -> list[Row]:
    """Rows of `selected` columns as records: a night of many runs reads thousands at each look."""
    names = fields(kind)
    coded = [i for i, name in enumerate(names) if name in JSON_COLUMNS]
    found = []
    for row in rows:
        values = list(row)
        for i in coded:
            if isinstance(values[i], str):
                values[i] = json.loads(values[i])
        found.append(kind(**dict(zip(names, values, strict=True))))
    return found


def present(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """The columns a table has, generated ones among them; empty where there is no such table."""
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_xinfo({table})"))


def selected(kind: type[Any], alias: str, known: frozenset[str]) -> str:
    """The columns of a record for a SELECT; NULL for one that is gone."""
    return ", ".join(f"{alias}.{name}" if name in known else f"NULL AS {name}"
                     for name in fields(kind))


def lacking(connection: sqlite3.Connection, *, to_write: bool) -> list[str]:
    """Names such as runs.state of the columns that are gone and cannot be done without."""
    gone = []
    for kind, table in TABLES.items():
        known = present(connection, table)
        names = [*KEYS.get(kind, ()), *fields(kind)]
        gone += [f"{table}.{name}" for name in names if name not in known
                 and (to_write or name in SEARCHED.get(table, ()) or not _is_optional(kind, name))]
    return gone


def _is_optional(kind: type[Any], name: str) -> bool:
    types = {field.name: field.type for field in dataclasses.fields(kind)}
    return NoneType in get_args(types.get(name))
