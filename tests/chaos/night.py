"""A small real night in which daemon, worker and replicas are killed at random moments.

    python -m tests.chaos.night --kills 200 --seed 1 --trials 4

The night is started again after each kill of its daemon. The time between kills is that in which
it had its processors: where others load the machine, a run is not killed more often than elsewhere.
At the end every finished run is computed once more, undisturbed, in a home of its own: the losses
must be the same bits.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.text.stories.write import write_stories
from tests.support.parts import settings

RUN_TOKENS = 90_000  # some seconds: several kills meet a run, more than its retries only rarely
N_RUNS = 14  # five baselines, challengers, and a batch on fresh seeds
GAP_S = (0.1, 5.5)  # between kills, as long as the night has its processors
LOOK_S = 0.1  # between looks at who waits for a processor
VICTIMS = {"daemon": 4, "worker": 3, "replica": 3}  # and how often each is wanted
SHOWN = 4000  # letters of a fault
PATIENCE_S = 300.0  # for what is left after the last kill
COMPARED = ("val_loss", "val_bpb", "train_loss", "steps", "tokens")
CLAIMS = {
    "every run has ended": "SELECT count(*) = 0 FROM runs WHERE state IN ('queued', 'running')",
    "every run has one decision of its own":  # others may follow from it
        "SELECT count(*) = 0 FROM runs WHERE (SELECT count(*) FROM decisions WHERE "
        "run_id = runs.id AND verdict NOT IN ('confirmed', 'refuted', 'undecided', 'ablated')) "
        "!= 1",
    "runs of a study are decided on in turn":  # as they were asked for, its baseline first
        "SELECT count(*) = 0 FROM (SELECT r.calibration_id AS study, r.strategy != 'baseline' AS "
        "later, r.id, min(d.id) AS first FROM runs r JOIN decisions d ON d.run_id = r.id "
        "WHERE r.calibration_id IS NOT NULL GROUP BY r.id) AS a JOIN (SELECT r.calibration_id AS "
        "study, r.strategy != 'baseline' AS later, r.id, min(d.id) AS first FROM runs r "
        "JOIN decisions d ON d.run_id = r.id GROUP BY r.id) AS b ON a.study = b.study "
        "AND (a.later, a.id) < (b.later, b.id) AND a.first > b.first",
    "no decision is doubled":
        "SELECT count(*) = 0 FROM (SELECT 1 FROM decisions "
        "GROUP BY run_id, verdict, evidence HAVING count(*) > 1)",
    "no run failed": "SELECT count(*) = 0 FROM runs WHERE state IN ('failed', 'lost')",
    "curves end at the loss of their run":
        "SELECT count(*) = 0 FROM runs r WHERE state = 'finished' AND val_loss IS NOT "
        "(SELECT val_loss FROM metrics WHERE run_id = r.id AND step = r.steps)",
    "no step is logged after the last":
        "SELECT count(*) = 0 FROM runs r WHERE state = 'finished' AND steps != "
        "(SELECT max(step) FROM metrics WHERE run_id = r.id)",
}


@dataclass(slots=True)
class Outcome:
    """What a night came to."""

    kills: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)  # by state
    adopted: int = 0
    compared: int = 0
    faults: list[str] = field(default_factory=list)  # empty: every claim holds

    def told(self) -> str:
        """All of it, a line and one for each fault."""
        return (f"{self.kills.total()} kills {dict(self.kills)}; runs {dict(self.runs)}; "
                f"{self.adopted} workers adopted; {self.compared} losses compared, faults found: "
                f"{len(self.faults)}\n" + "".join(f"  {fault}\n" for fault in self.faults))


def texts() -> str:
    """What a night reads."""
    return "\n<|endoftext|>\n".join(write_stories(120, 0))


class Night:
    """One home, its daemon and who can be killed in it."""

    gap_s, claims, victims, run_tokens, n_runs = GAP_S, CLAIMS, VICTIMS, RUN_TOKENS, N_RUNS

    def __init__(self, root: Path, seed: int, trials: int = 1) -> None:
        self.trials = trials  # at once: of one process each, a single one of two
        self.root, self.home = root, root / "night"
        self.text = root / "stories.txt"
        self.text.write_text(texts())
        self.rng = random.Random(seed)
        self.outcome = Outcome()
        self.log = root / "daemon.log"
        self.daemon = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agent", "--home", str(self.home), "run", "--runs",
                 str(self.n_left()), "--run-tokens", str(self.run_tokens),
                 "--corpus", str(self.text), "--replicas", "2" if self.trials == 1 else "1",
                 "--trials", str(self.trials),
                 *settings()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def n_left(self) -> int:
        """Runs that the night is still to do."""
        return max(1, self.n_runs - self._ask(
            "SELECT count(*) FROM runs WHERE state NOT IN ('queued', 'running')")[0][0])

    def disturb(self, kills: int) -> None:
        """Kill so many processes; a daemon that is gone is started again."""
        while self.outcome.kills.total() < kills:
            if self._works_on(self.rng.uniform(*self.gap_s)):
                self._kill()
            else:
                self.daemon = self._start()  # over before all kills were spent: another night

    def _works_on(self, seconds: float) -> bool:
        """Whether the daemon is still there after so many seconds, less those in which its night
        was ready and had no processor.
        """
        had, now, before = 0.0, time.monotonic(), self._served()
        while had < seconds:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.daemon.wait(min(LOOK_S, seconds - had))
                return False
            then, now = now, time.monotonic()
            after = self._served()
            ran, waited = (sum(times[i] - before.get(pid, (0, 0))[i]
                               for pid, times in after.items()) for i in (0, 1))
            had += (now - then) * (ran / (ran + waited) if waited else 1.0)
            before = after
        return True

    def _kill(self) -> None:
        alive = self._alive()
        names = [name for name in self.victims if alive[name]]
        victim = self.rng.choices(names, [self.victims[name] for name in names])[0]
        try:
            os.kill(self.rng.choice(alive[victim]), signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended by itself just now: no kill
        self.outcome.kills[victim] += 1
        if victim == "daemon":
            self.daemon.wait()
            self.daemon = self._start()

    def _alive(self) -> dict[str, list[int]]:
        """Pids by what they are; workers are those that name this home, replicas their children."""
        workers, parents = [], {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (found := process(entry)):
                parents[int(entry.name)] = found[0]
                if "agent.trial.worker" in found[1] and str(self.home) in found[1]:
                    workers.append(int(entry.name))
        leaders = [pid for pid in workers if parents[pid] not in workers]
        return {"daemon": [self.daemon.pid], "worker": leaders,
                "replica": [pid for pid in workers if pid not in leaders]}

    def _served(self) -> dict[int, tuple[int, int]]:
        """(nanoseconds on a processor, nanoseconds ready without one) of each process, by pid."""
        found = {}
        for pid in (pid for pids in self._alive().values() for pid in pids):
            with contextlib.suppress(OSError, ValueError):  # it ended; a kernel that does not tell
                ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
                found[pid] = int(ran), int(waited)
        return found

    def finish(self, *, is_compared: bool = True) -> Outcome:
        """Let what is left of the night end, then hold every claim against it."""
        found = self.outcome
        if not self._works_on(PATIENCE_S):
            if self.daemon.returncode:
                found.faults.append(f"the last daemon ended with status {self.daemon.returncode}")
        else:
            self.daemon.kill()
            self.daemon.wait()
            found.faults.append(f"the night was not over {PATIENCE_S:.0f} s after the last kill")
        found.faults += [claim for claim, sql in self.claims.items() if not self._ask(sql)[0][0]]
        sound = self._ask("PRAGMA integrity_check"), self._ask("PRAGMA foreign_key_check")
        if sound != ([("ok",)], []):
            found.faults.append("the ledger is not sound")
        if any(pids for name, pids in self._alive().items() if name != "daemon"):
            found.faults.append("a process was left behind")
        fault = self.log.read_text(errors="replace").partition("Traceback")[2]
        if fault:
            found.faults.append(f"a daemon met a fault of its own: {fault[:SHOWN]}")
        found.runs.update(state for (state,) in self._ask("SELECT state FROM runs"))
        ((found.adopted,),) = self._ask("SELECT count(*) FROM events WHERE kind = 'adopt'")
        if is_compared:
            self._compare()
        return found

    def _compare(self) -> None:
        """Compute every finished run again, undisturbed."""
        columns = ", ".join(COMPARED)
        rows = self._ask(f"SELECT label, config, seed, replicas, {columns} FROM runs "
                         "WHERE state = 'finished'")
        for label, config, seed, replicas, *values in rows:
            done = subprocess.run(
                [sys.executable, "-m", "agent", "--home", str(self.root / "calm"), "train",
                 "--corpus", str(self.text), "--run-tokens", str(self.run_tokens),
                 "--seed", str(seed),
                 "--replicas", str(replicas), "--json", *settings(_assignments(config))],
                capture_output=True, text=True)
            if done.returncode:
                self.outcome.faults.append(f"{label} could not be repeated: {done.stderr[-300:]}")
                continue
            calm = json.loads(done.stdout)
            self.outcome.compared += 1
            if [calm[name] for name in COMPARED] != values:
                self.outcome.faults.append(f"{label} differs from its undisturbed run: {values} "
                                           f"against {[calm[name] for name in COMPARED]}")

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        path = self.home / "ledger.db"
        if not path.exists():
            return [(0,)]
        db = sqlite3.connect(path, timeout=20)
        try:
            return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return [(0,)]  # the daemon was killed before its first tables
        finally:
            db.close()


def process(entry: Path) -> tuple[int, str] | None:
    """(parent, command line) of a process; None where it is gone or a zombie."""
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    return None if state == "Z" else (int(parent), line)


def _assignments(config: str) -> list[str]:
    return [f"{name}={json.dumps(value).strip(chr(34))}" for name, value in
            json.loads(config).items()]


def parser_of(description: str | None, n_kills: int) -> argparse.ArgumentParser:
    """What every night of this kind is asked."""
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=n_kills)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def played(night_in: Callable[[Path], Night], n_kills: int) -> int:
    """Disturb a night in a folder of its own, end it and say what came of it; the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        night = night_in(Path(folder))
        night.disturb(n_kills)
        found = night.finish()
    sys.stdout.write(found.told())
    return 1 if found.faults else 0


def main() -> int:
    parser = parser_of(__doc__, 200)
    parser.add_argument("--trials", type=int, default=1, help="runs at once")
    options = parser.parse_args()
    return played(lambda root: Night(root, options.seed, options.trials), options.kills)


if __name__ == "__main__":
    sys.exit(main())
