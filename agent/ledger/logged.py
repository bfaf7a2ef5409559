"""What a run logged, on its way into the ledger and back: steps, layers, and a trace."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from agent.ledger.records import Layer, Metric, Trace, to_columns

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

_UPSERT_TRACE = """
INSERT OR REPLACE INTO traces (run_id, step, pass, block, tensor, causes, told, data)
VALUES (:run_id, :step, :direction, :block, :tensor, :causes, :told, :data)"""


def take(db: sqlite3.Connection, run_id: int, metrics: Sequence[Metric],
         seen: Sequence[Layer | Trace]) -> None:
    """Write what a run logged; what was logged before of the same step is renewed."""
    for sql, kind, rows in ((_UPSERT_METRIC, Metric, metrics), (_UPSERT_LAYER, Layer, seen),
                            (_UPSERT_TRACE, Trace, seen)):
        db.executemany(sql, [to_columns({"run_id": run_id} | asdict(row)) for row in rows
                             if isinstance(row, kind)])


def forget(db: sqlite3.Connection, run_id: int) -> None:
    """Leave nothing of what an attempt logged."""
    for table in ("metrics", "layers", "traces"):
        db.execute(f"DELETE FROM {table} WHERE run_id = ?", [run_id])


def layers_of(ledger: "Queries", run_id: int) -> list[Layer]:
    """What the blocks of a run did at its logged steps, in order; none of an earlier version's."""
    if not _has(ledger, "layers"):
        return []
    return [Layer(**row) for row in ledger.rows(
        "SELECT step, block, act_rms, grad_rms, max_score, entropy, dead_gates FROM layers "
        "WHERE run_id = ? ORDER BY step, block", run_id)]


def trace_of(ledger: "Queries", run_id: int) -> Trace | None:
    """What broke a run, or was wrong with it in the end; None where nothing is known."""
    if not _has(ledger, "traces"):
        return None
    for row in ledger.rows("SELECT step, pass AS direction, block, tensor, causes, told, data "
                           "FROM traces WHERE run_id = ?", run_id):
        return Trace(**row | {"causes": json.loads(row["causes"]),
                              "data": json.loads(row["data"])})
    return None


def _has(ledger: "Queries", table: str) -> bool:
    """Whether the file has the table: one of an earlier version, opened to look, does not."""
    return bool(ledger.rows("SELECT 1 FROM sqlite_master WHERE name = ?", table))
