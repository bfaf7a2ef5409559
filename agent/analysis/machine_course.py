"""The machine over a study: speed and memory of its runs, battery and heat as the guard saw them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.analysis.hours import Hours
from agent.ledger import Event, RunRow

MOST_WORDS = 200  # of the guard: the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run took."""

    label: str
    hours: float
    tok_per_s: float | None
    peak_mb: float | None
    predicted_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardWord:
    """Something the guard said or did, with what it read then."""

    hours: float
    at: str
    label: str | None  # the run it was about
    message: str
    battery_pct: float | None
    heat_c: float | None  # of the battery, else of the hottest zone
    free_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCourse:
    """Runs and words in the order of time."""

    devices: list[str]
    loads: list[Load]
    words: list[GuardWord]
    n_words: int  # in all


def machine_course(rows: Sequence[RunRow], guard: Sequence[Event], hours: Hours) -> MachineCourse:
    """Of the runs of a study that ended, and the guard's events while it was at work."""
    loads = [Load(label=row.label, hours=hours.of(row), tok_per_s=row.tok_per_s,
                  peak_mb=row.peak_mb, predicted_mb=row.predicted_mb)
             for row in sorted((one for one in rows if one.ended_at),
                               key=lambda one: (one.ended_at, one.id))
             if row.tok_per_s or row.peak_mb]
    events = sorted(guard, key=lambda event: event.id)
    devices = sorted({row.device for row in rows if row.device})
    return MachineCourse(devices=devices, loads=loads, n_words=len(events),
                         words=[_word(event, hours) for event in events[-MOST_WORDS:]])


def _word(event: Event, hours: Hours) -> GuardWord:
    read = event.data or {}
    heat = _number(read, "battery_c")
    return GuardWord(hours=hours.at(event.at), at=event.at, label=event.label,
                     message=event.message, battery_pct=_number(read, "battery_percent"),
                     heat_c=heat if heat is not None else _number(read, "thermal_c"),
                     free_mb=_number(read, "free_mb"))


def _number(read: Mapping[str, Any], name: str) -> float | None:
    value = read.get(name)
    return float(value) if isinstance(value, int | float) else None
