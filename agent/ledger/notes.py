"""A person's words on runs: a note and a star each, which no verdict looks at."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from agent.ledger.queries import Queries

if TYPE_CHECKING:  # who only reads takes no sqlite-utils
    from agent.ledger.ledger import Ledger

_THERE = "SELECT 1 FROM sqlite_master WHERE name = 'remarks'"


@dataclass(frozen=True, slots=True)
class Remark:
    """What stands beside a run; nothing, unless somebody wrote it."""

    note: str | None = None
    is_starred: bool = False


def remarks(ledger: Queries) -> dict[int, Remark]:
    """All of them by the id of their run; none in a ledger of an earlier version."""
    if not ledger.rows(_THERE):
        return {}
    return {row["run_id"]: Remark(row["note"], bool(row["is_starred"]))
            for row in ledger.rows("SELECT run_id, note, is_starred FROM remarks")}


def remark_on(ledger: Queries, run_id: int) -> Remark:
    """That on one run."""
    found = ledger.rows("SELECT note, is_starred FROM remarks WHERE run_id = ?",
                        run_id) if ledger.rows(_THERE) else []
    return Remark(found[0]["note"], bool(found[0]["is_starred"])) if found else Remark()


def set_remark(ledger: "Ledger", run_id: int, remark: Remark, now: str) -> None:
    """Write what stands beside a run from now on; an empty one stays as a row, so that a ledger
    which is merged later knows that it was taken away. LedgerError where there is no such run.
    """
    with ledger.deciding():
        ledger.run(run_id)
        ledger._db.table("remarks").insert(
            {"run_id": run_id, "changed_at": now} | asdict(remark), replace=True)


def with_remarks(ledger: Queries, rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of the experiment table with star and note before what their Notes say."""
    noted = remarks(ledger)
    labels = {row["label"]: noted[row["id"]] for row in ledger.rows("SELECT id, label FROM runs")
              if row["id"] in noted} if noted else {}
    return [row | {"Notes": _before(labels[row["ID"]], row["Notes"])} if row["ID"] in labels
            else row for row in rows]


def _before(remark: Remark, notes: str) -> str:
    star = "★ " if remark.is_starred else ""
    return star + "; ".join(filter(None, (remark.note, notes)))
