"""What happens now, as a section of the page: the run that learns, its curve, the guard's word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent import words
from agent.home import Home, holder
from agent.ledger import (
    STATES,
    Decision,
    Event,
    Queries,
    Run,
    best_run,
    corpus_of,
    current_study,
    last_state,
)
from agent.machine import Present, present
from agent.show import run_log
from agent.show.page import blocks, draw, marks, scale
from engine.config import Config
from engine.errors import UserError

MOST_POINTS = 300  # of a curve: more than a window has room for says nothing more
ROOM = 0.06  # of the losses' span, left free above and below
N_DECISIONS = 4
AHEAD = {"step": "loss", "eval": "nats"}  # events of a run's log, and their field that is a loss
YARDSTICKS = ("uniform", "unigram", "bigram", "trigram")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Losses by step, nats a token; those in the log are there before the ledger has them."""

    trained: Sequence[Point] = ()
    validated: Sequence[Point] = ()

    @property
    def last(self) -> Point | None:
        return self.trained[-1] if self.trained else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """As much of the state of things as a glance takes, with ten thousand runs, too."""

    run: Run | None  # the one that runs, else the last one that ended
    curve: Curve
    tok_per_s: float | None
    best: Run | None
    yardsticks: Sequence[tuple[str, float]]  # of that run's text, nats a token
    decisions: Sequence[Decision]  # newest first
    last: Event | None  # what the daemon was last up to
    is_agent_alive: bool
    guard: Present | None  # the word of an agent that is alive

    @property
    def is_running(self) -> bool:
        return self.run is not None and self.run.state == "running"

    @property
    def n_steps(self) -> int | None:
        """Of the run; None where its configuration is another version's."""
        config = _config(self.run)
        return config.steps_for(self.run.budget_tokens or 0) if self.run and config else None

    @property
    def step(self) -> int:
        done = (self.run.steps if self.run else None) or 0
        return max(done, int(self.curve.last[0]) if self.curve.last else 0)

    @property
    def left_s(self) -> float | None:
        config, n_steps = _config(self.run), self.n_steps
        if config is None or n_steps is None or not self.tok_per_s:
            return None
        return max(0, n_steps - self.step) * config.tokens_per_step / self.tok_per_s


def _config(run: Run | None) -> Config | None:
    try:
        return Config.from_dict(run.config) if run else None
    except UserError:
        return None


def look(ledger: Queries, home: Home) -> Scene:
    """The state of things, and the curve of what runs or ran last."""
    run, study = ledger.current(), current_study(ledger)
    is_agent_alive = holder(home.lock) is not None
    metrics = ledger.metrics(run.id) if run else []
    trained = {one.step: one.train_loss for one in metrics if one.train_loss is not None}
    validated = {one.step: one.val_loss for one in metrics if one.val_loss is not None}
    speeds = [one.tok_per_s for one in metrics if one.tok_per_s]
    if run and run.state == "running":
        for event in _ahead(home, run):
            kind, step = event.get("kind"), event.get("step")
            loss = event.get(AHEAD.get(str(kind), ""))
            if isinstance(step, int) and isinstance(loss, int | float):
                (trained if kind == "step" else validated)[step] = float(loss)
    corpus = corpus_of(ledger, run)
    nats = {name: getattr(corpus, f"{name}_nats", None) for name in YARDSTICKS}
    return Scene(
        run=run, tok_per_s=speeds[-1] if speeds else None, best=best_run(ledger),
        curve=Curve(trained=_thinned(sorted(trained.items())),
                    validated=_thinned(sorted(validated.items()))),
        yardsticks=[(name, value) for name, value in nats.items() if value is not None],
        decisions=ledger.decisions(limit=N_DECISIONS, with_arms=False,
                                   study=study.id if study else None),
        last=last_state(ledger.events_of_night()), is_agent_alive=is_agent_alive,
        guard=present.read(home.guard) if is_agent_alive else None)


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


def section(scene: Scene) -> blocks.Section:
    """The live part of the page."""
    parts: list[blocks.Block] = [_picture(scene) or blocks.Finding(
        finding=headline(scene), note=_guard(scene))]
    if lines := [_decision(one) for one in scene.decisions]:
        parts.append(blocks.Items(lines=lines))
    return blocks.Section(name="now", title="Now", blocks=parts)


def trouble(why: str) -> blocks.Section:
    """The live part where the ledger cannot be read."""
    return blocks.Section(name="now", title="Now", blocks=[blocks.Finding(
        finding="Nothing can be read just now.",
        note=f"{words.cut(words.printable(why), 300)}. This page looks again every two seconds.")])


def facts(scene: Scene) -> dict[str, Any]:
    """The same for other programs: run, state, step of n_steps, its loss, the guard's word."""
    run, best, last = scene.run, scene.best, scene.curve.last
    return {"run": run.label if run else None, "state": run.state if run else None,
            "step": scene.step if scene.is_running else None,
            "n_steps": scene.n_steps if scene.is_running else None,
            "loss_nats": last[1] if last else None, "is_agent_alive": scene.is_agent_alive,
            "guard": scene.guard.word if scene.guard else None,
            "best": best.label if best else None, "best_bpb": best.val_bpb if best else None}


def headline(scene: Scene) -> str:
    """One sentence on what runs, or on why nothing does."""
    run, state = scene.run, STATES[scene.last.kind] if scene.last else None
    if run is not None and scene.is_running:
        of = f" of {scene.n_steps:,}" if scene.n_steps else ""
        told = f"{run.label} learns: step {scene.step:,}{of}"
        if not scene.is_agent_alive:
            return f"{told}. Its agent is gone; `agent run` takes it up."
        return told + (f", about {words.duration(scene.left_s)} to go."
                       if scene.left_s is not None else ".")
    if scene.is_agent_alive:
        return {"on": "Between two runs.", "paused": "Paused; `agent resume` goes on.",
                "stopping": "The agent is stopping."}.get(
                    state or "", "The agent prepares; nothing runs yet.")
    if scene.last is None or state != "over":
        return "No agent runs." if scene.last is None else (
            "No agent runs; the last one ended without a word.")
    reason = (scene.last.data or {}).get("reason") or scene.last.message.removeprefix("over: ")
    return f"No agent runs; the last night is over: {words.first_clause(str(reason))}."


def _guard(scene: Scene) -> str:
    found = scene.guard
    if found is None:
        return ""
    told = f"; {found.told}" if found.told else ""
    return f"Guard, {words.clock(found.at)}: {found.word}, {found.reason}{told}."


def _decision(one: Decision) -> str:
    return f"{one.label} {one.verdict}: {words.cut(' '.join(one.reason.split()), 150)}"


def _picture(scene: Scene) -> blocks.Figure | None:
    run, curve = scene.run, scene.curve
    points = [*curve.trained, *curve.validated]
    if run is None or len(points) < 2:
        return None
    losses = [loss for _, loss in points]
    low, high = min(losses), max(losses)
    free = ROOM * (high - low) or ROOM * abs(high) or ROOM
    drawn: list[marks.Mark] = [marks.Rule(at=nats, label=f"{name} {nats:.2f}")
                               for name, nats in scene.yardsticks
                               if low - free <= nats <= high + free]
    drawn.append(marks.Line(points=curve.trained, name="training", is_thin=True))
    if curve.validated:
        drawn.append(marks.Line(points=curve.validated, kind=marks.ORANGE, name="held-out text"))
    last = max(step for step, _ in points)
    loss = f", now {curve.last[1]:.3f} nats a token" if curve.last else ""
    text = f"The loss of {run.label} over {last:,.0f} steps{loss}."
    plot = draw.Plot(
        title=f"{run.label} as it learns", text=text,
        x=scale.Scale(0.0, float(max(scene.n_steps or 0, last, 1)), "steps"),
        y=scale.Scale(low - free, high + free, "nats a token"), marks=drawn)
    note = f"{words.cut(run.config_text, 60)}. {text} {_guard(scene)}"
    return blocks.Figure(name="now", finding=headline(scene), note=note.strip(), height=260,
                         pictures=[plot])
