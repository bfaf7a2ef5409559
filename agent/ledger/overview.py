"""Every run with what was decided on it, in rows so light that ten thousand make one page."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

from agent.ledger.queries import Queries
from agent.ledger.records import State

_RUNS = """
    WITH told AS (
        SELECT run_id, max(verdict = 'kept') AS is_kept, max(verdict = 'confirmed') AS is_confirmed,
               max(verdict = 'refuted') AS is_refuted, max(id) AS newest
        FROM decisions GROUP BY run_id)
    SELECT {columns}, d.verdict, coalesce(told.is_kept, 0) AS is_kept,
           coalesce(told.is_confirmed, 0) AS is_confirmed,
           coalesce(told.is_refuted, 0) AS is_refuted
    FROM runs r LEFT JOIN told ON told.run_id = r.id LEFT JOIN decisions d ON d.id = told.newest
    ORDER BY r.id"""
DECIDED = ("verdict", "is_kept", "is_confirmed", "is_refuted")  # fields that are no columns of runs


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as a page needs it; its configuration is still JSON."""

    id: int
    uid: str
    label: str
    state: State
    source: Literal["measured", "published"]
    strategy: str | None
    parent_id: int | None
    grid_id: int | None
    calibration_id: int | None
    corpus_id: int | None
    config: str | None
    config_hash: str | None
    config_text: str
    seed: int | None
    n_params: int | None
    budget_tokens: int | None
    tokens: int | None
    val_loss: float | None
    val_bpb: float | None
    rung_bpb: float | None
    test_bpb: float | None
    tok_per_s: float | None
    peak_mb: float | None
    predicted_mb: float | None
    duration_s: float | None
    device: str | None
    kernels: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    reason: str | None
    error: str | None
    notes: str | None
    cells: str | None  # JSON of a published row
    verdict: str | None  # the newest
    is_kept: int  # whether it ever was
    is_confirmed: int
    is_refuted: int

    def fields(self) -> dict[str, Any]:
        """Its configuration; empty of a published row."""
        found = json.loads(self.config or "{}")
        return found if isinstance(found, dict) else {}

    def published(self) -> dict[str, str]:
        """The cells of a published row; empty of a measured one."""
        found = json.loads(self.cells or "{}")
        return found if isinstance(found, dict) else {}


def run_rows(ledger: Queries) -> list[RunRow]:
    """Every run of the ledger, in the order of queuing."""
    known = {row["name"] for row in ledger.rows("PRAGMA table_xinfo(runs)")}
    names = [field.name for field in dataclasses.fields(RunRow) if field.name not in DECIDED]
    # A column that was taken away by hand, and can be done without, reads as unknown.
    columns = ", ".join(f"r.{name}" if name in known else f"NULL AS {name}" for name in names)
    return [RunRow(**row) for row in ledger.rows(_RUNS.format(columns=columns))]
