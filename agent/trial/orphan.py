"""Workers whose daemon died: who they are, and the two ways on, adoption and an end.

A pid alone may be another process by now. With the clock ticks since boot at which it started it
is one process for ever; boot time itself, which Android does not tell, is not needed.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from agent.home import RunFolder
from agent.machine import guard
from agent.trial.events import this_attempt
from engine.errors import UserError
from engine.files import identity

GONE = -signal.SIGKILL  # what is left of a process that was nobody's child: as if killed


def start_ticks(pid: int) -> int | None:
    """Clock ticks since boot at which a process started; None where it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # the name may hold spaces and brackets
    return None if state == "Z" else int(fields[18])


def only_worker(folder: RunFolder) -> BinaryIO:
    """The lock of a run's folder, held as long as the file is open; UserError if it is taken."""
    file = open(folder.lock, "ab")  # closed with the process
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"another worker computes in {folder.root}; it leaves by itself a "
                        "minute after its daemon, if no other takes it over") from error
    return file


class Adopted:
    """A living worker of a dead daemon, polled as if it were a child of this one."""

    def __init__(self, pid: int, ticks: int) -> None:
        self.pid, self._ticks = pid, ticks

    def poll(self) -> int | None:
        """None while it lives. Its exit status went to init: what it wrote has to do."""
        return None if start_ticks(self.pid) == self._ticks else GONE


def living_worker(folder: RunFolder) -> Adopted | None:
    """The worker that still computes in a folder, by what it wrote when it began."""
    start = this_attempt(folder).get("start", {})
    pid, ticks = start.get("pid"), start.get("ticks")
    if not isinstance(pid, int) or not isinstance(ticks, int):
        return None
    found = Adopted(pid, ticks)
    return found if found.poll() is None and is_worker(pid, folder.root) else None


def end_orphan(pid: int, folder: Path) -> None:
    """Ask a worker whose daemon died to save and leave, if pid still is that worker; then press.
    """
    end_orphans([(pid, folder)])


def end_orphans(left: Iterable[tuple[int, Path]]) -> None:
    """The same of many, by pid and folder: all are asked before any is waited for."""
    living = [(pid, folder) for pid, folder in left if is_worker(pid, folder)]
    endings = {pid: guard.Ending(pid, time.monotonic()) for pid, _ in living}
    while living := [(pid, folder) for pid, folder in living if is_worker(pid, folder)]:
        for pid, _ in living:
            endings[pid].press(time.monotonic())
        time.sleep(0.05)


def is_worker(pid: int, folder: Path) -> bool:
    """Whether pid is the worker of this folder, which a reused pid's process is not.

    Its command line names the folder, perhaps through a link or another mount; or it holds the
    folder's lock open, whatever the folder was called when it began.
    """
    return _names(pid, folder) or _holds(pid, RunFolder(folder).lock)


def _names(pid: int, folder: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    if os.fsencode(folder) in words:
        return True
    wanted = identity(folder)
    return wanted is not None and any(identity(os.fsdecode(word)) == wanted for word in words
                                      if word.startswith(b"/"))


def _holds(pid: int, lock: Path) -> bool:
    wanted = identity(lock)
    try:
        files = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    return wanted is not None and any(identity(f"/proc/{pid}/fd/{one}") == wanted for one in files)
