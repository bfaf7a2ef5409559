"""Whether each value of a ledger is of the kind its column is meant for.

SQLite's own check finds pages that are torn; a bit that fell over within a value it takes for
another value. Asked by the doctor, and where a command broke on what it read.
"""

import dataclasses
import functools
import json
import sqlite3
import types
import typing
from collections.abc import Iterator
from typing import Any

from agent.ledger.records import (
    JSON_COLUMNS,
    Calibration,
    Corpus,
    Decision,
    Event,
    Grid,
    Metric,
    Run,
)

TABLES: dict[str, type[Any]] = {
    "runs": Run, "corpora": Corpus, "calibrations": Calibration, "decisions": Decision,
    "events": Event, "grids": Grid, "metrics": Metric}
JOINED = ("label", "against")  # fields that come from another table
SHOWN = 40  # characters of a value


def misfits(connection: sqlite3.Connection, most: int) -> list[str]:
    """What rows hold that no program of ours wrote, the first few."""
    found: list[str] = []
    for table, kind in TABLES.items():
        try:
            rows = connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in rows.description]
            for row in rows:
                found += [f"{table}.{name} is {str(value)[:SHOWN]!r} in row {row[0]}"
                          for name, value in _wrong(kind, dict(zip(names, row, strict=True)))]
                if len(found) >= most:
                    return found[:most]
        except (sqlite3.Error, UnicodeDecodeError) as error:
            found.append(f"{table} cannot be read: {error}")
    return found[:most]


def _wrong(kind: type[Any], row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Columns whose value is of another kind, or that are missing."""
    for name, kinds, values in _columns(kind):  # type: ignore[arg-type]
        if name in JOINED and name not in row:
            continue
        value = row.get(name)
        if name in JSON_COLUMNS and isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                yield name, value
                continue
        if not isinstance(value, kinds) or (values and value not in values):
            yield name, value


@functools.cache
def _columns(kind: type[Any]) -> tuple[tuple[str, tuple[type, ...], tuple[Any, ...]], ...]:
    """(name, kinds, values if only some are allowed) of every column of a record."""
    hints = typing.get_type_hints(kind)
    found = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        values = tuple(value for part in parts if typing.get_origin(part) is typing.Literal
                       for value in typing.get_args(part))
        plain = {typing.get_origin(part) or part for part in parts} - {typing.Literal}
        plain |= {type(value) for value in values} | ({int} if float in plain else set())
        if field.default is None:
            plain.add(types.NoneType)
        found.append((field.name, tuple(plain), values))
    return tuple(found)
