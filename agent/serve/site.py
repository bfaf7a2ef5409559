"""What the server shows: the live part, made anew where a file changed, and the report under it.

A look at a few files' sizes and times says whether anything happened; only then is the ledger
opened, read and closed again. So a page that is open all day costs next to nothing, and a ledger
that is locked, swapped or gone is one sentence, and the next look finds the new one.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.home import Home, holder
from agent.ledger import Queries, Reader, remarks
from agent.machine import machine
from agent.serve import now as now_of
from agent.serve.script import LIVE
from agent.show.page import blocks, html
from engine.errors import UserError

REST = 20  # a report rests so many times as long as it took: at most 5 % of a core
FIRST_S = 20.0  # a page waits so long for the first report
LIMIT_S = 300.0  # a child that takes longer is ended
FRESH_S = 20.0  # while something runs, its times are told anew at least so often
TITLE = "phi-auto"
EMPTY = blocks.Report(title=TITLE, eyebrow="phi-auto", headline="The night, live", lede="",
                      facts=[], sections=[], foot="Made by phi-auto from its ledger.")

Child = Callable[[Home, int | None], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A look: what it was of, and what was seen."""

    mark: str  # of the files
    report: str  # what a report would be made of
    html: str
    title: str
    facts: dict[str, Any]
    at_s: float


class Site:
    """Answers for any number of connections at once; one of them looks, the others get the last."""

    def __init__(self, home: Home, study: int | None = None, *, make: Child | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.home, self.study = home, study
        self._clock = clock
        self.reports = Reports(home, study, make or rendered, clock)
        self._looking = threading.Lock()
        self._seen = Seen("", "", "", TITLE, {}, 0.0)
        self._uid: str | None = None  # of the run whose log is watched
        shell = html.page(EMPTY, LIVE, connects=True)
        self._begin, _, rest = shell.partition(html.head(EMPTY))
        self._end = rest.partition("</footer>\n")[2]

    def page(self) -> str:
        """The document, with what is known now; it waits for the first report, not for others."""
        seen = self.look()
        self.reports.want(seen.report)
        mark, parts = self.reports.get(FIRST_S)
        sections = "\n".join(one for _, one in parts.get("sections", ()))
        return (f"{self._begin}{parts.get('head') or html.head(EMPTY)}\n<main>\n"
                f'<p id="told" class="note" role="status"></p><p id="mark" hidden>{mark}</p>\n'
                f"{seen.html}\n{sections}\n</main>\n"
                f"{parts.get('foot') or _foot(EMPTY)}\n{self._end}")

    def now_json(self, known_now: str, known_report: str) -> str:
        """What changed since a page knew that: `html` of the live part, `parts` of a report."""
        seen = self.look()
        self.reports.want(seen.report)
        mark, parts = self.reports.get(0.0)
        told: dict[str, Any] = {"now": seen.mark, "report": mark, **seen.facts}
        if seen.mark != known_now:
            told |= {"html": seen.html, "title": seen.title}
        if parts and mark != known_report:
            told["parts"] = parts
        return json.dumps(told)

    def look(self) -> Seen:
        """The live part; the last one where nothing changed, or another connection looks."""
        if not self._looking.acquire(blocking=not self._seen.mark):
            return self._seen
        try:
            mark = self._mark()
            if mark != self._seen.mark.partition("+")[0] or self._is_stale():
                self._seen = self._seen_now(mark)
            return self._seen
        finally:
            self._looking.release()

    def _is_stale(self) -> bool:
        """Whether times that pass stand in it: how long a run still takes."""
        return (self._uid is not None or "error" in self._seen.facts) and (
            self._clock() - self._seen.at_s >= FRESH_S)

    def _mark(self) -> str:
        """Files a look would read, by identity, size and time; and whether an agent is alive."""
        home = self.home
        paths = [home.ledger, Path(f"{home.ledger}-wal"), home.guard]
        if self._uid:
            paths.append(home.run(self._uid).events)
        try:
            agent = holder(home.lock)
        except (OSError, ValueError):
            agent = None
        return _short(repr([*map(_state, paths), agent]))

    def _seen_now(self, mark: str) -> Seen:
        at_s = self._clock()
        fresh = f"{mark}+{at_s:.3f}"
        try:
            with Reader.open(self.home.ledger) as ledger:
                scene = now_of.look(ledger, self.home)
                report = _short(f"{_state(self.home.ledger)[:2]}{_content(ledger)}")
        except (UserError, sqlite3.Error, OSError, ValueError) as error:
            self._uid = None
            why = str(error) or type(error).__name__
            return Seen(fresh, self._seen.report, html.section(now_of.trouble(why)), TITLE,
                        {"error": why}, at_s)
        self._uid = scene.run.uid if scene.run and scene.is_running else None
        facts = now_of.facts(scene)
        return Seen(fresh, report, html.section(now_of.section(scene)), _title(facts), facts, at_s)


class Reports:
    """The report as parts of a page: made by a child where it is wanted and not yet there."""

    def __init__(self, home: Home, study: int | None, make: Child,
                 clock: Callable[[], float]) -> None:
        self._home, self._study, self._make, self._clock = home, study, make, clock
        self._mark, self._parts = "", dict[str, Any]()
        self._guard, self._is_made = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._rests_until_s = float("-inf")

    def want(self, mark: str) -> None:
        """Have the report of that state made, unless it is there, or the last was made just now."""
        with self._guard:
            is_busy = self._thread is not None and self._thread.is_alive()
            if not mark or mark == self._mark or is_busy or self._clock() < self._rests_until_s:
                return
            self._thread = threading.Thread(target=self._work, args=(mark,), daemon=True)
            self._thread.start()

    def get(self, wait_s: float) -> tuple[str, dict[str, Any]]:
        """The newest report and what it is of; nothing where none could be made so soon."""
        if self._thread is not None:
            self._is_made.wait(wait_s)
        return self._mark, self._parts

    def _work(self, mark: str) -> None:
        began_s = self._clock()
        try:
            found = self._make(self._home, self._study)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            found = {"error": str(error)}
        with self._guard:
            if "error" not in found:
                self._mark, self._parts = mark, found
            self._rests_until_s = self._clock() + REST * (self._clock() - began_s)
        self._is_made.set()


def rendered(home: Home, study: int | None) -> dict[str, Any]:
    """What the child makes of it. Raises ValueError where it says nothing, and as `run` does."""
    words = [str(home.root), *([] if study is None else [str(study)])]
    done = subprocess.run(
        machine.child("agent.serve.render", *words), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=LIMIT_S, check=True,
        start_new_session=True, env=machine.worker_environment())
    found = json.loads(done.stdout)
    if not isinstance(found, dict):
        raise ValueError("no report")
    return found


def _content(ledger: Queries) -> list[Any]:
    """What a report is made of, but for the curve of a run that still learns."""
    found = ledger.rows("SELECT (SELECT max(id) FROM decisions) AS d, (SELECT count(*) FROM runs) "
                        "AS n, (SELECT max(ended_at) FROM runs) AS e, (SELECT max(id) FROM "
                        "calibrations) AS c, (SELECT max(id) FROM events WHERE kind = 'night') AS "
                        "k")
    said = [(number, one.note, one.is_starred) for number, one in remarks(ledger).items()]
    return [*found[0].values(), sorted(ledger.counts().items()), said]


def _state(path: Path) -> tuple[int, ...]:
    """Which file that is, how large and when written; empty where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _title(facts: dict[str, Any]) -> str:
    if facts["state"] == "running" and facts["n_steps"]:
        return f"{100 * facts['step'] // facts['n_steps']} % {facts['run']}, {TITLE}"
    return TITLE


def _foot(report: blocks.Report) -> str:
    return f'<footer id="foot">{html.prose(report.foot)}</footer>'
