"""What the control groups of this process leave it: memory and cores, of version 1 and 2.

A container, a systemd unit or a batch job may get far less than /proc/meminfo shows. The group of
this process counts, and so does every group above it, as far as they can be seen from here.
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MB = 1e6
GROUPS = "/sys/fs/cgroup"  # where they lie if the mounts cannot be read
NO_LIMIT = 1 << 60  # bytes; version 1 writes 2⁶³ less a page for none
FILE_BYTES = 1 << 20

Read = Callable[[str], str | None]


def read(path: str, most: int = FILE_BYTES) -> str | None:
    """The text of a small file, so many bytes at most; None where it may not be seen."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(most)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Memory:
    """What groups allow. Without a limit both are None; a limit whose use is hidden has no free."""

    limit_mb: float | None = None  # the least of all groups
    free_mb: float | None = None  # until the first of them is full, file cache counted as free

    @property
    def is_known(self) -> bool:
        return self.limit_mb is None or self.free_mb is not None


def memory(look: Read = read) -> Memory:
    """The tightest memory of this process's groups."""
    limits: list[float] = []
    rooms: list[float | None] = []
    for folder, version in _folders("memory", look):
        files = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
        known = [limit for name in files if (limit := _bytes(look(f"{folder}/{name}"))) is not None]
        if known and min(known) < NO_LIMIT:
            limits.append(min(known))
            used = _used(folder, version, look)
            rooms.append(None if used is None else max(0.0, min(known) - used))
    told = [room for room in rooms if room is not None]
    is_hidden = len(told) < len(rooms)
    return Memory(min(limits) / MB if limits else None,
                  None if is_hidden or not told else min(told) / MB)


def _used(folder: str, version: int, look: Read) -> float | None:
    """Bytes a group holds that the kernel cannot take back at once: all but inactive file cache."""
    current = _bytes(look(f"{folder}/memory.{'current' if version == 2 else 'usage_in_bytes'}"))
    key = "inactive_file" if version == 2 else "total_inactive_file"
    cache = re.search(rf"^{key} ([0-9]+)$", look(f"{folder}/memory.stat") or "",
                      re.MULTILINE | re.ASCII)
    return None if current is None else max(0.0, current - (int(cache[1]) if cache else 0))


def cpus(look: Read = read) -> float | None:
    """So many cores' time the groups of this process may use, such as 1.5; None: no limit told."""
    found: list[float] = []
    for folder, version in _folders("cpu", look):
        if version == 2:
            quota, _, period = (look(f"{folder}/cpu.max") or "").partition(" ")
        else:
            quota, period = (look(f"{folder}/cpu.cfs_{name}_us") or "" for name in
                             ("quota", "period"))
        share, each = _bytes(quota), _bytes(period)  # "max" and -1 are no numbers: no limit
        if share and each:
            found.append(share / each)
    for folder, version in _folders("cpuset", look):
        name = "cpuset.cpus.effective" if version == 2 else "cpuset.effective_cpus"
        if n := _n_listed(look(f"{folder}/{name}") or ""):
            found.append(float(n))
    return min(found, default=None)


def n_cores(look: Read = read, n_usable: int | None = None) -> int:
    """Whole cores this process may keep busy: of its affinity, its cpuset and its quota.

    A quota of 1.5 is one: of two processes that wait for each other one would always be throttled.
    """
    usable = len(os.sched_getaffinity(0)) if n_usable is None else n_usable
    allowed = cpus(look)
    return usable if allowed is None else max(1, min(usable, int(allowed)))


def _bytes(text: str | None) -> float | None:
    """A count; None for "max", -1, and what is not there."""
    stripped = (text or "").strip()
    return float(int(stripped)) if re.fullmatch(r"[0-9]{1,20}", stripped, re.ASCII) else None


def _n_listed(text: str) -> int:
    """How many 0-3,5 lists."""
    n = 0
    for first, last in re.findall(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", text, re.ASCII):
        n += max(0, int(last or first) - int(first) + 1)
    return n


# --- where the groups are --------------------------------------------------------------------


def _folders(controller: str, look: Read) -> Iterator[tuple[str, int]]:
    """Folders of the groups that hold this process for a controller, own first, with version."""
    mounts = list(_mounts(look("/proc/self/mountinfo")))
    for line in (look("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        version = 2 if (number, names) == ("0", "") else 1
        if version == 2 or controller in names.split(","):
            where = [(point, root) for point, root, kind, options in mounts
                     if kind == ("cgroup2" if version == 2 else "cgroup")
                     and (version == 2 or controller in options)]
            if not mounts:
                where = [(GROUPS if version == 2 else f"{GROUPS}/{controller}", "/")]
            yield from ((folder, version) for folder in _upwards(path, where))


def _mounts(text: str | None) -> Iterator[tuple[str, str, str, list[str]]]:
    """(mount point, the group that is mounted there, kind, options) of every group's mount."""
    for line in (text or "").splitlines():
        left, _, right = line.partition(" - ")
        before, after = left.split(), right.split()
        if len(before) >= 5 and after and after[0] in ("cgroup", "cgroup2"):
            root, point = (re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
                           for name in before[3:5])
            yield point, root, after[0], after[-1].split(",")


def _upwards(path: str, mounts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The folder of a group and of all above it, by each mount they can be seen through."""
    for point, root in mounts:
        inside = path == root or path.startswith(root.rstrip("/") + "/")
        below = path[len(root.rstrip("/")):] if inside else ""
        # A path of another namespace leads nowhere from here: what is mounted is what we have.
        parts = [] if ".." in below.split("/") else [part for part in below.split("/") if part]
        for n in range(len(parts), -1, -1):
            yield posixpath.join(point, *parts[:n])
