"""Which rows are this home's own, in a ledger that took in what other homes did.

A home is named by the uid of the first run that was queued in it, so that every copy of a ledger
knows the same name without asking. What is written here has no name until a merge gives it one.
"""

import sqlite3
import uuid
from collections.abc import Iterable

from agent.ledger.records import Calibration, Run

THIS = "SELECT max(uid) FROM this_home"
_EVENT = "SELECT at || ' ' || kind || ' ' || message FROM events ORDER BY id LIMIT 1"


def own(connection: sqlite3.Connection, alias: str) -> str:
    """A condition of SQL that a row is of this home; of an earlier version's file every row is.

    alias  of runs, calibrations or events
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'this_home'").fetchone():
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


def this_home(connection: sqlite3.Connection) -> str | None:
    """The name of a file's home; None of an earlier version."""
    if own(connection, "runs") == "1":
        return None
    return connection.execute(THIS).fetchone()[0] or name_of(connection)


def near(connection: sqlite3.Connection, study: Calibration, runs: Iterable[Run]) -> list[Run]:
    """Those of runs that are of a study, or of its home."""
    this = this_home(connection)
    return [run for run in runs if run.calibration_id == study.id
            or (run.home or this) == (study.home or this)]
