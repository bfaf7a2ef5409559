"""Where trials are computed: what a set of trials asks of a place, and this machine as one.

Whatever the place, a run's folder is the only thing that is believed: before `poll` of a worker
returns, all that came from it lies there, events and the newest checkpoint.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agent.home import RunFolder
from agent.ledger import Run
from agent.machine import guard, machine
from agent.trial.orphan import end_orphan, living_worker


class Process(Protocol):
    """A worker: what is needed of subprocess.Popen."""

    @property
    def pid(self) -> int:
        """Of this machine, by which a person may look for it; 0 where it is elsewhere."""

    def poll(self) -> int | None:
        """Its exit status, as `job` names them; None while it computes."""


Spawn = Callable[[RunFolder], Process]


def spawn_worker(folder: RunFolder) -> Process:
    """Start the worker of a run in its own session, its output in a file."""
    with open(folder.output, "ab") as output:
        return subprocess.Popen(
            machine.child("agent.trial.worker", str(folder.root), str(os.getpid())),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, env=machine.worker_environment())


@runtime_checkable
class Measuring(Process, Protocol):
    """A worker that only measures, and has nothing to save."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; subprocess.TimeoutExpired where it still computes after so long."""

    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Where:
    """What computed a run, as its row tells."""

    device: str
    cores: str
    code_version: str


class Executor(Protocol):
    """A place that computes trials, each in a worker of its own."""

    is_elsewhere: bool  # whether trials share neither this machine's memory nor each other's

    @property
    def n_at_once(self) -> int | None:
        """How many it can compute now; None: as many as the night has room for."""

    def start(self, run: Run, folder: RunFolder) -> Process:
        """Begin with the job in the folder, or go on from its checkpoint. OSError where no worker
        can be had now: nothing is blamed on the run, and it is tried again.
        """

    def find(self, run: Run, folder: RunFolder) -> Process | None:
        """The worker that a daemon before this one began and that still computes the run."""

    def end_left(self, run: Run, folder: RunFolder, pid: int) -> None:
        """End a worker that nobody follows, so that the run may be begun again."""

    def signal(self, process: Process, number: int) -> None:
        """SIGTERM: save and leave; SIGKILL: leave at once. ProcessLookupError where it has gone.
        """

    def read(self, process: Process) -> guard.Reading | None:
        """Memory of a worker and of its machine; None where that machine watches it itself."""

    def may_start(self, run: Run, predicted_mb: float) -> guard.Word | None:
        """Whether there is a place for it now; None where this machine's memory has the word."""

    def where(self, process: Process) -> Where:
        """What computes it."""

    def device(self, study: int | None = None) -> str | None:
        """What computes the pairs of a study, or would those of a new one; None: nothing now."""

    def n_beside(self, n_trials: int, look: Callable[[], None]) -> int:
        """How many of so many trials at once share one machine, once all of it is there; `look` is
        called while that is waited for.
        """

    def measuring(self, study: int | None, predicted_mb: float) -> Spawn:
        """Starts workers that measure the speed of a run where a study, or a new one, is computed:
        each a `Measuring`. OSError where none can be had now.
        """


class Here:
    """This machine, with processes of its own."""

    n_at_once: int | None = None
    is_elsewhere = False

    def __init__(self, spawn: Spawn = spawn_worker,
                 read: Callable[[int], guard.Reading] = guard.read) -> None:
        self._spawn, self._read = spawn, read

    def start(self, run: Run, folder: RunFolder) -> Process:
        return self._spawn(folder)

    def find(self, run: Run, folder: RunFolder) -> Process | None:
        return living_worker(folder)

    def end_left(self, run: Run, folder: RunFolder, pid: int) -> None:
        end_orphan(pid, folder.root)

    def signal(self, process: Process, number: int) -> None:
        os.killpg(process.pid, number)  # its replicas are of its group

    def read(self, process: Process) -> guard.Reading | None:
        return self._read(process.pid)

    def may_start(self, run: Run, predicted_mb: float) -> guard.Word | None:
        return None

    def where(self, process: Process) -> Where:
        return Where(machine.device(), machine.cores(), machine.code_version())

    def device(self, study: int | None = None) -> str | None:
        return machine.device()

    def n_beside(self, n_trials: int, look: Callable[[], None]) -> int:
        return n_trials

    def measuring(self, study: int | None, predicted_mb: float) -> Spawn:
        return self._spawn
