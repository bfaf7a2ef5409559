"""What a run logged, on its way into the ledger and back: steps, layers, and a trace."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from agent.ledger.records import Layer, Metric, Trace, finite, to_columns

if TYPE_CHECKING:
    from agent.ledger.queries import Queries

_UPSERT_METRIC = """
INSERT INTO metrics
    (run_id, step, tokens, train_loss, val_loss, val_bpb, lr, grad_norm, tok_per_s)
VALUES
    (:run_id, :step, :tokens, :train_loss, :val_loss, :val_bpb, :lr, :grad_norm, :tok_per_s)
ON CONFLICT (run_id, step) DO UPDATE SET
    tokens = excluded.tokens,
    train_loss = COALESCE(excluded.train_loss, train_loss),
    val_loss = COALESCE(excluded.val_loss, val_loss),
    val_bpb = COALESCE(excluded.val_bpb, val_bpb),
    lr = COALESCE(excluded.lr, lr),
    grad_norm = COALESCE(excluded.grad_norm, grad_norm),
    tok_per_s = COALESCE(excluded.tok_per_s, tok_per_s)"""

_UPSERT_LAYER = """
INSERT OR REPLACE INTO layers
    (run_id, step, block, act_rms, grad_rms, max_score, entropy, dead_gates)
VALUES
    (:run_id, :step, :block, :act_rms, :grad_rms, :max_score, :entropy, :dead_gates)"""

_LAYER = tuple(field.name for field in fields(Layer))
# Without `asdict`, which copies deeply: of a thousand runs that is most of what their logs cost.
_NAMES = {Metric: tuple(field.name for field in fields(Metric)), Layer: _LAYER}

_UPSERT_TRACE = """
INSERT OR REPLACE INTO traces (run_id, step, pass, block, tensor, causes, told, data)
VALUES (:run_id, :step, :direction, :block, :tensor, :causes, :told, :data)"""


def take(db: sqlite3.Connection, run_id: int, metrics: Sequence[Metric],
         seen: Sequence[Layer | Trace]) -> None:
    """Write what a run logged; what was logged before of the same step is renewed."""
    for sql, kind, rows in ((_UPSERT_METRIC, Metric, metrics), (_UPSERT_LAYER, Layer, seen)):
        names = _NAMES[kind]
        db.executemany(sql, [{"run_id": run_id} | {name: finite(getattr(row, name))
                                                   for name in names}
                             for row in rows if isinstance(row, kind)])
    db.executemany(_UPSERT_TRACE, [to_columns({"run_id": run_id} | asdict(row)) for row in seen
                                   if isinstance(row, Trace)])


def forget(db: sqlite3.Connection, run_id: int) -> None:
    """Leave nothing of what an attempt logged."""
    for table in ("metrics", "layers", "traces"):
        db.execute(f"DELETE FROM {table} WHERE run_id = ?", [run_id])


def layers_of(ledger: "Queries", run_id: int) -> list[Layer]:
    """What the blocks of a run did at its logged steps, in order; none of an earlier version's."""
    rows = _rows(ledger, "layers", run_id)
    found = [Layer(**dict[str, Any]({name: row.get(name) for name in _LAYER})) for row in rows
             if row.get("step") is not None and row.get("block") is not None]
    return sorted(found, key=lambda layer: (layer.step, layer.block))


def trace_of(ledger: "Queries", run_id: int) -> Trace | None:
    """What broke a run, or was wrong with it in the end; None where nothing is known."""
    for row in _rows(ledger, "traces", run_id):
        try:
            causes, data = json.loads(row["causes"]), json.loads(row["data"])
            if isinstance(data, dict) and causes and isinstance(causes, list):
                return Trace(row["step"], row["pass"], row["block"], row["tensor"],
                             [str(cause) for cause in causes], row["told"], data)
        except (KeyError, TypeError, ValueError):
            continue  # changed by hand
    return None


def _rows(ledger: "Queries", table: str, run_id: int) -> list[dict[str, Any]]:
    """A run's rows, whatever columns they have; none of a file of an earlier version."""
    has_it = ledger.rows("SELECT 1 FROM pragma_table_info(?) WHERE name = 'run_id'", table)
    return ledger.rows(f"SELECT * FROM {table} WHERE run_id = ?", run_id) if has_it else []
