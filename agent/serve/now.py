"""What happens now, as a section of the page: the run that learns, its curve, the guard's word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent import words
from agent.home import Home, holder
from agent.ledger import Queries, Run
from agent.machine import present
from agent.show import Status, gather, run_log
from agent.show.page import blocks, draw, marks, scale
from engine.config import Config
from engine.errors import UserError

MOST_POINTS = 300  # of a curve: more than a window has room for says nothing more
ROOM = 0.06  # of the losses' span, left free above and below
N_DECISIONS = 4
AHEAD = {"step": "loss", "eval": "nats"}  # events of a run's log, and their field that is a loss

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Losses by step, nats a token; those in the log are there before the ledger has them."""

    trained: Sequence[Point] = ()
    validated: Sequence[Point] = ()

    @property
    def last(self) -> Point | None:
        return self.trained[-1] if self.trained else None


def look(ledger: Queries, home: Home, now: str) -> tuple[Status, Curve]:
    """The state of things, and the curve of what runs or ran last."""
    status = gather(ledger, now, is_daemon_alive=holder(home.lock) is not None,
                    read_mb=lambda pid: None, present=present.read(home.guard))
    run = status.run
    trained = {one.step: one.train_loss for one in status.curve if one.train_loss is not None}
    validated = {one.step: one.val_loss for one in status.curve if one.val_loss is not None}
    if run and run.state == "running":
        for event in _ahead(home, run):
            kind, step = event.get("kind"), event.get("step")
            loss = event.get(AHEAD.get(str(kind), ""))
            if isinstance(step, int) and isinstance(loss, int | float):
                (trained if kind == "step" else validated)[step] = float(loss)
    return status, Curve(trained=_thinned(sorted(trained.items())),
                         validated=_thinned(sorted(validated.items())))


def _ahead(home: Home, run: Run) -> list[dict[str, Any]]:
    """What the run has logged since its agent last looked, or was killed."""
    try:
        return run_log.read(home.run(run.uid), run.events_offset)[0]
    except UserError:
        return []


def _thinned(points: list[tuple[int, float]]) -> list[Point]:
    """At most so many, evenly, the last one always among them."""
    stride = -(-len(points) // MOST_POINTS) or 1
    return [(float(step), loss) for step, loss in points[::-1][::stride][::-1]]


def section(status: Status, curve: Curve) -> blocks.Section:
    """The live part of the page."""
    parts: list[blocks.Block] = [_picture(status, curve) or blocks.Finding(
        finding=headline(status, curve), note=_guard(status))]
    if lines := [_decision(one) for one in status.decisions[:N_DECISIONS]]:
        parts.append(blocks.Items(lines=lines))
    return blocks.Section(name="now", title="Now", blocks=parts)


def trouble(why: str) -> blocks.Section:
    """The live part where the ledger cannot be read."""
    return blocks.Section(name="now", title="Now", blocks=[blocks.Finding(
        finding="Nothing can be read just now.",
        note=f"{words.cut(words.printable(why), 300)}. This page looks again every two seconds.")])


def facts(status: Status, curve: Curve) -> dict[str, Any]:
    """The same for other programs: run, state, step of n_steps, its loss, the guard's word."""
    run = status.run
    is_running = run is not None and run.state == "running"
    return {"run": run.label if run else None, "state": run.state if run else None,
            "step": _step(status, curve) if is_running else None,
            "n_steps": _n_steps(run) if run and is_running else None,
            "loss_nats": curve.last[1] if curve.last else None,
            "is_agent_alive": status.is_daemon_alive, "guard": status.guard_word,
            "best": status.best.label if status.best else None,
            "best_bpb": status.best.val_bpb if status.best else None}


def _n_steps(run: Run) -> int | None:
    try:
        return Config.from_dict(run.config).steps_for(run.budget_tokens or 0)
    except UserError:  # of another version
        return None


def _step(status: Status, curve: Curve) -> int:
    done = status.run.steps if status.run else 0
    return max(done or 0, int(curve.last[0]) if curve.last else 0)


def headline(status: Status, curve: Curve) -> str:
    """One sentence on what runs, or on why nothing does."""
    run, night = status.run, status.night
    if run is not None and run.state == "running":
        n_steps = _n_steps(run)
        of = f" of {n_steps:,}" if n_steps else ""
        told = f"{run.label} learns: step {_step(status, curve):,}{of}"
        if not status.is_daemon_alive:
            return f"{told}. Its agent is gone; `agent run` takes it up."
        left = status.progress.left_s if status.progress else None
        return told + (f", about {words.duration(left)} to go." if left is not None else ".")
    if status.is_daemon_alive and night:
        return {"paused": "Paused; `agent resume` goes on.",
                "stopping": "The agent is stopping."}.get(night.state, "Between two runs.")
    if status.is_daemon_alive:
        return "The agent prepares; nothing runs yet."
    over = f" {words.cut(status.morning.why, 120)}." if status.morning else ""
    return f"No agent runs.{over}"


def _guard(status: Status) -> str:
    found = status.guard_now
    if found is None:
        return f"Guard: {status.guard_word}." if status.is_daemon_alive else ""
    told = f"; {found.told}" if found.told else ""
    return f"Guard, {words.clock(found.at)}: {found.word}, {found.reason}{told}."


def _decision(one: Any) -> str:
    return f"{one.label} {one.verdict}: {words.cut(' '.join(one.reason.split()), 150)}"


def _picture(status: Status, curve: Curve) -> blocks.Figure | None:
    run, points = status.run, [*curve.trained, *curve.validated]
    if run is None or len(points) < 2:
        return None
    losses = [loss for _, loss in points]
    low, high = min(losses), max(losses)
    free = ROOM * (high - low) or ROOM * abs(high) or ROOM
    rungs = [marks.Rule(at=rung.nats, label=f"{rung.name} {rung.nats:.2f}")
             for rung in status.yardsticks
             if rung.nats is not None and low - free <= rung.nats <= high + free]
    last = max(step for step, _ in points)
    drawn: list[marks.Mark] = [*rungs, marks.Line(points=curve.trained, name="training",
                                                  is_thin=True)]
    if curve.validated:
        drawn.append(marks.Line(points=curve.validated, kind=marks.ORANGE, name="held-out text"))
    text = f"The loss of {run.label} over {last:,.0f} steps: {losses_now(curve)}."
    note = f"{words.cut(run.config_text, 60)}. {text} {_guard(status)}"
    n_steps = _n_steps(run) or last
    return blocks.Figure(name="now", finding=headline(status, curve), note=note.strip(), height=260, pictures=[draw.Plot(
        title=f"{run.label} as it learns", text=text,
        x=scale.Scale(0.0, float(max(n_steps, last, 1)), "steps"),
        y=scale.Scale(low - free, high + free, "nats a token"), marks=drawn)])


def losses_now(curve: Curve) -> str:
    """now 3.412 nats a token."""
    return f"now {curve.last[1]:.3f} nats a token" if curve.last else "not known yet"
