"""What a person wants to know of a night that is over, as plain values: the page is waking.py.

Everything is read off the ledger and a run's log; nothing is computed but sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agent import words
from agent.ledger import (
    Claim,
    EndedRun,
    Event,
    Queries,
    Run,
    broken_start,
    claims,
    ended_runs,
    leads,
    study_of,
)

CHECKING = ("baseline", "confirm", "ablate")  # strategies that try no idea
NO_LEAD = ("discarded", "refuted", "ablated")  # verdicts after which a score is no best
BROKEN = ("diverged", "killed", "failed", "lost")
ENOUGH = 16  # ideas, of which one may be expected to hold
SHORT_S = 1800.0  # a night that is shorter was a first look
FEW = 5  # commands are told at most

ReadSample = Callable[[Run], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A command that makes sense now, and why."""

    command: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """From when on the best was that good."""

    at_s: float  # since the night began
    bpb: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """A night that is over: what was found, what it took, what to do next."""

    why: str  # it is over
    ended_at: str
    lasted_s: float
    trained_s: float  # of that, in runs; what one trained in a night before is not in it
    tokens: int
    n_runs: int
    n_tried: int  # ideas
    n_kept: int
    n_confirmed: int  # steps, some of which may have been left out since
    n_pruned: int
    n_broken: int  # diverged, killed, failed or lost
    claims: list[Claim]  # of the night
    n_claims_before: int  # of the study, from nights before
    silent: dict[str, Any] | None  # the chain on the text that decides nothing: claimed_bpb, …
    course: list[Point]  # the best so far
    sample: str | None  # the best run's last text
    next: list[Hint]


def gather(ledger: Queries, events: Sequence[Event], study_id: int, best: Run | None,
           n_queued: int, read_sample: ReadSample = lambda run: None) -> Morning | None:
    """The morning after the night whose events these are, newest first; None where none began."""
    start = next((event for event in events if event.kind == "night"), None)
    if start is None:
        return None
    started_at = (start.data or {}).get("started_at", start.at)
    # The first of them: a run by hand after the night leaves one of its own.
    over = next((event for event in reversed(events) if event.kind == "night_over"), None)
    runs = [run for run in ended_runs(ledger, study_id, started_at)
            if not over or run.ended_at <= over.at]
    tonight = [run for run in runs if run.ended_at >= started_at]
    ended_at = over.at if over else max([events[0].at, *(run.ended_at for run in tonight)])
    known = claims(ledger, study_id)
    new = [claim for claim in known if claim.decided_at >= started_at]
    ideas = [run for run in tonight if run.is_of_study and run.strategy not in CHECKING]
    silent = next((event.data for event in events if event.kind == "silent_test"), None)
    hints: list[Hint] = []
    found = Morning(
        why=_why(over), ended_at=ended_at,
        lasted_s=max(0.0, words.seconds_between(started_at, ended_at)),
        trained_s=_trained_s(tonight, started_at, ended_at),
        tokens=sum(run.tokens for run in tonight),
        n_runs=len(tonight), n_tried=len(ideas), n_kept=sum(run.is_kept for run in ideas),
        n_confirmed=sum(run.is_confirmed for run in ideas),
        n_pruned=sum(run.state == "pruned" for run in ideas),
        n_broken=sum(run.state in BROKEN for run in tonight), claims=new,
        n_claims_before=len(known) - len(new), silent=silent,
        course=_course(runs, started_at), sample=read_sample(best) if best else None, next=hints)
    broken = None if best else broken_start(ledger, study_of(ledger, study_id))
    hints += [
        Hint(command=broken.command, why="begins with a lower rate: this start diverges"),
        Hint(command="agent trace last", why="which layer broke it, and why")] if broken else _next(
        found, start.data or {}, best, n_queued, bool(known))[:FEW]
    return found


def _trained_s(runs: Sequence[EndedRun], started_at: str, ended_at: str) -> float:
    """Seconds of a night in which at least one of its runs trained.

    A run whose agent was killed brings time from the night before, and several may run at once:
    the plain sum may be longer than the night.
    """
    night_s, total_s, free_s = words.seconds_between(started_at, ended_at), 0.0, 0.0
    spans = []
    for run in runs:
        end_s = min(words.seconds_between(started_at, run.ended_at), night_s)
        spans.append((end_s - run.duration_s, end_s))
    for begin_s, end_s in sorted(spans):
        total_s += max(0.0, end_s - max(begin_s, free_s))
        free_s = max(free_s, end_s)
    return total_s


def _why(over: Event | None) -> str:
    """The reason to end, without its particulars; of an older version's night its last sentence."""
    if over is None:
        return "the agent ended without a word; `agent run` goes on"
    reason = (over.data or {}).get("reason")
    return words.first_clause(str(reason) if reason else over.message.removeprefix("over: "))


def course_until_now(ledger: Queries, study_id: int, started_at: str) -> list[Point]:
    """As the course of a night that is over, of one that goes on: only what became the best."""
    points: list[Point] = []
    for label, ended_at, bpb in leads(ledger, study_id):
        at_s = max(0.0, words.seconds_between(started_at, ended_at))
        if points and points[-1].at_s == at_s == 0.0:
            points.pop()
        points.append(Point(at_s=at_s, bpb=bpb, label=label))
    return points


def _course(runs: Sequence[EndedRun], started_at: str) -> list[Point]:
    """Each time the best became better, the best from before the night at 0."""
    points: list[Point] = []
    for run in runs:
        is_score = (run.is_of_study and run.state == "finished"
                    and run.strategy not in ("confirm", "ablate") and run.verdict not in NO_LEAD)
        if not is_score or run.val_bpb is None or (points and run.val_bpb >= points[-1].bpb):
            continue
        at_s = max(0.0, words.seconds_between(started_at, run.ended_at))
        if points and points[-1].at_s == at_s == 0.0:
            points.pop()
        points.append(Point(at_s=at_s, bpb=run.val_bpb, label=run.label))
    return points


def _next(found: Morning, asked: dict[str, Any], best: Run | None, n_queued: int,
          is_confirmed: bool) -> list[Hint]:
    """What to do now, by what happened; the likeliest first."""
    if not found.n_runs:
        queued = f"goes on: {words.runs(n_queued)} queued" if n_queued else "gives it more time"
        return [Hint(command="agent run --for 8m", why=queued),
                Hint(command="agent doctor", why="tells what could keep runs from ending here")]
    if best is None or 2 * found.n_broken > found.n_runs:
        return [Hint(command="agent doctor", why="tells what spoils runs on this machine"),
                Hint(command="agent runs", why=f"lists them: {found.n_broken} of {found.n_runs} "
                     "did not come to an end")]
    hints = []
    if n_queued:
        hints.append(Hint(command="agent run",
                          why=f"goes on: {words.runs(n_queued)} queued"))
    hints.append(Hint(command="agent sample best", why="more of its text"))
    hints.append(Hint(command=f"agent show {best.label}", why="all about it"))
    longer = "1h" if found.lasted_s < SHORT_S else "8h"
    is_plateau = any(word in found.why for word in ("plateau", "no strategy"))
    if is_plateau:
        hints.append(Hint(command="agent enqueue lr=2e-3", why="an idea of your own"))
        if budget := asked.get("budget_tokens"):
            hints.append(Hint(command=f"agent run --run-tokens {_tokens(4 * budget)}",
                              why="longer runs tell smaller gains"))
    elif is_confirmed:
        hints.append(Hint(command=f"agent run --for {longer}",
                          why="goes on from there"))
    elif found.n_kept:
        hints.append(Hint(command=f"agent run --for {longer}",
                          why="fresh seeds test what was kept"))
    elif found.n_tried < ENOUGH:
        hints.append(Hint(command=f"agent run --for {longer}",
                          why="gives it time for ideas" if not found.n_tried
                          else f"longer: {found.n_tried} idea"
                          f"{'s are' if found.n_tried > 1 else ' is'} few"))
    else:
        hints.append(Hint(command=f"agent run --for {longer}", why="tries more ideas"))
    return hints


def _tokens(n: int) -> str:
    """As `--run-tokens` takes them: 80k, 2M."""
    if n % 1_000_000 == 0:
        return f"{n // 1_000_000}M"
    return f"{n // 1000}k" if n % 1000 == 0 else str(n)
