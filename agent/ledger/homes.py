"""Which rows are this home's own, in a ledger that took in what other homes did.

A home is named by the uid of the first run that was queued in it, so that every copy of a ledger
knows the same name without asking. What is written here has no name until a merge gives it one.
"""

import sqlite3
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

from agent.ledger.columns import present
from agent.ledger.records import Calibration, Run

if TYPE_CHECKING:
    from agent.ledger.queries import Queries

# The columns that step 15 of the schema adds.
HOME = {
    "runs": "-- this_home.uid of where it was queued; NULL: here, and not merged since",
    "calibrations": "-- this_home.uid of where it was begun; NULL: here, and not merged since",
    "events": "-- this_home.uid of where it happened; NULL: here, and not merged since"}

THIS = "SELECT max(uid) FROM this_home"
_EVENT = "SELECT at || ' ' || kind || ' ' || message FROM events ORDER BY id LIMIT 1"


def own(connection: sqlite3.Connection, alias: str) -> str:
    """A condition of SQL that a row is of this home; of an earlier version's file every row is.

    alias  of runs, calibrations or events
    """
    if not present(connection, "this_home"):
        return "1"
    return f"({alias}.home IS NULL OR {alias}.home = ({THIS}))"


def name_of(connection: sqlite3.Connection) -> str:
    """What a file's home is called: by its first run, or else its first event, or by chance."""
    first = connection.execute(
        "SELECT uid FROM runs WHERE source = 'measured' ORDER BY id LIMIT 1").fetchone()
    if first:
        return str(first[0])
    event = connection.execute(_EVENT).fetchone()
    return (uuid.uuid5(uuid.NAMESPACE_OID, f"phi-auto home {event[0]}") if event
            else uuid.uuid4()).hex


def this_home(ledger: "Queries") -> str | None:
    """The name of a file's home; None of an earlier version, or where somebody deleted it."""
    if ledger._own("runs") == "1":
        return None
    found: str | None = next(iter(ledger._rows(THIS)[0].values()))
    return found


def is_of_home(ledger: "Queries", study: Calibration) -> bool:
    """Whether a study was begun in the home of this ledger."""
    return study.home in (None, this_home(ledger))


def near(ledger: "Queries", study: Calibration, runs: Iterable[Run]) -> list[Run]:
    """Those of runs that are of a study or its home, which alone are pairs with its own."""
    this = this_home(ledger)
    return [run for run in runs if run.calibration_id == study.id
            or (run.home or this) == (study.home or this)]


def housemates(ledger: "Queries", run_id: int) -> set[int]:
    """The ids of all runs of the home that a run is of."""
    this = this_home(ledger)
    if this is None:
        return {row["id"] for row in ledger._rows("SELECT id FROM runs")}
    return {row["id"] for row in ledger._rows(
        "SELECT id FROM runs WHERE coalesce(home, ?1) IS "
        "(SELECT coalesce(home, ?1) FROM runs WHERE id = ?2)", this, run_id)}
