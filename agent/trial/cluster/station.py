"""The trials that one machine computes for homes elsewhere: begun, watched, told of, ended.

It knows nothing of the network: `calls` brings it what a home asks. A home that is not heard of for
a while has gone on without this machine, so what was computed for it here is ended, too.
"""

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from agent.home import Home, RunFolder
from agent.machine import Clock, Guard, Limits, Sensors, Word, guard
from agent.trial import Process, spawn_worker
from agent.trial.cluster.options import Options
from agent.trial.cluster.parcel import COMING, Parcel
from agent.trial.cluster.store import Store
from engine.errors import UserError

PLAIN = Options()
KILLED_S = 2.0  # until a killed worker is gone
LEASE_S = 45.0  # without a word from its home a trial is ended
PIECE_BYTES = 4 << 20  # of a file, in one answer
EVENT_BYTES = 1 << 20  # of events, in one answer


class Unknown(UserError):
    """This machine computes no such trial: it left in between, and its home goes on without it."""


@dataclass(slots=True)
class Sent:
    """A file on its way to the home: what was opened stays the same while it grows elsewhere."""

    file: BinaryIO
    n_bytes: int
    digest: Any


@dataclass(slots=True)
class Trial:
    """One attempt at a run, for one home."""

    parcel: Parcel
    folder: RunFolder
    heard_s: float  # when its home last asked
    process: Process | None = None
    status: int | None = None
    is_begun: bool = False
    is_released: bool = False
    ending: guard.Ending | None = None
    n_blind: int = 0
    sent: dict[str, Sent] = field(default_factory=dict)


class Station:
    """All that a machine computes for others, and what its own guard says of it.

    root      folder of the trials, one below for each
    capacity  trials at once
    """

    def __init__(self, root: Path, store: Store, capacity: int, options: Options = PLAIN, *,
                 clock: Clock | None = None,
                 spawn: Callable[[RunFolder], Process] = spawn_worker,
                 read: Callable[[int], guard.Reading] = guard.read,
                 sensors: Sensors | None = None) -> None:
        self.root, self.store, self.capacity = root, store, capacity
        self._guard, self._clock = Guard(options.limits or Limits()), clock or Clock()
        self._max_ram_mb = options.max_ram_mb or guard.default_max_ram_mb()
        self._spawn, self._read = spawn, read
        self._sensors = sensors or Sensors(root.parent)
        self._is_watched = options.is_watched
        self._word = Word(not options.is_watched, "its sensors have not answered yet",
                          may_pass=True)
        self._is_leaving: str | None = None
        self.trials: dict[str, Trial] = {}

    # --- what a home asks --------------------------------------------------------------------

    def told(self) -> dict[str, Any]:
        """What the machine has to give now."""
        word = self.word()
        return {"is_go": word.is_go, "reason": word.reason, "free_mb": guard.free_mb(),
                "reserve_mb": guard.reserve_mb(guard.read_swap()), "max_ram_mb": self._max_ram_mb,
                "capacity": self.capacity, "n_trials": len(self.trials)}

    def word(self) -> Word:
        """Whether this machine takes another trial."""
        return Word(False, self._is_leaving, may_pass=True) if self._is_leaving else self._word

    def open(self, attempt: str, values: dict[str, Any]) -> list[str]:
        """Take a run in; the hashes of the files that have to come first."""
        if not self.word().is_go:
            raise UserError(f"this machine waits: {self.word().reason}")
        parcel = Parcel.of(values)
        if attempt not in self.trials:
            if len(self.trials) >= self.capacity:
                raise UserError(f"this machine computes {len(self.trials)} trials already")
            home = Home(self.root / attempt)
            self.trials[attempt] = Trial(parcel, home.run(parcel.uid), self._clock.seconds())
        return parcel.missing(self.store)

    def put(self, attempt: str, sha256: str, offset: int, piece: bytes) -> int:
        """Take a piece of a file that a trial needs; where the next begins."""
        n_bytes = self._heard(attempt).parcel.n_bytes.get(sha256)
        if n_bytes is None:
            raise UserError(f"no file {sha256[:12]} was announced")
        return self.store.put(sha256, offset, piece, n_bytes)

    def begin(self, attempt: str) -> None:
        """Start the worker of a trial. Raises OSError, and Unknown where it was begun before."""
        trial = self._heard(attempt)
        if trial.is_begun:
            raise Unknown(f"{attempt} was begun here before")
        if missing := trial.parcel.missing(self.store):
            raise UserError(f"{len(missing)} files of {attempt} have not arrived")
        trial.is_begun = True
        trial.parcel.unpack(self.store, trial.folder)
        trial.process = self._spawn(trial.folder)

    def look(self, attempt: str, offset: int) -> dict[str, Any]:
        """What its worker wrote behind an offset, whole lines only, and how it stands."""
        trial = self._heard(attempt)
        if trial.process and trial.status is None:  # before reading: nothing is written after
            trial.status = trial.process.poll()
        # Files first: whatever a checkpoint is past is among the events behind it.
        files = {name: looks for name in COMING
                 if (looks := _looks(trial.folder.root / name)) is not None}
        events, size = _lines(trial.folder.events, offset)
        return {"events": events, "n_events": size, "files": files, "status": trial.status,
                "is_begun": trial.is_begun, "word": self.word().reason}

    def fetch(self, attempt: str, name: str, offset: int) -> tuple[bytes, str]:
        """A piece of a file, and with the last one the hash of all of it; empty before."""
        trial = self._heard(attempt)
        if name not in COMING:
            raise UserError(f"{name[:80]!r} is no file that comes back")
        if offset == 0:
            self._close(trial, name)
            file = open(trial.folder.root / name, "rb")
            trial.sent[name] = Sent(file, os.fstat(file.fileno()).st_size, hashlib.sha256())
        sent = trial.sent.get(name)
        if sent is None or sent.file.tell() != offset:
            raise UserError(f"{name} is to be fetched from its beginning")
        piece = sent.file.read(min(PIECE_BYTES, sent.n_bytes - offset))
        sent.digest.update(piece)
        if sent.file.tell() < sent.n_bytes:
            return piece, ""
        found: str = sent.digest.hexdigest()
        self._close(trial, name)
        return piece, found

    def ask(self, attempt: str) -> None:
        """Have a trial saved and left."""
        self._stop(self._heard(attempt))

    def release(self, attempt: str) -> None:
        """All of a trial has come home, or is not wanted: end what computes and forget it."""
        trial = self.trials.get(attempt)
        if trial is None:
            return
        trial.is_released = True
        if trial.process and trial.status is None and trial.ending is None:
            trial.ending = guard.Ending(trial.process.pid, self._clock.seconds())
        self._clear(attempt, trial)

    # --- what it does by itself --------------------------------------------------------------

    def tick(self) -> None:
        """Call about once a second: the machine's own limits, and homes that went silent."""
        now_s = self._clock.seconds()
        readings = self._sensors.poll(now_s) if self._is_watched else None
        if readings and self._sensors.is_settled:
            self._word = self._guard.word(readings, self._clock.local_minutes(),
                                          not self._word.is_go)
        for attempt, trial in list(self.trials.items()):
            if now_s - trial.heard_s > LEASE_S and not trial.is_released:
                self.release(attempt)
            elif trial.process and trial.status is None:
                self._watch(trial, now_s)
            elif not trial.is_begun and not self.word().is_go:
                self.release(attempt)  # its home sees that it is gone, and asks another machine
            if trial.is_released and attempt in self.trials:
                self._clear(attempt, trial)

    def leave(self, why: str) -> None:
        """Take nothing more, and have what computes save and leave; its home fetches it."""
        self._is_leaving = why
        for trial in self.trials.values():
            self._stop(trial)

    def close(self) -> None:
        """End everything at once; what was not fetched is lost to a minute."""
        self._sensors.close()
        for attempt, trial in list(self.trials.items()):
            if trial.process and trial.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(trial.process.pid, signal.SIGKILL)
                end_s = time.monotonic() + KILLED_S
                while trial.process.poll() is None and time.monotonic() < end_s:
                    time.sleep(0.01)
            shutil.rmtree(self.root / attempt, ignore_errors=True)
        self.trials.clear()

    def _watch(self, trial: Trial, now_s: float) -> None:
        process = trial.process
        assert process is not None  # who asks has seen it
        trial.status = process.poll()
        if trial.status is not None:
            return
        if trial.ending:
            trial.ending.press(now_s)
            return
        if not self.word().is_go:
            self._stop(trial)
            return
        reading = self._read(process.pid)
        word = guard.may_go_on(reading, self._max_ram_mb)
        trial.n_blind = 0 if reading.is_known else trial.n_blind + 1
        if word.is_go or trial.n_blind == 1:  # it may have ended this moment
            return
        if word.may_pass:
            self._stop(trial)
        else:
            with open(trial.folder.output, "a", encoding="utf-8") as file:
                file.write(f"{word.reason}\n")
            trial.ending = guard.Ending(process.pid, now_s - guard.TERM_GRACE_S)
            trial.ending.press(now_s)

    def _stop(self, trial: Trial) -> None:
        if trial.process and trial.status is None and trial.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(trial.process.pid, signal.SIGTERM)

    def _heard(self, attempt: str) -> Trial:
        trial = self.trials.get(attempt)
        if trial is None or trial.is_released:
            raise Unknown(f"no trial {attempt} is computed here")
        trial.heard_s = self._clock.seconds()
        return trial

    def _clear(self, attempt: str, trial: Trial) -> None:
        """Forget a trial whose worker is gone, with its folder."""
        if trial.process:
            trial.status = trial.process.poll() if trial.status is None else trial.status
            if trial.status is None:
                if trial.ending:
                    trial.ending.press(self._clock.seconds())
                return  # at a later tick
        for name in list(trial.sent):
            self._close(trial, name)
        shutil.rmtree(self.root / attempt, ignore_errors=True)
        del self.trials[attempt]

    def _close(self, trial: Trial, name: str) -> None:
        if sent := trial.sent.pop(name, None):
            sent.file.close()


def _looks(path: Path) -> tuple[int, int, int] | None:
    """Size, time and number of a file, by which a change shows; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _lines(path: Path, offset: int) -> tuple[bytes, int]:
    """Whole lines behind an offset, so many as go into one answer; and the size of all of them."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            piece = file.read(EVENT_BYTES)
            while piece and b"\n" not in piece and (more := file.read(EVENT_BYTES)):
                piece += more  # one line is larger than an answer
    except OSError:
        return b"", 0
    return piece[: piece.rfind(b"\n") + 1], size
