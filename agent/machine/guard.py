"""The RAM guard: reads the machine, says go or stop, and ends a process group.

Where SELinux hides more of /proc, virtual_memory and the leader's memory_info still work.
Unknown memory is not enough: nothing starts on it, and what runs saves and leaves.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agent.machine import container
from agent.machine.sensors import swap_mb

MB = 1e6
MEMINFO = Path("/proc/meminfo")
FREE_FLOOR_MB = 200.0  # below this the kernel starts to kill, and not the hog first
# Android's lmkd kills earlier where less than a tenth of the swap is free: its default of
# ro.lmk.swap_free_low_percentage. A phone in use lives with much of its zram taken, so spent swap
# alone stops nothing; it doubles the reserve.
SPENT_SHARE = 0.1
SPENT_FLOOR_MB = 400.0
TERM_GRACE_S = 5.0  # from the request to stop until the kill


@dataclass(frozen=True, slots=True)
class Swap:
    """Swap of the machine; None where it would not tell."""

    free_mb: float | None = None
    total_mb: float | None = None  # 0 where there is none

    @property
    def is_spent(self) -> bool:
        """Whether there is swap and hardly any of it left."""
        return (self.free_mb is not None and bool(self.total_mb)
                and self.free_mb < SPENT_SHARE * (self.total_mb or 0.0))


NO_SWAP = Swap()


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample; None where the machine would not tell."""

    group_mb: float | None  # resident memory of the worker and its children
    free_mb: float | None  # what the machine can still give
    swap: Swap = NO_SWAP

    @property
    def is_known(self) -> bool:
        return self.group_mb is not None and self.free_mb is not None

    def as_dict(self) -> dict[str, float | None]:
        """As events and the present word hold it."""
        return {"group_mb": self.group_mb, "free_mb": self.free_mb,
                "swap_free_mb": self.swap.free_mb}


@dataclass(frozen=True, slots=True)
class Word:
    """What the guard says of a reading, and why."""

    is_go: bool
    reason: str
    may_pass: bool = False  # waiting may change it
    cause: str = ""  # which limits spoke; unlike the reason, the same whatever the reading
    readings: dict[str, float | None] = field(default_factory=dict)  # of memory, behind the word


def group_mb(pid: int) -> float | None:
    """Resident MB of a process and its children, pages they share counted once; None if gone,
    or ended and not yet waited for: that holds no page.
    """
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
    return total / MB if total else None


def _own_bytes(process: psutil.Process) -> float:
    """What a process holds alone; where that may not be told, all but its shared mappings."""
    try:
        return float(process.memory_full_info().uss)
    except (psutil.AccessDenied, PermissionError, AttributeError):
        info = process.memory_info()
        return float(info.rss - getattr(info, "shared", 0))


def free_mb(groups: Callable[[], container.Memory] = container.memory) -> float | None:
    """MB the machine and its container can give without swapping; None where one hides it."""
    try:
        of_machine = float(psutil.virtual_memory().available) / MB
    except (psutil.Error, OSError):
        return None
    allowed = groups()
    if not allowed.is_known:
        return None
    return of_machine if allowed.free_mb is None else min(of_machine, allowed.free_mb)


def read_swap() -> Swap:
    return Swap(*swap_mb(MEMINFO))


def reserve_mb(swap: Swap) -> float:
    """MB that no run may take: more where the machine has nowhere left to put its pages."""
    return SPENT_FLOOR_MB if swap.is_spent else FREE_FLOOR_MB


def _spent(swap: Swap) -> str:
    """Why the reserve is the larger one."""
    return f" (only {swap.free_mb:,.0f} of {swap.total_mb:,.0f} MB of swap are free)" if (
        swap.is_spent) else ""


def default_max_ram_mb(groups: Callable[[], container.Memory] = container.memory) -> float:
    """3 GB, or half of the machine or container if less: beyond it Android kills other apps."""
    limit_mb = groups().limit_mb
    most_mb = 3000.0 if limit_mb is None else min(3000.0, limit_mb / 2)
    try:
        return min(most_mb, psutil.virtual_memory().total / MB / 2)
    except (psutil.Error, OSError):
        return most_mb


def read(pid: int) -> Reading:
    """Sample the machine and the process group led by pid."""
    return Reading(group_mb(pid), free_mb(), read_swap())


def may_launch(predicted_mb: float, max_ram_mb: float, free: float | None,
               swap: Swap = NO_SWAP) -> Word:
    """Whether a run of this predicted peak may start."""
    readings = {"predicted_mb": predicted_mb, "free_mb": free, "swap_free_mb": swap.free_mb}
    if predicted_mb > max_ram_mb:
        return Word(False, f"predicted peak {predicted_mb:,.0f} MB is over --max-ram "
                           f"{max_ram_mb:,.0f} MB", cause="max-ram", readings=readings)
    if free is None:
        return Word(False, "free memory cannot be read on this machine, and unknown is not "
                           "enough", may_pass=True, cause="unknown memory", readings=readings)
    reserve = reserve_mb(swap)
    if predicted_mb + reserve > free:
        return Word(False, f"predicted peak {predicted_mb:.0f} MB and a reserve of "
                           f"{reserve:.0f} MB{_spent(swap)} do not fit in {free:.0f} MB free",
                    may_pass=True, cause="memory", readings=readings)
    return Word(True, f"{predicted_mb:.0f} MB predicted, {free:.0f} MB free", readings=readings)


def may_launch_beside(predicted_mb: float, promised_mb: float, max_ram_mb: float,
                      free: float | None, swap: Swap = NO_SWAP) -> Word:
    """The same beside runs that will have taken promised_mb, which `free` is without."""
    word = may_launch(predicted_mb, max_ram_mb, free, swap)
    if promised_mb and word.is_go and predicted_mb + promised_mb > max_ram_mb:
        return Word(False, f"predicted peak {predicted_mb:,.0f} MB beside {promised_mb:,.0f} MB of "
                    f"what runs is over --max-ram {max_ram_mb:,.0f} MB", may_pass=True,
                    cause="max-ram", readings=word.readings)
    return word


def may_go_on(reading: Reading, max_ram_mb: float) -> Word:
    """Whether the running worker may keep its memory; may_pass where it is not the run's fault."""
    readings, free = reading.as_dict(), reading.free_mb
    if reading.group_mb is not None and reading.group_mb > max_ram_mb:
        return Word(False, f"the run took {reading.group_mb:.0f} MB, over --max-ram "
                           f"{max_ram_mb:,.0f} MB", cause="max-ram", readings=readings)
    if reading.group_mb is None or free is None:
        what = "the run's memory" if reading.group_mb is None else "free memory"
        return Word(False, f"{what} cannot be read, and unknown is not enough", may_pass=True,
                    cause="unknown memory", readings=readings)
    reserve = reserve_mb(reading.swap)
    if free < reserve:
        return Word(False, f"the machine has {free:.0f} MB free, under the reserve of "
                           f"{reserve:.0f} MB{_spent(reading.swap)}", may_pass=True,
                    cause="memory", readings=readings)
    return Word(True, "memory is within its limits", readings=readings)


def may_run_together(taken_mb: float, n: int, max_ram_mb: float) -> Word:
    """Whether so many runs may keep the memory that they take together."""
    readings: dict[str, float | None] = {"group_mb": taken_mb}
    if taken_mb <= max_ram_mb:
        return Word(True, "memory is within its limits", readings=readings)
    return Word(False, f"{n} runs took {taken_mb:.0f} MB together, over --max-ram "
                f"{max_ram_mb:,.0f} MB", may_pass=True, cause="max-ram", readings=readings)


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
