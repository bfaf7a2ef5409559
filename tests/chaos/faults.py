"""A small real night that meets a fault of its machine, and what must hold of it afterwards."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.text.stories.write import write_stories
from tests.chaos.night import CLAIMS, COMPARED
from tests.support.parts import settings

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0  # a real process is waited for so long before a test fails
TOOLS = ("unshare", "mount")


def a_text(folder: Path) -> Path:
    path = folder / "stories.txt"
    path.write_text("\n<|endoftext|>\n".join(write_stories(120, 0)))
    return path


def until(claim: Callable[[], Any], what: str) -> None:
    """Look again and again until the claim holds; the test fails when patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end, f"the program did not get there: {what}"
        time.sleep(0.05)


class Place:
    """A home, the text of its nights and the agent in it; `before` are words of a command that
    runs the agent, `site` a folder with a sitecustomize.py for it and its children.
    """

    def __init__(self, root: Path, text: Path, *, home: Path | None = None,
                 before: tuple[str, ...] = (), site: Path | None = None) -> None:
        self.home, self.text, self.before = home or root / "home", text, before
        self.log = root / "agent.log"
        path = [str(ROOT)] if site is None else [str(site), str(ROOT)]
        self.environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """The agent, what it says in the log."""
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [*self.before, sys.executable, "-m", "agent", "--home", str(self.home), *words],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                env=self.environment)

    @contextlib.contextmanager
    def night(self, n_runs: int, tokens: int) -> "Iterator[subprocess.Popen[bytes]]":
        """A night of so many runs; killed where the test fails before it is over."""
        daemon = self.start("run", "--runs", str(n_runs), "--run-tokens", str(tokens), "--corpus",
                            str(self.text), "--replicas", "1", *settings())
        try:
            yield daemon
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()

    def agent(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command that ends by itself."""
        return subprocess.run(
            [*self.before, sys.executable, "-m", "agent", "--home", str(self.home), *words],
            capture_output=True, text=True, timeout=PATIENCE_S, env=self.environment)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the ledger; none where there is no such table yet."""
        try:
            with contextlib.closing(sqlite3.connect(self.home / "ledger.db", timeout=20)) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the workers of all runs wrote, of one kind; spoilt lines are passed over.

        Runs are named by hexadecimal digits; the folder `measure` is none.
        """
        found = []
        for path in sorted(self.home.glob("runs/[0-9a-f]*/events.jsonl")):
            for line in path.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return [event for event in found if event["kind"] == kind]

    def freeze(self, daemon: "subprocess.Popen[bytes]") -> None:
        """Kill the daemon and its worker at once, as a power cut does."""
        (start,) = self.events("start")[-1:]
        daemon.kill()
        daemon.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(start["pid"], signal.SIGKILL)
        until(lambda: not Path(f"/proc/{start['pid']}").exists(), "the worker is gone")

    def faults(self) -> list[str]:
        """Which claims do not hold of the ledger and of what was said; empty: all hold."""
        found = [claim for claim, sql in CLAIMS.items() if self.ask(sql) != [(1,)]]
        if (self.ask("PRAGMA integrity_check"), self.ask("PRAGMA foreign_key_check")) != (
                [("ok",)], []):
            found.append("the ledger is not sound")
        if "Traceback" in self.said():
            found.append("a daemon met a fault of its own: " + self.said()[-2000:])
        return found

    def scores(self) -> list[tuple[Any, ...]]:
        """What tells the runs' results apart, in the order of queuing."""
        columns = ", ".join(COMPARED)
        return self.ask(f"SELECT config, seed, {columns} FROM runs WHERE state = 'finished' "
                        "ORDER BY id")


def no_mounts() -> str | None:
    """Why no mount can be made here; None where it can."""
    if os.geteuid() != 0:
        return "a mount needs root"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"there is no {absent[0]} here"
    made = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True)
    return None if made.returncode == 0 else "this container may not mount"
