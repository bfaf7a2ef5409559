"""`agent improve --loop` whose agent, worker and replicas are killed at random moments.

    python -m tests.chaos.improving --kills 50 --seed 1

The same command is given again after each kill of the agent; one that comes to its end is followed
by one of another seed. At the end all of them are given once more, undisturbed, in a copy of the
home as it was: losses, measures, decisions and weights must be the same bits.
"""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from agent.home.paths import Home
from engine.training import checkpoint
from tests.chaos.night import CLAIMS, COMPARED, Night, parser_of, played
from tests.support.parts import settings

TRAIN = ("train", "--run-tokens", "60000", "--replicas", "2", "--quiet", *settings())
IMPROVE = ("improve", "T1", "--by", "dpo", "--pairs", "made", "--loop", "--rounds", "2", "--n",
           "60", "--epochs", "6", "--replicas", "2", "--seed")
HELD = [claim for claim in CLAIMS if claim != "every run has one decision of its own"]
# What tells results apart: of the runs, of what was measured of them, of what was decided.
ROWS = (f"SELECT label, config_hash, seed, {', '.join(COMPARED)} FROM runs ORDER BY label",
        "SELECT label, m.name, m.step, m.value, m.low, m.high, m.n FROM measures m JOIN runs r "
        "ON r.id = m.run_id ORDER BY label, m.name, m.step",
        "SELECT label, verdict, rule, d.reason FROM decisions d JOIN runs r ON r.id = d.run_id "
        "ORDER BY label, verdict")


class Improving(Night):
    """One home, the command that improves its model and who can be killed in it."""

    gap_s = (0.5, 6.0)
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
