"""The RAM guard: reads the machine, says go or stop, and ends a process group.

Where SELinux hides more of /proc, virtual_memory and the leader's memory_info still work.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import psutil

MB = 1e6
FREE_FLOOR_MB = 200.0  # below this the kernel starts to kill, and not the hog first
TERM_GRACE_S = 5.0  # from the request to stop until the kill


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample; None where the machine would not tell."""

    group_mb: float | None  # resident memory of the worker and its children
    free_mb: float | None  # what the machine can still give


@dataclass(frozen=True, slots=True)
class Word:
    """What the guard says of a reading, and why."""

    is_go: bool
    reason: str
    may_pass: bool = False  # waiting may change it
    cause: str = ""  # which limits spoke; unlike the reason, the same whatever the reading


def group_mb(pid: int) -> float | None:
    """Resident MB of a process and its children, pages they share counted once; None if gone."""
    try:
        leader = psutil.Process(pid)
        total = float(leader.memory_info().rss)
    except psutil.Error:
        return None
    try:
        children = leader.children(recursive=True)
    except (psutil.Error, PermissionError):
        children = []  # Android refuses children() of some processes; the leader still counts
    for child in children:
        try:
            total += _own_bytes(child)
        except psutil.Error:
            continue
    return total / MB


def _own_bytes(process: psutil.Process) -> float:
    """What a process holds alone; where that may not be told, all but its shared mappings."""
    try:
        return float(process.memory_full_info().uss)
    except (psutil.AccessDenied, PermissionError, AttributeError):
        info = process.memory_info()
        return float(info.rss - getattr(info, "shared", 0))


def free_mb() -> float | None:
    """MB the machine can give without swapping; None where it will not tell."""
    try:
        return float(psutil.virtual_memory().available) / MB
    except (psutil.Error, OSError):
        return None


def default_max_ram_mb() -> float:
    """3 GB, or half of the machine where that is less: beyond it Android kills other apps."""
    try:
        return min(3000.0, psutil.virtual_memory().total / MB / 2)
    except (psutil.Error, OSError):
        return 3000.0


def read(pid: int) -> Reading:
    """Sample the machine and the process group led by pid."""
    return Reading(group_mb(pid), free_mb())


def may_launch(predicted_mb: float, max_ram_mb: float, free: float | None) -> Word:
    """Whether a run of this predicted peak may start."""
    if predicted_mb > max_ram_mb:
        return Word(False, f"predicted peak {predicted_mb:,.0f} MB is over --max-ram "
                           f"{max_ram_mb:,.0f} MB")
    if free is None:
        return Word(False, "free memory cannot be read on this machine, and unknown is not "
                           "enough", may_pass=True)
    if predicted_mb + FREE_FLOOR_MB > free:
        return Word(False, f"predicted peak {predicted_mb:.0f} MB and a reserve of "
                           f"{FREE_FLOOR_MB:.0f} MB do not fit in {free:.0f} MB free",
                    may_pass=True)
    return Word(True, f"{predicted_mb:.0f} MB predicted, {free:.0f} MB free")


def may_go_on(reading: Reading, max_ram_mb: float) -> Word:
    """Whether the running worker may keep its memory."""
    if reading.group_mb is not None and reading.group_mb > max_ram_mb:
        return Word(False, f"the run took {reading.group_mb:.0f} MB, over --max-ram "
                           f"{max_ram_mb:,.0f} MB")
    if reading.free_mb is not None and reading.free_mb < FREE_FLOOR_MB:
        return Word(False, f"the machine has {reading.free_mb:.0f} MB free, under the reserve of "
                           f"{FREE_FLOOR_MB:.0f} MB")
    return Word(True, "memory is within its limits")


class Ending:
    """TERM to a process group now, KILL when the grace is over."""

    def __init__(self, pid: int, now_s: float,
                 kill: Callable[[int, int], None] = os.killpg) -> None:
        self.pid, self.since_s, self._kill = pid, now_s, kill
        self._send(signal.SIGTERM)

    def press(self, now_s: float) -> None:
        """Call again and again until the process is gone."""
        if now_s - self.since_s >= TERM_GRACE_S:
            self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        try:
            self._kill(self.pid, number)
        except ProcessLookupError:
            pass  # it went by itself
