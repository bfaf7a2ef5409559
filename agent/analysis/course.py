"""The night as a course: what each run scored, when, and how good the best was from then on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.analysis.hours import Hours
from agent.ledger import Event, RunRow

CHECKING = ("confirm", "ablate")  # arms of a comparison: another's configuration on another seed
NO_LEAD = ("discarded", "refuted", "ablated")  # verdicts after which a score is no best

Word = Literal["baseline", "tried", "checked", "kept", "confirmed", "refuted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A finished run on the course."""

    label: str
    hours: float  # of training until it had ended
    bpb: float
    word: Word  # what became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """From when on the best was that good."""

    label: str
    hours: float
    bpb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A study over its hours of training."""

    scored: list[Scored]
    leads: list[Lead]
    nights: list[float]  # hours at which each night began
    hours: float  # in all


def course_of(rows: Sequence[RunRow], nights: Sequence[Event], hours: Hours) -> Course:
    """The finished runs of a study and its nights, which come in any order."""
    ended = sorted((row for row in rows if row.state == "finished" and row.val_bpb is not None
                    and row.ended_at), key=lambda row: (row.ended_at, row.id))
    leads: list[Lead] = []
    for row in ended:
        bpb = row.val_bpb or 0.0
        may_lead = row.strategy not in CHECKING and row.verdict not in NO_LEAD
        if may_lead and (not leads or bpb < leads[-1].bpb):
            leads.append(Lead(label=row.label, hours=hours.of(row), bpb=bpb))
    return Course(
        scored=[Scored(label=row.label, hours=hours.of(row), bpb=row.val_bpb or 0.0,
                       word=word_of(row)) for row in ended],
        leads=leads, nights=sorted({hours.at(event.at) for event in nights}), hours=hours.total)


def word_of(row: RunRow) -> Word:
    """What became of a run; what a later word took back counts as refuted."""
    if row.strategy == "baseline":
        return "baseline"
    if row.strategy in CHECKING and not row.is_confirmed:
        return "checked"
    if row.is_refuted and row.verdict != "confirmed":
        return "refuted"
    if row.is_confirmed:
        return "confirmed"
    return "kept" if row.is_kept else "tried"
