"""What a person takes back: a queued run ends without having begun, a study is no longer gone on
with. All rows stay.
"""

from collections.abc import Iterable

from agent.ledger.ledger import Ledger
from agent.ledger.queries import Queries
from agent.ledger.records import Run
from agent.ledger.studies import WITHDRAWN
from engine.errors import LedgerError

RULE = "withdrawal/1"  # who decides is a person


def withdraw(ledger: Ledger, runs: Iterable[Run], why: str, now: str) -> list[str]:
    """Take queued runs back; the labels of those that still waited.

    Their state is `lost`, which says nothing of a configuration, and keeps no one from queuing it
    again; their verdict is `withdrawn`. None of them has an end, since none came to one.
    """
    taken = []
    with ledger.deciding():
        for run in runs:
            if ledger.run(run.id).state != "queued":
                continue  # it has begun since
            ledger._update("runs", run.id, {"state": "lost", "error": why})  # queued → lost
            ledger.decide(run.id, None, "withdrawn", RULE, {"tokens": run.tokens}, why, now)
            ledger.event(WITHDRAWN, why, now, run.id)
            taken.append(run.label)
    return taken


def withdraw_study(ledger: Ledger, number: int, why: str, now: str) -> None:
    """Note that a study is not to be gone on with; a night that names it takes it up again."""
    if number not in {one.id for one in ledger.studies()}:
        raise LedgerError(f"there is no study {number}")
    ledger.event(WITHDRAWN, why, now, data={"study": number})


def withdrawn_runs(ledger: Queries) -> set[int]:
    """The ids of all runs that were taken back."""
    return {row["run_id"] for row in ledger.rows(
        "SELECT run_id FROM decisions WHERE verdict = 'withdrawn'")}
