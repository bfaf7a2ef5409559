"""When things happened, in hours of training: the clock of a study without the days between nights.

A run ends when all that trained before it and it itself are done; an event lies where the run lies
that ended next. So two nights follow each other without a gap, however many days were between.
"""

import bisect
from collections.abc import Sequence

from agent.ledger import RunRow


class Hours:
    """Places of runs and of moments on the axis."""

    def __init__(self, rows: Sequence[RunRow]) -> None:
        """Of the runs that ended, in any order."""
        ended = sorted((row for row in rows if row.ended_at),
                       key=lambda row: (row.ended_at, row.id))
        self._stamps = [row.ended_at or "" for row in ended]
        self._hours, total_s = dict[int, float](), 0.0
        for row in ended:
            total_s += row.duration_s or 0.0
            self._hours[row.id] = total_s / 3600
        self._ends = list(self._hours.values())
        self.total = total_s / 3600

    def of(self, row: RunRow) -> float:
        """When a run that ended did so."""
        return self._hours[row.id]

    def at(self, stamp: str) -> float:
        """Where a moment lies: between the last run that had ended then and the next."""
        before = bisect.bisect_right(self._stamps, stamp)
        return self._ends[before - 1] if before else 0.0
