"""What a person sees while the agent works: lines to stderr, and bars where it is a terminal."""

import datetime as dt
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from agent import words
from agent.cli import voice
from agent.cli.talk import tell
from agent.ledger import Run
from agent.show import STYLES
from agent.words import Level, Page, Told

WINDOWS = "windows"  # of a text: what most runs are scored on
SLOW_S = 2.0  # after which a person wonders
GONE_S = 2.0  # a run that runs is told of at each tick


@contextmanager
def told_if_slow(message: str, after_s: float = SLOW_S) -> Iterator[None]:
    """Say on stderr what is computed, if it takes longer than that."""
    timer = threading.Timer(after_s, tell, (message,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def once_slow(stage: Callable[[str, int, int], None], after_s: float = SLOW_S,
              now_s: Callable[[], float] = time.monotonic) -> Callable[[str, int, int], None]:
    """Progress that is shown only of what takes longer than that."""
    start_s = now_s()

    def told(title: str, done: int, total: int) -> None:
        if now_s() - start_s > after_s:
            stage(title, done, total)

    return told


def _width(console: Console) -> int:
    """Of the terminal; through a pipe what COLUMNS says, and where that says nothing, 80."""
    if console.is_terminal:
        return console.width
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else words.PLAIN


def scored_now(newest: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """How far the evaluation under way is; None where none is, or it has told nothing yet."""
    scoring, step = newest.get("scoring"), newest.get("step", {}).get("step", 0)
    if scoring is None or scoring["step"] < step or "done" in newest:
        return None
    # What else than windows of a text is asked, of a run that improves another, follows the score.
    is_over = (scoring["shard"] is None and scoring.get("what", WINDOWS) == WINDOWS
               and newest.get("eval", {}).get("step") == scoring["step"])
    return None if is_over else scoring


@dataclass(slots=True)
class _Bar:
    task: TaskID
    title: str = ""
    moved_s: float = 0.0


class Screen:
    """Messages and bars; through a pipe, one line for each message and for each new stage.

    level  what is shown: always is quiet, usual a row a run, verbose every sentence whole
    """

    def __init__(self, console: Console | None = None, level: Level = "usual",
                 now_s: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(stderr=True)
        if self.console.width < 1:  # COLUMNS=0, for which rich shows nothing
            self.console.width = words.PLAIN
        self.level = level
        self._ends_blank = False  # the last line shown was an empty one
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=self._bar_width()),
            MofNCompleteColumn(), TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
            console=self.console, transient=True,
            disable=not self.console.is_terminal or level == "always")
        self._tasks: dict[str, _Bar] = {}  # by the label of a run; "": what is prepared
        self._title = ""
        self._now_s = now_s

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bars.stop()

    def say(self, message: str) -> None:
        if isinstance(message, Told) and message.row and message.row.label in self._tasks:
            self._bars.remove_task(self._tasks.pop(message.row.label).task)  # it has ended
        clock = dt.datetime.now(dt.UTC).astimezone().strftime("%H:%M:%S")
        page = Page(_width(self.console), self.level, words.is_narrow(self.console.encoding))
        lines = words.laid_out(message, clock, page)
        if lines and not lines[0] and self._ends_blank:
            del lines[0]
        if not lines:
            return
        self._ends_blank = not lines[-1]
        text = Text("\n".join(lines))
        if isinstance(message, Told) and message.row:
            text.highlight_words([f" {message.row.verdict}"],
                                 STYLES.get(message.row.verdict, ""))
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def unheard(self) -> str | None:
        """Why something that was said is lost; None where all was heard."""
        return voice.unheard(self.console.file)

    def stage(self, title: str, done: int, total: int) -> None:
        """Progress of preparing a text."""
        if title != self._title and not self.console.is_terminal:
            self.say(title)
        self._show("", title, done, total, "")

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None:
        """Progress of a run under way."""
        start, step = newest.get("start"), newest.get("step")
        if (scoring := scored_now(newest)) is not None:
            what = scoring.get("what", WINDOWS).replace(WINDOWS, "scoring")
            self._show(run.label, f"{run.label} {what}", scoring["done"], scoring["total"], "")
        elif start and not step and (making := newest.get("making")):
            self._show(run.label, f"{run.label} writing", making["done"], making["of"],
                       "to learn from")
        elif start and step:
            notes = [f"loss {step['loss']:.3f}"]
            if "eval" in newest:
                notes.append(f"val {newest['eval']['nats']:.3f}")
            note = ", ".join(notes if self.console.width >= words.PLAIN else notes[-1:])
            is_last = step["step"] == start["n_steps"] and "done" not in newest
            title = f"{run.label} validating" if is_last else run.label
            self._show(run.label, title, step["step"], start["n_steps"] + is_last, note)

    def _bar_width(self) -> int:
        """So long that the words and numbers beside it stay whole."""
        return 20 if self.console.width >= words.PLAIN else 8 if self.console.width >= 60 else 4

    def _show(self, key: str, title: str, done: int, total: int, note: str) -> None:
        """Move the bar of a run; one of which nothing came for a while is taken away."""
        self._title, now_s = title, self._now_s()
        for other in [one for one, bar in self._tasks.items()
                      if one != key and now_s - bar.moved_s > GONE_S]:
            self._bars.remove_task(self._tasks.pop(other).task)
        bar = self._tasks.get(key)
        if bar is None:
            bar = self._tasks[key] = _Bar(
                self._bars.add_task("", note="", visible=False, total=None))
        if title != bar.title:
            self._bars.reset(bar.task)
            bar.title = title
        bar.moved_s = now_s
        self._bars.update(bar.task, description=title, completed=done, total=total or None,
                          note=note, visible=done < total)
