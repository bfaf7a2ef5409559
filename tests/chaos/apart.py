"""A night whose machines are network namespaces of its own, so that one can be cut off or leave.

    python -m tests.chaos.apart --cut 60        # as root
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.night import Night, texts
from tests.support.parts import settings

NET = "10.203"  # of addresses that no other machine has
PORT = 8786
PATIENCE_S = 900.0
IDEAS = ("lr=5e-3", "n_layer=2", "lr=1e-4")
# Half a minute without a word, and a machine is gone; the settings of Dask, as any owner sets them.
DASK = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "30s",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "15s",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}


def why_not() -> str | None:
    """Why there are no namespaces to be had here; None where there are."""
    if os.geteuid() != 0:
        return "network namespaces want root"
    if shutil.which("ip") is None:
        return "there is no ip (iproute2)"
    name = f"phi-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"no namespace can be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


class Nets:
    """Three namespaces: a home, and two machines with a line of their own to it."""

    def __init__(self) -> None:
        self._tag = f"phi{os.getpid() % 100_000}"
        self.home, self.machines = f"{self._tag}-home", [f"{self._tag}-{n}" for n in (1, 2)]

    def __enter__(self) -> "Nets":
        for name in (self.home, *self.machines):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        for n, name in enumerate(self.machines, 1):
            here, there = self._line(n), f"{self._tag}t{n}"
            _ip("link", "add", here, "netns", self.home, "type", "veth", "peer", "name", there,
                "netns", name)
            for where, link, last in ((self.home, here, 1), (name, there, 2)):
                _ip("-n", where, "addr", "add", f"{NET}.{n}.{last}/24", "dev", link)
                _ip("-n", where, "link", "set", link, "up")
        return self

    def __exit__(self, *_: Any) -> None:
        for name in (self.home, *self.machines):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def cut(self, n: int, *, is_cut: bool) -> None:
        """Take the line of a machine away, or give it back."""
        _ip("-n", self.home, "link", "set", self._line(n), "down" if is_cut else "up")

    def _line(self, n: int) -> str:
        return f"{self._tag}h{n}"


class ApartNight(Night):
    """A home with a scheduler, and machines that have joined it."""

    n_trials, run_tokens, n_runs = 2, 40_000, 8

    def __init__(self, root: Path, nets: Nets, machines: tuple[int, ...],
                 home: Path | None = None) -> None:
        self.nets, self.members = nets, dict[int, "subprocess.Popen[bytes]"]()
        root.mkdir(parents=True, exist_ok=True)
        self.logs = root
        if home:
            shutil.copytree(home, root / "night")
        self.scheduler = self._in(nets.home, "scheduler", "-m", "distributed.cli.dask_scheduler",
                                  "--host", "0.0.0.0", "--port", str(PORT), "--no-dashboard",
                                  "--no-show")
        for n in machines:
            self.members[n] = self._in(
                nets.machines[n - 1], f"machine-{n}", "-m", "agent", "cluster", "worker",
                f"tcp://{NET}.{n}.1:{PORT}", "--trials", "1", "--name", f"machine-{n}", "--folder",
                str(root / f"machine-{n}"), "--min-battery", "0")
        super().__init__(root, seed=0)

    def _start(self) -> "subprocess.Popen[bytes]":
        return self._in(
            self.nets.home, "daemon", "-m", "agent", "--home", str(self.home), "run", "--runs",
            str(self.n_left()), "--run-tokens", str(self.run_tokens), "--corpus", str(self.text),
            "--replicas", "1", "--trials", str(self.n_trials), "--cluster", f"tcp://{NET}.1.1:{PORT}",
            *settings())

    def _in(self, name: str, log: str, *words: str) -> "subprocess.Popen[bytes]":
        with open(self.logs / f"{log}.log", "ab") as output:
            return subprocess.Popen(["ip", "netns", "exec", name, sys.executable, *words],
                                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                    env={**os.environ, **DASK}, start_new_session=True)

    def _alive(self) -> dict[str, list[int]]:
        return {"daemon": [self.daemon.pid]}

    def wait_for(self, sql: str, patience_s: float = PATIENCE_S) -> None:
        """Until the ledger says yes. AssertionError where the night ends before."""
        end_s = time.monotonic() + patience_s
        while not self._ask(sql)[0][0]:
            assert time.monotonic() < end_s, f"not within {patience_s:g} s: {sql}"
            assert self.daemon.poll() is None, self.log.read_text()
            time.sleep(0.3)

    def until_joined(self, n: int, times: int) -> None:
        """Until a machine has joined so often; a night that was over before is followed by another.
        """
        end_s = time.monotonic() + PATIENCE_S
        while self._ask("SELECT count(*) FROM events WHERE message LIKE "
                        f"'machine-{n} joins%'")[0][0] < times:
            assert time.monotonic() < end_s, self.log.read_text()
            if self.daemon.poll() is not None:
                self.n_runs = self.n_runs + 2
                self.daemon = self._start()
            time.sleep(0.3)

    def leave(self, n: int) -> None:
        """A machine is switched off."""
        member = self.members.pop(n)
        for pid in _of_namespace(self.nets.machines[n - 1]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        member.wait()

    def close(self) -> None:
        for n in list(self.members):
            self.leave(n)
        for process in (self.scheduler, self.daemon):
            if process.poll() is None:
                process.kill()
            process.wait()

    def decisions(self) -> list[tuple[Any, ...]]:
        """What was decided of which configuration, in its order, with the scores behind it."""
        return self._ask("SELECT label, verdict, config_hash, seed, val_bpb FROM decisions JOIN "
                         "runs ON runs.id = run_id ORDER BY decisions.id")


@contextlib.contextmanager
def night_of(root: Path, nets: Nets, machines: tuple[int, ...],
             home: Path | None = None) -> Iterator[ApartNight]:
    """A night on these machines, of which nothing is left behind."""
    night = ApartNight(root, nets, machines, home)
    try:
        yield night
    finally:
        night.close()


def cut_off(root: Path, seconds: float) -> ApartNight:
    """A night of two machines, one of which is out of reach for a while and comes back."""
    with Nets() as nets, night_of(root, nets, (1, 2)) as night:
        night.wait_for("SELECT count(*) >= 2 FROM runs WHERE state = 'running'")
        nets.cut(2, is_cut=True)
        time.sleep(seconds)  # the claim is of so long a silence
        nets.cut(2, is_cut=False)
        night.until_joined(2, times=2)
        night.finish()
    return night


def begun(root: Path) -> Path:
    """A home with a study, one run of it, and ideas that wait.

    What the search finds by itself depends on how fast runs were, which no two nights share.
    """
    root.mkdir(parents=True)
    text, home = root / "stories.txt", root / "night"
    text.write_text(texts())
    for words in (["run", "--runs", "1", "--run-tokens", str(ApartNight.run_tokens), "--corpus",
                   str(text), "--replicas", "1", *settings()],
                  *(["enqueue", idea] for idea in IDEAS)):
        subprocess.run([sys.executable, "-m", "agent", "--home", str(home), *words], check=True,
                       capture_output=True)
    return home


def decided(root: Path, home: Path, *, leaves: bool) -> list[tuple[Any, ...]]:
    """What a night of two machines decided, or one whose second machine leaves in mid-night."""
    with Nets() as nets, night_of(root, nets, (1, 2), home) as night:
        if leaves:
            night.wait_for("SELECT count(*) >= 3 FROM decisions")
            night.leave(2)
        night.finish(is_compared=False)
        assert night.outcome.faults == []
        return night.decisions()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _of_namespace(name: str) -> list[int]:
    found = subprocess.run(["ip", "netns", "pids", name], check=True, capture_output=True,
                           text=True)
    return list(map(int, found.stdout.split()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cut", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        night = cut_off(Path(folder), options.cut)
        sys.stdout.write(night.outcome.told() + night.log.read_text())
    return 1 if night.outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
