"""How long the runs of a study take here, by those that ended last."""

import datetime as dt
import statistics

from agent.ledger.queries import Queries
from agent.ledger.records import Calibration

NEWEST = 3  # runs, whose median counts: heads change, and so does what a run takes
BETWEEN_S = 10.0  # that a run may wait for its worker; what is longer was sleep, or a clock set

_TOOK = """
    SELECT duration_s, started_at, ended_at, attempts FROM runs
    WHERE calibration_id = ? AND budget_tokens = ? AND device IS ? AND state = 'finished'
          AND source = 'measured' AND duration_s IS NOT NULL
    ORDER BY ended_at DESC, id DESC LIMIT ?"""


def pace_s(ledger: Queries, study: Calibration) -> float | None:
    """Seconds of a run with its start, measured on the study's device; None before one has ended.
    """
    found = [_took_s(**row) for row in ledger.rows(
        _TOOK, study.id, study.budget_tokens, study.device, NEWEST)]
    return statistics.median(found) if found else None


def _took_s(duration_s: float, started_at: str | None, ended_at: str | None,
            attempts: int | None) -> float:
    """From claim to end, where nothing came between; else what was computed."""
    if attempts != 1 or not (started_at and ended_at):
        return duration_s
    from_to_s = (dt.datetime.fromisoformat(ended_at)
                 - dt.datetime.fromisoformat(started_at)).total_seconds()
    is_whole = duration_s <= from_to_s <= 2 * duration_s + BETWEEN_S
    return from_to_s if is_whole else duration_s
