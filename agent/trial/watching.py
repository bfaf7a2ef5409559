"""What a worker sees in its network: some numbers a block now and then, and all where it breaks."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from agent.ledger import Layer, Trace
from agent.trial.events import Events
from agent.words import told_error
from engine.trace import (
    Before,
    Finding,
    Gauge,
    Moved,
    Odd,
    look_over,
    moved,
    odd_start,
    sampled,
    trace_evaluation,
    trace_failure,
)
from engine.training import Step, Trainer

LOG_POINTS = 100  # training rows a run leaves in the ledger
TELL_S = 1.0  # between two words on how far the way back to a failure is
COLUMNS = ("act_rms", "grad_rms", "max_score", "entropy", "dead_gates")


class Watching:
    """Writes the events "layers", at every logged step, and "trace", at the end or never.

    Of a run that learns from something else than its text only the logged steps are known: what a
    step should be there, no rule says.
    """

    def __init__(self, trainer: Trainer, events: Events, is_plain: bool = True) -> None:
        self._is_plain = is_plain
        self._trainer, self._events, self._gauge = trainer, events, Gauge(trainer.config)
        self._told_at = 0.0
        self._start: list[Odd] = []  # what was wrong with the first values, where they were seen
        self._before: Before | None = None  # the last update
        self._last: Moved | None = None

    def is_due(self, step: int) -> bool:
        """Whether a step is logged."""
        n_steps = self._trainer.n_steps
        return step % max(1, n_steps // LOG_POINTS) == 0 or step in (1, n_steps)

    def prepare(self) -> None:
        """Have the next step watched, if it will be logged."""
        trainer = self._trainer
        if not self._is_plain:
            return
        trainer.watch = self._gauge if self.is_due(trainer.step + 1) else None
        if trainer.step == 0:
            self._start = odd_start(trainer.config, trainer.params)
        if trainer.step + 1 == trainer.n_steps:
            self._before = sampled(trainer)

    def note(self, event: Step) -> None:
        """Write what the blocks did in the step that was just made; prepare the next."""
        trainer = self._trainer
        if trainer.watch:
            self._events.write("layers", step=event.step, **self._gauge.rows(trainer.grads[0]))
        if self._before:
            self._last = moved(trainer, self._before, event.grad_norm, event.lr)
        self.prepare()

    def look_over(self) -> None:
        """Write what is wrong with a run that came to its end, where anything is."""
        if self._is_plain:
            self._write(lambda: look_over(self._trainer, self._start, self._last))

    def trace(self, load: Callable[[], Any], should_stop: Callable[[], bool]) -> None:
        """Write what broke the step that the trainer could not make, or its last evaluation."""
        if not self._is_plain:
            return
        trainer, self._trainer.watch = self._trainer, None

        def go(done: int, total: int) -> bool:
            now = time.monotonic()
            if now - self._told_at >= TELL_S:
                self._told_at = now
                self._events.write("tracing", step=trainer.step, done=done, total=total)
            return not should_stop()

        self._write(lambda: trace_evaluation(trainer) if trainer.step >= trainer.n_steps
                    else trace_failure(trainer, load, go, self._start))

    def _write(self, find: Callable[[], Finding | None]) -> None:
        try:
            found = find()
        except Exception as error:  # noqa: BLE001 how a run ended is known without its trace
            self._events.write("untraced", message=told_error(error))
            return
        if found:
            self._events.write("trace", **found.values())


def seen_in(event: Mapping[str, Any]) -> list[Layer | Trace]:
    """The ledger's rows of an event that tells of the network; none where it is spoilt."""
    try:
        if event["kind"] == "layers":
            columns = {name: event[name] for name in COLUMNS}
            return [Layer(_whole(event["step"]), block, **{
                name: _number(values[block]) for name, values in columns.items()})
                for block in range(len(columns["act_rms"]))]
        if event["kind"] == "trace":
            return [_trace(event)]
    except (KeyError, IndexError, TypeError, ValueError):
        pass  # a bit fell over
    return []


def _trace(event: Mapping[str, Any]) -> Trace:
    causes = [str(cause) for cause in event["causes"]]
    block = event["block"]
    names = [event["pass"], event["tensor"], event["told"]]
    if not causes or not all(isinstance(name, str) for name in names):
        raise ValueError("no trace")
    return Trace(_whole(event["step"]), names[0], None if block is None else _whole(block),
                 names[1], causes, names[2],
                 {name: value for name, value in event.items() if name != "kind"})


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value) if math.isfinite(value) else None
