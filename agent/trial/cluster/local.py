"""A cluster of this machine alone: a scheduler and nannies as children, which listen on localhost.

Whoever of them dies is started again. They outlive a daemon by a minute, so that the next one finds
its trials where they are; runs/cluster.json says who they are.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.home import Home
from agent.machine import machine
from agent.trial import Adopted, start_ticks
from engine.files import write_atomically

KILLED_S = 2.0  # until killed processes are gone
MODULE = "agent.trial.cluster.member"
Start = Callable[[list[str], Path], "subprocess.Popen[bytes]"]


def start_member(words: list[str], log: Path) -> "subprocess.Popen[bytes]":
    """A child in its own session, its output in a file."""
    with open(log, "ab") as output:
        return subprocess.Popen(machine.child(MODULE, *words), stdin=subprocess.DEVNULL,
                                stdout=output, stderr=output, start_new_session=True,
                                env={**machine.worker_environment(),
                                     "DASK_LOGGING__DISTRIBUTED": "error"})


class Local:
    """Keeps one scheduler and so many nannies alive."""

    def __init__(self, home: Home, n_workers: int, max_ram_mb: float,
                 start: Start = start_member) -> None:
        self._home, self._n, self._start = home, n_workers, start
        self._max_ram_mb = max_ram_mb
        self._folder = home.root / "runs" / "cluster"
        self._file = home.root / "runs" / "cluster.json"
        self._said = self._folder / "scheduler.json"  # by the scheduler: its address
        self._scheduler: Any = None
        self._nannies: list[Any] = []
        self._address: str | None = None
        self._take_up()

    def look(self) -> str | None:
        """The scheduler's address, once it has said it; whoever is dead is started again."""
        if self._scheduler is None or self._scheduler.poll() is not None:
            self._begin()
            return None
        if self._address is None:
            self._address = self._told()
            if self._address is None:
                return None
        alive = [one for one in self._nannies if one.poll() is None]
        if len(alive) < self._n or len(alive) < len(self._nannies):
            alive += [self._nanny() for _ in range(self._n - len(alive))]
            self._nannies = alive
            self._note()
        for extra in alive[self._n:]:
            _end(extra.pid)
        return self._address

    def close(self) -> None:
        """End all of it; nothing is computed any more."""
        ours = [one for one in (*self._nannies, self._scheduler) if one is not None]
        for one in ours:
            if one.poll() is None:
                _end(one.pid)
        end_s = time.monotonic() + KILLED_S
        while any(one.poll() is None for one in ours) and time.monotonic() < end_s:
            time.sleep(0.01)
        self._file.unlink(missing_ok=True)

    def _begin(self) -> None:
        """A new scheduler; nannies of the old one have nobody to turn to."""
        for one in self._nannies:
            if one.poll() is None:
                _end(one.pid)
        self._nannies, self._address = [], None
        self._folder.mkdir(parents=True, exist_ok=True)
        self._said.unlink(missing_ok=True)
        self._scheduler = self._start(["scheduler", str(self._home.root), str(self._said)],
                                      self._folder / "scheduler.log")
        self._note()

    def _nanny(self) -> "subprocess.Popen[bytes]":
        assert self._address is not None  # who asks has seen it
        return self._start(["nanny", str(self._home.root), self._address,
                            f"{self._max_ram_mb:g}"], self._folder / "workers.log")

    def _told(self) -> str | None:
        try:
            found = json.loads(self._said.read_bytes())["address"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, str) and found.startswith("tcp://127.0.0.1:") else None

    # --- those of a daemon before this one -----------------------------------------------------

    def _note(self) -> None:
        write_atomically(self._file, json.dumps({
            "scheduler": _who(self._scheduler), "nannies": [*map(_who, self._nannies)]}).encode())

    def _take_up(self) -> None:
        try:
            found = json.loads(self._file.read_bytes())
            scheduler = Adopted(*map(int, found["scheduler"]))
            nannies = [Adopted(*map(int, one)) for one in found["nannies"]]
        except (OSError, ValueError, KeyError, TypeError):
            return
        living = [one for one in nannies if one.poll() is None and _is_member(one.pid)]
        if scheduler.poll() is None and _is_member(scheduler.pid):
            self._scheduler, self._nannies, self._address = scheduler, living, self._told()
            return
        for one in living:
            _end(one.pid)


def _who(process: Any) -> list[int]:
    """By which a process is known for ever: its pid, and when it began."""
    return [process.pid, start_ticks(process.pid) or 0]


def _is_member(pid: int) -> bool:
    try:
        return MODULE.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
