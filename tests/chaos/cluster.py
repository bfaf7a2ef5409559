"""The night of tests/chaos/night.py on a cluster of this machine, whose every process is killed.

    python -m tests.chaos.cluster --kills 100 --seed 1
"""

import subprocess
import sys
from pathlib import Path

from tests.chaos.night import Night, parser_of, played, process
from tests.support.parts import settings

N_WORKERS = 4


class ClusterNight(Night):
    """One home, its daemon and its cluster: scheduler, nannies, their workers, their trials."""

    gap_s = (0.5, 9.0)  # a worker needs some seconds to be there again
    victims = {"daemon": 2, "scheduler": 1, "nanny": 2, "machine": 2, "worker": 2}
    run_tokens, n_runs = 60_000, 10  # a run lasts about as long as its machine, under kills

    def _start(self) -> "subprocess.Popen[bytes]":
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agent", "--home", str(self.home), "run", "--runs",
                 str(self.n_left()), "--run-tokens", str(self.run_tokens),
                 "--corpus", str(self.text), "--cluster", f"local:{N_WORKERS}", *settings()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _alive(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {"daemon": [self.daemon.pid], "scheduler": [], "nanny": [],
                                       "machine": [], "worker": []}
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (one := process(entry)):
                pid, line = int(entry.name), one[1]
                parents[pid] = one
                if str(self.home) not in line:
                    continue
                for what in ("scheduler", "nanny"):
                    if f"agent.trial.cluster.member {what}" in line:
                        found[what].append(pid)
                if "agent.trial.worker" in line:
                    found["worker"].append(pid)
        found["machine"] = [pid for pid, (parent, line) in parents.items()
                            if parent in found["nanny"] and "spawn_main" in line]
        return found


def main() -> int:
    options = parser_of(__doc__, 100).parse_args()
    return played(lambda root: ClusterNight(root, options.seed), options.kills)


if __name__ == "__main__":
    sys.exit(main())
