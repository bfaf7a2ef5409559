"""A trial on another machine, as its home knows it: what a runner polls, and where it is."""

import json
import math
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from agent.home import RunFolder
from agent.trial import STOPPED, Where
from agent.trial.cluster.likeness import Likeness, class_name
from engine.errors import UserError
from engine.files import write_atomically

WAIT_S = 0.05  # between two looks of who waits


@dataclass(frozen=True, slots=True)
class Berth:
    """Where an attempt at a run is computed, for a home that is started again: machine.json."""

    attempt: str
    address: str  # of the machine in its cluster
    base: int  # bytes of events.jsonl from workers before this one
    likeness: Likeness

    def write(self, folder: RunFolder) -> None:
        write_atomically(berth_file(folder), json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, folder: RunFolder) -> Self | None:
        """None where no machine of a cluster computes it, or the file is not ours."""
        try:
            values: dict[str, Any] = json.loads(berth_file(folder).read_bytes())
            found = cls(**values | {"likeness": Likeness.of(values["likeness"])})
        except (OSError, ValueError, KeyError, TypeError, UserError):
            return None
        is_sound = isinstance(found.attempt, str) and isinstance(found.address, str) and (
            type(found.base) is int and found.base >= 0)
        return found if is_sound else None


def berth_file(folder: RunFolder) -> Path:
    """Where a run's folder tells which machine computes it."""
    return folder.root / "machine.json"


def device_of(like: Likeness) -> str:
    """What a run's row has of the machine that computed it."""
    return f"{like.device}, {class_name(like.bits)}"


def settle(folder: RunFolder) -> int:
    """Cut off a line that a home was killed in; bytes of events.jsonl that are left."""
    try:
        whole = folder.events.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return 0
    size = len(whole[0]) + len(whole[1])
    if whole[2]:
        os.truncate(folder.events, size)
    return size


class Remote:
    """A worker on another machine, polled as if it were a child of this process.

    Its follower, in another thread, writes what comes back into the run's folder, and then sets the
    status; the runner reads it, and asks.
    """

    pid = 0  # it is no process of this machine

    def __init__(self, label: str, folder: RunFolder, berth: Berth,
                 predicted_mb: float = 0.0) -> None:
        self.label, self.folder, self.berth = label, folder, berth
        self.predicted_mb = predicted_mb
        self.status: int | None = None
        self.is_asked = self.is_ended = False
        self.why: str | None = None  # it was given up there

    def poll(self) -> int | None:
        return self.status

    def signal(self, number: int) -> None:
        """SIGTERM: have it saved and left; SIGKILL: give it up, whatever the machine does."""
        if self.status is not None:
            raise ProcessLookupError
        if number == signal.SIGKILL:
            self.is_ended = True
            self.status = -signal.SIGKILL
        else:
            self.is_asked = True

    def wait(self, timeout: float | None = None) -> int:
        """As of a child: its status, or TimeoutExpired."""
        end_s = time.monotonic() + (math.inf if timeout is None else timeout)
        while self.status is None:
            if time.monotonic() >= end_s:
                raise subprocess.TimeoutExpired(self.label, timeout or 0.0)
            time.sleep(WAIT_S)
        return self.status

    def kill(self) -> None:
        """As of a child: what nobody needs any more is left at once."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)

    def lose(self, why: str) -> None:
        """Go on without this machine: the run waits again, and nothing is blamed on it."""
        if self.status is None:
            self.why, self.status = why, STOPPED

    def where(self) -> Where:
        like = self.berth.likeness
        return Where(device_of(like), like.cores, like.version)
