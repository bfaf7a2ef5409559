"""What a person sees while the agent works: lines to stderr, and bars where it is a terminal."""

import datetime as dt
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.ledger import Run

MOST_COLUMNS = 71  # of what is said, behind the time; longer lines are hard to read
SLOW_S = 2.0  # after which a person wonders


@contextmanager
def told_if_slow(message: str, after_s: float = SLOW_S) -> Iterator[None]:
    """Say on stderr what is computed, if it takes longer than that."""
    timer = threading.Timer(after_s, click.echo, (message,), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def laid_out(message: str, width: int) -> str:
    """A message of several lines in lines of at most that width, under each other."""
    lines = textwrap.wrap(" ".join(message.split()), max(20, min(width, MOST_COLUMNS)),
                          break_on_hyphens=False, break_long_words=False)
    return "\n         ".join(lines)


class Screen:
    """Messages and bars; through a pipe, one line for each message and for each new stage."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(),
            TimeRemainingColumn(compact=True), TextColumn("{task.fields[note]}"),
            console=self.console, transient=True, disable=not self.console.is_terminal)
        self._task = self._bars.add_task("", note="", visible=False, total=None)
        self._title = ""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bars.stop()

    def say(self, message: str) -> None:
        clock = dt.datetime.now(dt.UTC).astimezone().strftime("%H:%M:%S")
        if "\n" in message:  # broken for 80 columns; a narrower terminal has its own breaks
            message = laid_out(message, self.console.width - len(clock) - 1)
        self.console.print(f"{clock} {message}", markup=False, highlight=False, soft_wrap=True)

    def stage(self, title: str, done: int, total: int) -> None:
        """Progress of preparing a text."""
        if title != self._title and not self.console.is_terminal:
            self.say(title)
        self._show(title, done, total, "")

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None:
        """Progress of a run under way."""
        start, step = newest.get("start"), newest.get("step")
        if start and step:
            note = f"loss {step['loss']:.3f}"
            if "eval" in newest:
                note += f", val {newest['eval']['nats']:.3f}"
            is_last = step["step"] == start["n_steps"] and "done" not in newest
            title = f"{run.label} validating" if is_last else run.label
            self._show(title, step["step"], start["n_steps"] + is_last, note)

    def _show(self, title: str, done: int, total: int, note: str) -> None:
        if title != self._title:
            self._bars.reset(self._task)
            self._title = title
        self._bars.update(self._task, description=title, completed=done, total=total or None,
                          note=note, visible=done < total)
