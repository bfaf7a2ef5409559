"""On which class of devices runs were computed: those whose numbers are the same bits.

A class is named at the end of the device of a run that a cluster computed; what a home computed by
itself names none. Speeds are learnt, and pairs are made, within one class.
"""

import re

from agent.ledger.queries import Queries
from agent.ledger.records import Run

CLASS = re.compile(r", (class [0-9a-f]{6})$")
AT_HOME = ""  # the class of what names none: that of the home itself
CONFIRMING = ("baseline", "confirm", "ablate")  # strategies whose runs are pairs on all shards


def class_of(device: str | None) -> str | None:
    """The class that a device names; None where it is a home's own."""
    found = CLASS.search(device or "")
    return found[1] if found else None


def is_like(device: str | None, other: str | None) -> bool:
    """Whether two devices are one, or machines of one class."""
    kind = class_of(device)
    return device == other if kind is None else kind == class_of(other)


def class_of_study(ledger: Queries, study: int) -> str | None:
    """The class that measured a study's noise, AT_HOME where none is named; None where nothing of
    it was measured.
    """
    found = next((run for run in ledger.study_runs(study)
                  if run.state == "finished" and run.strategy in CONFIRMING), None)
    return None if found is None else class_of(found.device) or AT_HOME


def timed_on(ledger: Queries, kind: str, limit: int) -> list[Run]:
    """The newest runs of a class that ended with a speed, the newest last."""
    end = f", {kind}"
    return ledger._runs(
        "WHERE strategy <> 'improve' AND state = 'finished' AND tok_per_s > 0 "
        "AND substr(device, ?) = ? ORDER BY ended_at DESC, id DESC LIMIT ?",
        -len(end), end, limit)[::-1]
