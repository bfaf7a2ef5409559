"""`agent improve --loop` whose agent, worker and replicas are killed at random moments.

    python -m tests.chaos.improving --kills 50 --seed 1

Who is killed next is drawn first, and met a random while after it has begun to compute: an agent
starts for longer than its worker computes, so that kills at any moment would nearly all be its own.
The same command is given again after each kill of the agent; one that comes to its end is followed
by one of another seed. At the end all of them are given once more, undisturbed, in a copy of the
home as it was: losses, measures, decisions and weights must be the same bits.
"""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from agent.home.paths import Home
from agent.trial.conclusion import MAX_RETRIES, RETRY
from engine.training import checkpoint
from tests.chaos.night import CLAIMS, COMPARED, LOOK_S, Night, parser_of, played
from tests.support.parts import settings

TRAIN = ("train", "--run-tokens", "60000", "--replicas", "2", "--quiet", *settings())
IMPROVE = ("improve", "T1", "--by", "dpo", "--pairs", "made", "--loop", "--rounds", "2", "--n",
           "60", "--epochs", "50", "--replicas", "2", "--seed")
# Who dies at once, and how often that is wanted.
VICTIMS = {("daemon",): 3, ("worker",): 3, ("replica",): 2, ("daemon", "worker"): 2}
HELD = [claim for claim in CLAIMS if claim != "every run has one decision of its own"]
# Runs that may lose their worker no more: the fourth time they fail, as they should.
SPARED = (f"SELECT run_id FROM events JOIN runs ON runs.id = run_id WHERE kind = '{RETRY}' AND "
          f"state = 'running' GROUP BY run_id HAVING count(*) >= {MAX_RETRIES}")
# What tells results apart: of the runs, of what was measured of them, of what was decided.
ROWS = (f"SELECT label, config_hash, seed, {', '.join(COMPARED)} FROM runs ORDER BY label",
        "SELECT label, m.name, m.step, m.value, m.low, m.high, m.n FROM measures m JOIN runs r "
        "ON r.id = m.run_id ORDER BY label, m.name, m.step",
        "SELECT label, verdict, rule, d.reason FROM decisions d JOIN runs r ON r.id = d.run_id "
        "ORDER BY label, verdict")


class Improving(Night):
    """One home, the command that improves its model and who can be killed in it."""

    gap_s = (0.0, 3.0)  # from when it computes
    claims = {claim: CLAIMS[claim] for claim in HELD}

    def __init__(self, root: Path, seed: int) -> None:
        self.n_begun, self.n_started = 0, 0
        super().__init__(root, seed)

    def _start(self) -> "subprocess.Popen[bytes]":
        if not self.n_started:
            self._agent("--home", str(self.home), *TRAIN, "--corpus", str(self.text))
            shutil.copytree(self.home, self.root / "calm")
        elif self.daemon.returncode == 0:  # to its end: the next one
            self.n_begun += 1
        self.n_started += 1
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agent", "--home", str(self.home), *IMPROVE,
                 str(self.n_begun)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def disturb(self, kills: int) -> None:
        """Kill so many times; an agent that is gone is started again."""
        while self.outcome.kills.total() < kills:
            wanted = self.rng.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            while not self._killed(wanted, self.rng.uniform(*self.gap_s)):
                pass

    def _killed(self, wanted: tuple[str, ...], after_s: float) -> bool:
        """Whether all of them came to compute, still did so many seconds later, and are dead now.
        """
        while not (all(map(self._alive().get, wanted)) and self._ask(SPARED) == []):
            self._work(LOOK_S)
        self._work(after_s)
        alive, killed = self._alive(), list[str]()
        if not all(map(alive.get, wanted)):
            return False
        for name in wanted:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself just now: no kill
                os.kill(self.rng.choice(alive[name]), signal.SIGKILL)
                killed.append(name)
        if killed:
            self.outcome.kills[" and ".join(killed)] += 1
        if "daemon" in killed:
            self.daemon.wait()
            self.daemon = self._start()
        return bool(killed)

    def _work(self, seconds: float) -> None:
        """Let them work for so long; a command that is over is given again."""
        if not self._works_on(seconds):
            self.daemon = self._start()

    def _agent(self, *words: str) -> None:
        subprocess.run([sys.executable, "-m", "agent", *words], check=True, capture_output=True)

    def _compare(self) -> None:
        """Give every command again, undisturbed, and look for what is not the same."""
        calm = self.root / "calm"
        for seed in range(self.n_begun + 1):
            self._agent("--home", str(calm), *IMPROVE, str(seed))
        for sql in ROWS:
            with closing(sqlite3.connect(calm / "ledger.db")) as db:
                expected = db.execute(sql).fetchall()
            found = self._ask(sql)
            self.outcome.faults += [f"{one} is not in both" for one in {*expected} ^ {*found}]
        self.outcome.compared = len(self._ask("SELECT 1 FROM runs WHERE state = 'finished'"))
        ours, theirs = (_weights(home) for home in (self.home, calm))
        self.outcome.faults += [f"the weights of {label} differ" for label in ours
                                if not np.array_equal(ours[label], theirs.get(label))]


def _weights(home: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(home / "ledger.db")) as db:
        runs = db.execute("SELECT label, uid FROM runs WHERE state = 'finished'").fetchall()
    return {label: checkpoint.load(Home(home).run(uid).checkpoint)[0]["params"]
            for label, uid in runs}


def main() -> int:
    options = parser_of(__doc__, 50).parse_args()
    return played(lambda root: Improving(root, options.seed), options.kills)


if __name__ == "__main__":
    sys.exit(main())
