"""Runs that improve another: who has done exactly this before, and what each was measured by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.ledger.queries import Queries
from agent.ledger.records import NewRun, Run

if TYPE_CHECKING:
    from agent.ledger.ledger import Ledger

STRATEGY = "improve"
Measures = list[dict[str, Any]]  # rows with name, step, value, low, high and n


def same_improvement(ledger: Queries, new: NewRun) -> Run | None:
    """The run that did exactly this, or waits to; None where none did or came to a result."""
    found = ledger.rows(
        "SELECT id FROM runs WHERE strategy = ? AND config_hash = ? AND seed = ? AND "
        "budget_tokens = ? AND corpus_id = ? AND state NOT IN ('killed', 'failed', 'lost')",
        STRATEGY, new.columns()["config_hash"], new.seed, new.budget_tokens, new.corpus_id)
    return ledger.run(int(found[0]["id"])) if found else None


def note_measures(ledger: "Ledger", run_id: int, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep what a run was measured by; told twice it is kept once."""
    with ledger._writing():
        for row in rows:
            ledger._db.table("measures").insert({"run_id": run_id, **row}, replace=True)


def measures(ledger: Queries, run_id: int) -> Measures:
    """What a run was measured by, before first; none where an earlier version has no such table."""
    if not ledger.rows("SELECT 1 FROM sqlite_master WHERE name = 'measures'"):
        return []
    return ledger.rows("SELECT name, step, value, low, high, n FROM measures WHERE run_id = ? "
                       "ORDER BY name, step", run_id)


def in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """All measures in one line: before → after, with the interval of what is after."""
    told = []
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        values = " → ".join(f"{row['value']:.4g}" for row in own)
        low, high = own[-1]["low"], own[-1]["high"]
        told.append(f"{name} {values}" + ("" if low is None else f" ({low:.3g} to {high:.3g})"))
    return "; ".join(told)
