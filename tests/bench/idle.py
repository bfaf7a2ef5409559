"""What the agent costs while it does nothing, and how long it dawdles between two runs.

    python -m tests.bench.idle [--json] [--seconds 60]

Four figures, each beside its target: (a) resident memory of a daemon that waits, paused, shared
libraries counted in; (b) its processor time over --seconds, as a share of one core; (c) the time
from the `done` line that a worker writes as its last to the first `step` line of the next run's
worker, at the default model of 1.3M parameters, median and longest: it holds the exit of the one,
up to a tick of the daemon, the verdict, the start of the other (all that until its `start` line)
and its first step; (d) `agent status` from start to exit, median of 5, on 10,000 runs and
1,000,000 metric rows. Other programs' load goes into (c) and (d): it is told beside them.

(a) to (c) come from one night in a temporary home. The exit status is 1 where a target is missed.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.ledger.reader import Reader
from tests.bench import big_ledger

TARGETS = {"rss_mb": 60.0, "cpu_pct": 0.5, "gap_s": 1.5, "status_s": 0.4}
TITLES = {"rss_mb": "waiting daemon, resident MB", "cpu_pct": "waiting daemon, % of one core",
          "gap_s": "end of a run to the next one's first step, s",
          "status_s": "agent status on 10,000 runs, s"}
WAIT_S = 60.0  # over which a waiting daemon's processor time is measured
SETTLE_S = 3.0  # from the pause to that
PATIENCE_S = 300.0  # for whatever the night has to do before
LOOK_S = 0.002  # between two looks at the event files: what the gap is exact to
N_GAPS, N_STATUS = 3, 5
# 300 built-in stories and 30 steps a run: the gap does not depend on either.
NIGHT = ["run", "--corpus", "builtin", "--stories", "300", "--run-tokens", "30720"]

Seen = dict[str, dict[str, float]]  # run → kind of event → when its first line was seen


def agent(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "agent", "--home", str(home), *words]


def rss_mb(status: str) -> float:
    """MB of 10⁶ bytes that are resident, from the text of /proc/PID/status."""
    kib = next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]
    return int(kib) * 1024 / 1e6


def cpu_s(stat: str, ticks_per_s: int) -> float:
    """Seconds of processor time, user and system, from the text of /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return (int(fields[11]) + int(fields[12])) / ticks_per_s


def take_in(seen: Seen, runs: Path, now_s: float) -> None:
    """Note the kinds of events that have come since the last look."""
    for path in runs.glob("*/events.jsonl"):
        if path.parent.name == "measure":  # of the device's speed: no run
            continue
        kinds = seen.setdefault(path.parent.name, {})
        if "done" in kinds:
            continue
        for line in path.read_bytes().split(b"\n")[:-1]:  # the last may be half a line
            kinds.setdefault(json.loads(line)["kind"], now_s)


def gaps(seen: Seen, to: str = "step") -> list[float]:
    """Seconds from each run's end to the next one's first event of a kind."""
    ends = sorted(kinds["done"] for kinds in seen.values() if "done" in kinds)
    firsts = sorted(kinds[to] for kinds in seen.values() if to in kinds)
    return [first - end for end, first in zip(ends, firsts[1:], strict=False)]


def until(is_so: Callable[[], bool], look_s: float) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"the night did not come so far within {PATIENCE_S:.0f} s")
        time.sleep(look_s)


@contextmanager
def night(home: Path) -> Iterator[int]:
    """Pid of a daemon that works in a home of its own; it is asked to leave at the end."""
    with open(home / "night.log", "wb") as log:
        process = subprocess.Popen(agent(home, *NIGHT), stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def is_waiting(home: Path) -> bool:
    """Whether the run that a pause interrupted waits again."""
    with Reader.open(home / "ledger.db") as ledger:
        return not ledger.runs("running")


def measure_night(home: Path, seconds: float) -> dict[str, Any]:
    """Figures (a) to (c)."""
    seen: Seen = {}

    def has_gaps() -> bool:
        take_in(seen, home / "runs", time.monotonic())
        return len(gaps(seen)) >= N_GAPS

    with night(home) as pid:
        until(has_gaps, LOOK_S)
        subprocess.run(agent(home, "pause"), check=True, capture_output=True)
        time.sleep(SETTLE_S)
        until(lambda: is_waiting(home), 0.1)
        proc, ticks = Path(f"/proc/{pid}"), os.sysconf("SC_CLK_TCK")
        before_s, started_s = cpu_s((proc / "stat").read_text(), ticks), time.monotonic()
        time.sleep(seconds)
        used_s = cpu_s((proc / "stat").read_text(), ticks) - before_s
        return {"rss_mb": rss_mb((proc / "status").read_text()),
                "cpu_pct": 100 * used_s / (time.monotonic() - started_s),
                "gap_s": statistics.median(gaps(seen)), "gap_longest_s": max(gaps(seen)),
                "gap_to_start_s": statistics.median(gaps(seen, "start")),
                "load": os.getloadavg()[0]}


def measure_status(home: Path) -> dict[str, Any]:
    """Figure (d), and the processor time of the fastest."""
    big_ledger.fill(home / "ledger.db")
    walls, cpus = [], []
    for _ in range(N_STATUS):
        before, started_s = os.times(), time.monotonic()
        subprocess.run(agent(home, "status"), check=True, capture_output=True)
        walls.append(time.monotonic() - started_s)
        after = os.times()
        cpus.append(after.children_user + after.children_system
                    - before.children_user - before.children_system)
    return {"status_s": statistics.median(walls), "status_cpu_s": min(cpus)}


def table(found: dict[str, Any]) -> str:
    """A line for each figure: what was measured, its target and whether it holds."""
    lines = [f"{title:<46} {found[name]:>7.2f}  < {TARGETS[name]:g}  "
             f"{'yes' if found[name] < TARGETS[name] else 'MISSED'}"
             for name, title in TITLES.items()]
    return "\n".join([
        *lines, f"gap: longest {found['gap_longest_s']:.2f} s, until the worker's start line "
        f"{found['gap_to_start_s']:.2f} s; agent status: {found['status_cpu_s']:.2f} s of CPU "
        f"time; load {found['load']:.1f} on {os.cpu_count()} cores"])


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=WAIT_S)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as big:
        found = measure_night(Path(small), options.seconds) | measure_status(Path(big))
    sys.stdout.write((json.dumps(found) if options.json else table(found)) + "\n")
    return int(any(found[name] >= target for name, target in TARGETS.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
