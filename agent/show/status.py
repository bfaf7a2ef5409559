"""What the reading commands show, gathered from the ledger as plain values.

Nothing here prints or writes; every value becomes JSON by dataclasses.asdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.analysis import Predicted, predicted
from agent.ledger import (
    STATES,
    WITHDRAWN,
    Calibration,
    Corpus,
    Decision,
    Earned,
    Event,
    Metric,
    Queries,
    Remark,
    Run,
    State,
    Trace,
    best_run,
    corpus_of,
    current_study,
    events_of_its_night,
    foretold,
    last_state,
    pace_s,
    parent_of,
    remark_on,
    trace_of,
    waiting_elsewhere,
)
from agent.machine import Present
from agent.show import grid, morning
from agent.show.grid import GridState
from agent.show.morning import Morning, Point, ReadSample
from agent.show.trace import trouble_of
from agent.words import seconds_between
from engine.config import LATER, Config

SILENT_AFTER_S = 60.0  # a living run leaves a heartbeat every 10 s
N_DECISIONS = 5
MOST_BESIDE = 31  # runs beside the first that are told one by one
NOTHING = Remark()

ReadMb = Callable[[int], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A yardstick, or a run among them."""

    name: str
    nats: float | None  # a token
    bpb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """The newest night and what is left of it; it may be over."""

    state: str  # on, paused, stopping or over; off where its daemon died
    message: str  # the event that says so
    started_at: str
    deadline_at: str | None
    left_s: float | None
    max_runs: int | None
    max_ram_mb: float | None
    budget_tokens: int | None
    n_ended: int  # runs that ended since it started
    n_queued: int
    n_trials: int | None  # runs at once; None: an earlier version did not note it
    cluster: str | None  # where they are computed, as it was typed; None: at home
    run_s: float | None = None  # that a run takes, by the last that ended; None before one has


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the running run is."""

    step: int
    n_steps: int
    share: float
    tok_per_s: float | None
    left_s: float | None
    ram_mb: float | None  # now
    silent_s: float | None  # since the last sign of life, once that is too long ago


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Another run under way."""

    run: Run
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All that `agent status` shows."""

    at: str
    is_daemon_alive: bool
    night: Night | None
    run: Run | None  # the one that runs, of several the first, else the last one that ended
    progress: Progress | None  # None where nothing runs
    curve: list[Metric]
    yardsticks: list[Rung]  # of that run's corpus
    best: Run | None
    best_verdict: str | None  # the newest on it
    best_corpus: Corpus | None
    best_yardsticks: list[Rung]  # of that corpus, hardest last
    decisions: list[Decision]  # newest first
    guard_word: str  # go or waits; no word yet, no agent runs
    guard_now: Present | None  # what that word rests on; None where no daemon runs
    guard: Event | None  # its last change of mind
    counts: dict[State, int]  # measured runs in each state
    earned: list[Earned]  # by the strategies of the study that runs, or ran last
    predicted: Predicted | None  # how well that study's model of results foretells; None: unknown
    home: str | None = None  # the folder all this was read in
    morning: Morning | None = None  # of the newest night, once it is over
    grid: GridState | None = None  # None where no cell of one waits
    study: int | None = None  # the one last worked on
    course: list[Point] = field(default_factory=list)  # the best so far, of a night that goes on
    best_note: str | None = None  # a person's words on the best
    is_best_starred: bool = False
    elsewhere: list[str] = field(default_factory=list)  # what is queued for others, in words
    beside: list[Beside] = field(default_factory=list)  # what runs at the same time, the first
    n_running: int = 0  # with the first of all, and those that are not told
    trouble: str | None = None  # with that run, by what its network did: `agent trace` has more


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """All that `agent show` shows of one run."""

    run: Run
    parent: Run | None
    decisions: list[Decision]  # newest first
    metrics: list[Metric]
    corpus: Corpus | None
    trace: Trace | None  # what broke it, or is wrong with it
    note: str | None  # a person's words on it
    is_starred: bool
    diff: dict[str, dict[str, Any]]  # field → its old value, the parent's, and the new one

    def as_dict(self) -> dict[str, Any]:
        """The run's row with the rest beside its columns."""
        values = asdict(self)
        row: dict[str, Any] = values.pop("run")
        return row | values


def gather(ledger: Queries, now: str, *, is_daemon_alive: bool, read_mb: ReadMb,
           present: Present | None = None, home: str | None = None,
           read_sample: ReadSample = lambda run: None) -> Status:
    """The state of things at `now`; read_mb tells the resident MB of a process and its children.

    present is the word that a daemon left; of one that is gone it counts for nothing.
    """
    present = present if is_daemon_alive else None
    counts = ledger.counts()
    at_once = [run for run in ledger.runs("running") if not _silence_s(run, now)]
    shown = at_once[0] if len(at_once) > 1 else ledger.current()
    running = shown if shown and shown.state == "running" else None
    best = best_run(ledger)
    corpus = corpus_of(ledger, shown)
    remark = remark_on(ledger, best.id) if best else NOTHING
    said_of_best = ledger.decisions(best.id, limit=1) if best else []
    best_corpus = corpus_of(ledger, best)
    curve = ledger.metrics(shown.id) if shown else []
    events, study = ledger.events_of_night(), current_study(ledger)
    if study is not None and not is_daemon_alive:  # the last night's may have been withdrawn
        events = events_of_its_night(ledger, study) or events
    elsewhere = waiting_elsewhere(ledger, study) if study else []
    n_queued = len(ledger.runs("queued")) - sum(len(one.labels) for one in elsewhere)
    night = _night(ledger, events, counts, n_queued, now, is_daemon_alive, study)
    study_id = _study_id(shown, study) or 0
    is_over = night is not None and night.state in ("over", "off") and not is_daemon_alive
    return Status(
        at=now, is_daemon_alive=is_daemon_alive, night=night, run=shown,
        progress=_progress(running, curve, now, read_mb) if running and is_daemon_alive else None,
        curve=curve, yardsticks=ladder(corpus), best=best,
        best_verdict=said_of_best[0].verdict if said_of_best else None, best_corpus=best_corpus,
        best_yardsticks=ladder(best_corpus),
        decisions=ledger.decisions(limit=N_DECISIONS, with_arms=False,
                                   study=study.id if study else None),
        guard_word=(present.word if present
                    else "no word yet" if is_daemon_alive else "no agent runs"),
        guard_now=present,
        guard=next((event for event in events if event.kind == "guard"), None),
        counts=counts, earned=ledger.earned(study_id),
        predicted=predicted(foretold(ledger, study_id)), home=home,
        morning=morning.gather(ledger, events, study_id, best, n_queued, read_sample)
        if is_over else None, grid=grid.state_of(ledger),
        study=study.id if study else None, best_note=remark.note,
        is_best_starred=remark.is_starred,
        course=morning.course_until_now(ledger, study_id, night.started_at)
        if night and not is_over else [],
        beside=_beside(ledger, at_once[1:], now, read_mb) if is_daemon_alive else [],
        n_running=len(at_once) if is_daemon_alive else 0,
        elsewhere=[str(one) for one in elsewhere],
        trouble=trouble_of(ledger, shown) if shown else None)


def _beside(ledger: Queries, runs: Sequence[Run], now: str, read_mb: ReadMb) -> list[Beside]:
    return [Beside(run=run, progress=_progress(run, ledger.metrics(run.id), now, read_mb))
            for run in runs[:MOST_BESIDE]]


def _study_id(shown: Run | None, study: Calibration | None) -> int | None:
    """That of the newest night; what ran last may be another's."""
    if study is not None:
        return study.id
    return shown.calibration_id if shown else None


def detail(ledger: Queries, run: Run) -> Detail:
    """One run with everything the ledger knows about it."""
    parent, remark = parent_of(ledger, run), remark_on(ledger, run.id)
    return Detail(run=run, note=remark.note, is_starred=remark.is_starred, parent=parent,
                  decisions=ledger.decisions(run.id), metrics=ledger.metrics(run.id),
                  corpus=corpus_of(ledger, run), trace=trace_of(ledger, run.id),
                  diff={} if parent is None else _difference(parent.config, run.config))


def ladder(corpus: Corpus | None) -> list[Rung]:
    """The yardsticks of a corpus from the easiest to the hardest."""
    if corpus is None:
        return []
    return [Rung(name="uniform", nats=corpus.uniform_nats, bpb=uniform_bpb(corpus)),
            Rung(name="unigram", nats=corpus.unigram_nats, bpb=corpus.unigram_bpb),
            Rung(name="bigram", nats=corpus.bigram_nats, bpb=corpus.bigram_bpb),
            Rung(name="trigram", nats=corpus.trigram_nats, bpb=corpus.trigram_bpb)]


def uniform_bpb(corpus: Corpus) -> float | None:
    """The ledger keeps it in nats alone; the unigram tells how many bits a byte a nat makes."""
    if not (corpus.uniform_nats and corpus.unigram_nats and corpus.unigram_bpb):
        return None
    return corpus.uniform_nats * corpus.unigram_bpb / corpus.unigram_nats


def _night(ledger: Queries, events: Sequence[Event], counts: Mapping[State, int], n_queued: int,
           now: str, is_daemon_alive: bool, study: Calibration | None) -> Night | None:
    last = last_state(events)
    start = next((event for event in events if event.kind == "night"), None)
    if last is None or start is None:
        return None
    data = start.data or {}
    started_at = data.get("started_at", start.at)
    deadline_at = data.get("deadline_at")
    state = STATES[last.kind]
    if state != "over" and not is_daemon_alive:
        state = "off"
    is_open = state not in ("over", "off")
    return Night(
        state=state, message=last.message, started_at=started_at, deadline_at=deadline_at,
        left_s=_left_s(now, started_at, deadline_at) if deadline_at and is_open else None,
        max_runs=data.get("max_runs"), max_ram_mb=data.get("max_ram_mb"),
        budget_tokens=_newest_budget(events) or data.get("budget_tokens"),
        n_ended=(sum(counts.values()) - counts["queued"] - counts["running"] - before
                 - sum(event.kind == WITHDRAWN and event.run_id is not None for event in events)
                 if isinstance(before := data.get("n_ended_before"), int)
                 else ledger.n_ended_since(started_at)), n_queued=n_queued,
        n_trials=data.get("n_trials"), cluster=data.get("cluster"),
        run_s=pace_s(ledger, study) if study else None)


def _newest_budget(events: Sequence[Event]) -> int | None:
    """What the first baseline corrected the night's budget to; None where it did not."""
    return next((event.data.get("budget_tokens") for event in events
                 if event.kind == "budget" and event.data), None)


def _left_s(now: str, started_at: str, deadline_at: str) -> float:
    """Seconds to the deadline; all of them at most, where the clock was set back."""
    all_s = seconds_between(started_at, deadline_at)
    return max(0.0, min(seconds_between(now, deadline_at), all_s))


def _progress(run: Run, curve: Sequence[Metric], now: str, read_mb: ReadMb) -> Progress:
    config, budget_tokens = Config.from_dict(run.config), run.budget_tokens or 0
    n_steps = config.steps_for(budget_tokens)
    step = min(run.steps or 0, n_steps)
    speeds = [metric.tok_per_s for metric in curve if metric.tok_per_s]
    tok_per_s = speeds[-1] if speeds else None
    silent_s = _silence_s(run, now)
    is_silent = silent_s is not None
    left_tokens = (n_steps - step) * config.tokens_per_step
    return Progress(
        step=step, n_steps=n_steps, share=step / n_steps, tok_per_s=tok_per_s,
        left_s=left_tokens / tok_per_s if tok_per_s and not is_silent else None,
        # The pid of a run that is silent may by now be another program's.
        ram_mb=read_mb(run.pid) if run.pid and not is_silent else None,
        silent_s=silent_s)


def _silence_s(run: Run, now: str) -> float | None:
    """Seconds since its last sign of life; None where that is not too long ago."""
    silent_s = seconds_between(run.heartbeat_at, now) if run.heartbeat_at else 0.0
    return silent_s if silent_s > SILENT_AFTER_S else None


def _difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, dict[str, Any]]:
    # A field that is younger than a run had its default there.
    known = Config().to_dict()
    old, new = ({name: known[name] for name in LATER} | config for config in (old, new))
    names = [*new, *(name for name in old if name not in new)]
    return {name: {"old": old.get(name), "new": new.get(name)}
            for name in names if old.get(name) != new.get(name)}
