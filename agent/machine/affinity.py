"""How fast each core is, and on which of them this process and what it starts may compute.

Phones have cores of two or three speeds (Arm big.LITTLE), laptops of two. Processes that share a
step out evenly wait for the slowest of them, so that a slow core more can make a step longer.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from agent.machine import container
from agent.machine.container import Read
from engine.errors import UserError

# Of one core, by the kernel's own account: 1024 is the fastest of the machine, as measured when it
# was made (Documentation/devicetree/bindings/cpu/cpu-capacity.txt); else the highest clock, in kHz.
FILES = ("cpu_capacity", "cpufreq/cpuinfo_max_freq")
MOST = 4096  # the number of a core


def usable() -> frozenset[int]:
    """The cores that this process may compute on now."""
    return frozenset(os.sched_getaffinity(0))


def capacities(cores: frozenset[int], look: Read = container.read) -> dict[int, int]:
    """How much each core computes, of one unit; empty where it is not told of every one."""
    for name in FILES:
        told = {core: look(f"/sys/devices/system/cpu/cpu{core}/{name}") for core in cores}
        found = {core: int(text) for core, text in told.items()
                 if text and re.fullmatch(r"[1-9][0-9]{0,9}", text.strip(), re.ASCII)}
        if found and len(found) == len(cores):
            return found
    return {}


def fast(capacity: Mapping[int, int]) -> frozenset[int]:
    """The cores on which evenly shared work ends soonest, by their capacity alone.

    Of k cores the slowest decides, so it is the k fastest with the most k · capacity of it; of two
    such sets the smaller.
    """
    ranked = sorted(capacity, key=lambda core: (-capacity[core], core))
    k = max(range(1, len(ranked) + 1), default=0,
            key=lambda n: (n * capacity[ranked[n - 1]], -n))
    return frozenset(ranked[:k])


def read_cores(text: str) -> frozenset[int]:
    """The cores that 4-7,2 names. UserError where it names none, or one not to be had here."""
    here, found = usable(), set[int]()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < MOST:
            raise UserError(f"{text!r} names no cores; give all, or numbers such as 4-7 or 0,2")
        found.update(range(first, last + 1))
    if gone := found - here:
        raise UserError(f"core {min(gone)} is not one that may be used here; give some of "
                        f"{listed(here)}, or all")
    return frozenset(found)


def listed(cores: frozenset[int]) -> str:
    """Such as 0-3,6."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def tie(cores: frozenset[int]) -> bool:
    """Keep this process, and what it starts from now on, on these cores; False where the system
    does not allow it, as a phone's may in the background.
    """
    with suppress(OSError, ValueError):
        os.sched_setaffinity(0, cores)
        return usable() == cores
    return False


@contextmanager
def only(cores: frozenset[int]) -> Iterator[bool]:
    """These cores for a while; whether they could be had."""
    before = usable()
    try:
        yield tie(cores)
    finally:
        tie(before)
