"""A Dask cluster as a place that computes trials: what the runners of a night ask of it.

All of a study's baselines and pairs are computed on one class of devices, so that the noise which
decides is that of this class. Ideas go wherever there is room; a run that has begun keeps its
class while there is a machine of it.
"""

import signal
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.home import RunFolder
from agent.ledger import Queries, Run, class_of, class_of_study
from agent.machine import Word, guard
from agent.trial import CONFIRMING, Process, Spawn, Where, foreseen_mb
from agent.trial.cluster.likeness import class_name
from agent.trial.cluster.placement import Machine, Need, choose, main_class
from agent.trial.cluster.remote import Berth, Remote, device_of, settle
from engine.errors import UserError

if TYPE_CHECKING:
    from agent.trial.cluster.fleet import Fleet

PATIENCE_S = 180.0  # for machines, when a night begins
JOIN_S = 30.0  # for all workers of this machine, where their speed together is to be measured
AWAIT_S = 0.2
Say = Callable[[str], None]


class Cluster:
    """The executor of `agent run --cluster`."""

    def __init__(self, fleet: "Fleet", ledger: Queries, say: Say,
                 now: Callable[[], float] = time.monotonic, n_local: int | None = None) -> None:
        self._fleet, self._ledger, self._say, self._now = fleet, ledger, say, now
        self._n_local = n_local or 1  # workers that share this machine
        self.is_elsewhere = n_local is None
        self._classes: dict[int, str] = {}  # of studies, by their numbers
        self._remotes: list[Remote] = []  # that are followed

    @property
    def n_at_once(self) -> int:
        """Trials that the machines can compute now; what is new among them is told."""
        while self._fleet.news:
            self._say(self._fleet.news.popleft())
        now_s = self._now()
        self._remotes = [one for one in self._remotes if one.status is None]
        return max(len(self._remotes), sum(one.capacity(now_s) for one in self._machines()))

    def await_machines(self, look: Callable[[], None], n_asked: int | None = None,
                       sleep: Callable[[float], None] = time.sleep) -> int:
        """Wait until the scheduler answers, and its machines; how many trials they take, or as many
        as were asked for. UserError where nobody answers. `look` is called meanwhile.
        """
        end_s = self._now() + PATIENCE_S
        while not (n := self.n_at_once) or any(
                one.likeness is None for one in self._machines()):
            if self._now() >= end_s or (self._fleet.fault and not self._fleet.is_up):
                break
            look()
            sleep(AWAIT_S)
        if not self._fleet.is_up:
            raise UserError("no scheduler answers there; `dask scheduler` starts one and prints "
                            f"its address ({self._fleet.fault or 'it was waited for a while'})")
        return n_asked or max(1, n)

    def start(self, run: Run, folder: RunFolder) -> Process:
        found = choose(self._machines(), self._need(run, foreseen_mb(run)), self._now())
        if isinstance(found, Word):
            raise OSError(found.reason)
        like = found.likeness
        assert like is not None  # who has not answered is not chosen
        before = Berth.read(folder)
        if before and before.likeness.bits != like.bits:
            folder.remove_checkpoints()  # its class is gone, so it begins anew
        self._note_class(run, class_name(like.bits))
        berth = Berth(f"{run.label}-{uuid.uuid4().hex}", found.address, settle(folder), like)
        berth.write(folder)
        return self._followed(run, folder, berth, is_new=True)

    def find(self, run: Run, folder: RunFolder) -> Process | None:
        berth = Berth.read(folder)
        if berth is None:
            return None
        self._note_class(run, class_name(berth.likeness.bits))
        return self._followed(run, folder, berth, is_new=False)

    def end_left(self, run: Run, folder: RunFolder, pid: int) -> None:
        if (berth := Berth.read(folder)) is None:
            return
        for remote in self._remotes:
            if remote.berth.attempt == berth.attempt and remote.status is None:
                remote.signal(signal.SIGKILL)
        self._fleet.drop(berth.address, berth.attempt)

    def signal(self, process: Process, number: int) -> None:
        assert isinstance(process, Remote)
        process.signal(number)

    def read(self, process: Process) -> guard.Reading | None:
        return None  # its machine watches it

    def may_start(self, run: Run, predicted_mb: float) -> Word:
        found = choose(self._machines(), self._need(run, predicted_mb), self._now())
        if isinstance(found, Word):
            why = self._fleet.fault
            return Word(False, why, may_pass=True, cause="cluster") if why else found
        return Word(True, f"{found.name} has room for {predicted_mb:.0f} MB")

    def where(self, process: Process) -> Where:
        assert isinstance(process, Remote)
        return process.where()

    def device(self, study: int | None = None) -> str | None:
        kind, now_s = self._class_of(study), self._now()
        return next((device_of(one.likeness) for one in self._machines() if one.likeness
                     and one.kind == kind and one.is_there(now_s)), None)

    def n_beside(self, n_trials: int, look: Callable[[], None],
                 sleep: Callable[[float], None] = time.sleep) -> int:
        n, end_s = min(n_trials, self._n_local), self._now() + JOIN_S
        while (n_there := self.n_at_once) < n and self._now() < end_s:
            look()
            sleep(AWAIT_S)
        return max(1, min(n, n_there))

    def measuring(self, study: int | None, predicted_mb: float) -> Spawn:
        kind = self._class_of(study)  # once: of a new study it is that with the most room now

        def start(folder: RunFolder) -> Process:
            found = choose(self._machines(), Need("the measurement", predicted_mb, kind),
                           self._now())
            if isinstance(found, Word):
                raise OSError(found.reason)
            assert found.likeness is not None  # who has not answered is not chosen
            berth = Berth(f"measure-{uuid.uuid4().hex}", found.address, settle(folder),
                          found.likeness)
            return self._follow(Remote("the measurement", folder, berth, predicted_mb))

        return start

    def classes(self) -> tuple[str, set[str]]:
        """The class of this home, and those of the machines that are there now."""
        assert self._fleet.ours is not None  # asked for before the first machine was
        now_s = self._now()
        return class_name(self._fleet.ours.bits), {
            one.kind for one in self._machines() if one.kind and one.is_there(now_s)}

    def close(self) -> None:
        self._fleet.close()

    def _followed(self, run: Run, folder: RunFolder, berth: Berth, *, is_new: bool) -> Remote:
        return self._follow(Remote(run.label, folder, berth, foreseen_mb(run)), is_new=is_new)

    def _follow(self, remote: Remote, *, is_new: bool = True) -> Remote:
        self._remotes.append(remote)
        self._fleet.follow(remote, is_new=is_new)
        return remote

    def _machines(self) -> list[Machine]:
        return list(self._fleet.machines.values())

    def _need(self, run: Run, predicted_mb: float) -> Need:
        return Need(run.label, predicted_mb, self._class_for(run))

    def _class_for(self, run: Run) -> str | None:
        """The class that a run has to be computed on; None: any."""
        if run.strategy in CONFIRMING and run.calibration_id is not None:
            return self._class_of(run.calibration_id)
        folder = self._fleet.home.run(run.uid)
        if not folder.checkpoint.exists() or self._fleet.ours is None:
            return None
        berth = Berth.read(folder)
        like = berth.likeness if berth else self._fleet.ours
        is_here = any(one.likeness and one.likeness.bits == like.bits
                      for one in self._machines() if one.is_there(self._now()))
        return class_name(like.bits) if is_here else None

    def _note_class(self, run: Run, name: str) -> None:
        if run.strategy in CONFIRMING and run.calibration_id is not None:
            self._classes.setdefault(run.calibration_id, name)

    def _class_of(self, study: int | None) -> str | None:
        """The class of a study's noise; of a new one that it was measured on, or else that with
        the most room now.
        """
        if study is not None and study in self._classes:
            return self._classes[study]
        found = None
        if study is not None and self._fleet.ours:
            found = class_of_study(self._ledger, study)
            if found is None:
                found = self._measured_on(study)
            elif not found:  # at home
                found = class_name(self._fleet.ours.bits)
        found = found or main_class(self._machines(), self._now())
        if study is not None and found is not None and self._fleet.ours:
            self._classes[study] = found
        return found

    def _measured_on(self, study: int) -> str | None:
        """The class on which the speed of a new study was measured, while a machine of it is there.
        """
        device = next((one.device for one in self._ledger.studies() if one.id == study), None)
        kind, now_s = class_of(device), self._now()
        return kind if any(one.kind == kind and one.is_there(now_s)
                           for one in self._machines()) else None
