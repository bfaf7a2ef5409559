"""What a process of a run has taken of the memory, by the kernel's own count."""

from pathlib import Path


def peak_mb() -> float | None:
    """Highest resident memory of this process so far, in MB; None where it cannot be read.

    VmHWM, not getrusage: ru_maxrss is inherited from the daemon across fork and exec.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


def own_mb(pid: int) -> float | None:
    """What a process holds alone, in MB: a replica's share of the group; None if not told."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024 / 1e6
