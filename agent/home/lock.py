"""The lock of a home: one daemon, known by its pid, for as long as its process lives."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from engine.errors import StorageError, UserError
from engine.files import identity

LOOKS, LOOK_S = 5, 0.1  # at a lock that is taken, before it counts as another daemon's


class Held:
    """The lock of a home as its daemon holds it."""

    def __init__(self, lock: Path, file: TextIO) -> None:
        self._lock, self._file = lock, file

    def again(self) -> None:
        """Take it again where its file was removed or swapped; UserError where another daemon was
        quicker.
        """
        if identity(self._lock) == identity(f"/proc/self/fd/{self._file.fileno()}"):
            return
        file = _taken(self._lock)
        self._file.close()
        self._file = file

    def close(self) -> None:
        self._file.close()


@contextmanager
def only_one(lock: Path) -> Iterator[Held]:
    """Hold the home's lock; UserError, naming who holds it, where another daemon does."""
    held = Held(lock, _taken(lock))
    try:
        yield held
    finally:
        held.close()


def _taken(lock: Path) -> TextIO:
    file = _opened(lock)
    try:
        for attempt in range(LOOKS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if attempt < LOOKS - 1:  # a glance of `agent status` holds it for a moment
                    time.sleep(LOOK_S)
                    continue
                file.seek(0)
                raise UserError(f"another agent (pid {file.read().strip()}) works in "
                                f"{lock.parent}; `agent stop` ends it, or use another --home"
                                ) from error
        file.truncate(0)
        with suppress(OSError):  # no room for a name: the lock holds without
            os.write(file.fileno(), str(os.getpid()).encode())
        return file
    except BaseException:
        file.close()
        raise


def _opened(lock: Path) -> TextIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return open(lock, "a+", encoding="ascii")
    except OSError as error:
        raise StorageError(f"cannot write in the folder {lock.parent}: {error.strerror}; give it "
                           "room, make it yours, or use another --home") from error


def holder(lock: Path) -> int | None:
    """Pid of the daemon that holds the lock, 0 where it does not tell; None where nobody does."""
    try:
        with open(lock, encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except (FileNotFoundError, NotADirectoryError):
        pass
    return None
