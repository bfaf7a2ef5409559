"""Every run, decision and metric as plain rows, a batch at a time: for other programs.

Columns are those of the tables that this program made, in their order; JSON columns stay text. A
decision and a metric have the label of their run beside its id.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from agent.ledger.columns import fields
from agent.ledger.queries import Queries
from agent.ledger.records import JSON_COLUMNS, Decision, Metric, Run

Name = Literal["runs", "decisions", "metrics"]
EXPORTED: tuple[Name, ...] = get_args(Name)
KINDS: dict[Name, type[Any]] = {"runs": Run, "decisions": Decision, "metrics": Metric}
BATCH, RUNS_A_BATCH = 2000, 50  # rows; runs whose metrics come together
LABELS = {"runs": "", "decisions": "r.label, a.label AS against, ", "metrics": "r.label, r.id AS "
          "run_id, "}
JOINS = {"runs": "", "decisions": "LEFT JOIN runs r ON r.id = t.run_id LEFT JOIN runs a "
         "ON a.id = t.against_id", "metrics": "JOIN runs r ON r.id = t.run_id"}
ADDED: dict[Name, dict[str, str]] = {
    "runs": {}, "decisions": {"label": "TEXT", "against": "TEXT"},
    "metrics": {"label": "TEXT", "run_id": "INTEGER"}}

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Exported:
    """One table: names and types of its columns, as SQLite calls them, and its rows."""

    name: Name
    columns: dict[str, str]  # INTEGER, REAL or TEXT
    json: frozenset[str]  # columns that hold JSON
    batches: Iterator[Rows]


def export_table(ledger: Queries, name: Name) -> Exported:
    """A table of the ledger; its rows are read as they are asked for."""
    known = {row["name"]: row["type"] for row in ledger.rows(f"PRAGMA table_xinfo({name})")}
    added, words, join = ADDED[name], LABELS[name], JOINS[name]
    if name == "runs" and ledger.rows("SELECT 1 FROM sqlite_master WHERE name = 'remarks'"):
        added = {"note": "TEXT", "is_starred": "INTEGER"}
        words = "m.note, coalesce(m.is_starred, 0) AS is_starred, "
        join = "LEFT JOIN remarks m ON m.run_id = t.id"
    own = [field for field in fields(KINDS[name]) if field in known]
    columns = added | {field: known[field] for field in own}
    select = (f"SELECT {words}{', '.join(f't.{field}' for field in own)} FROM {name} t "
              f"{join}")
    batches = _metrics(ledger, select) if name == "metrics" else _by_id(ledger, select)
    holds_json = frozenset(one for one in JSON_COLUMNS if columns.get(one) == "TEXT")
    return Exported(name, columns, holds_json, batches)


def _by_id(ledger: Queries, select: str) -> Iterator[Rows]:
    last = 0
    while rows := ledger.rows(f"{select} WHERE t.id > ? ORDER BY t.id LIMIT ?", last, BATCH):
        yield rows
        last = rows[-1]["id"]


def _metrics(ledger: Queries, select: str) -> Iterator[Rows]:
    ids: Sequence[int] = [row["id"] for row in ledger.rows("SELECT id FROM runs ORDER BY id")]
    for first in range(0, len(ids), RUNS_A_BATCH):
        some = ids[first:first + RUNS_A_BATCH]
        if rows := ledger.rows(f"{select} WHERE t.run_id BETWEEN ? AND ? "
                               "ORDER BY t.run_id, t.step", some[0], some[-1]):
            yield rows
