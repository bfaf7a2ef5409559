"""Files of a machine by what is in them: each travels there once, and is checked there.

Several workers of one machine share the folder, so a file may come in pieces from several sides.
"""

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.errors import UserError

SHA256 = re.compile(r"[0-9a-f]{64}")
KEPT_S = 30 * 86_400.0  # since a run last needed it
READ_BYTES = 1 << 20


class Spoilt(UserError):
    """What arrived is not what was announced; it is asked for again."""


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """A folder of files named by their SHA-256."""

    def __init__(self, root: Path, now: Callable[[], float] = time.time) -> None:
        self.root, self._now = root, now
        self._checked: dict[str, tuple[int, int, int]] = {}  # how each looked when it was checked

    def path(self, sha256: str) -> Path:
        """Where a file is or would be; UserError where that is no hash."""
        if not SHA256.fullmatch(sha256):
            raise UserError(f"{sha256[:80]!r} is no SHA-256 in hexadecimal")
        return self.root / sha256

    def has(self, sha256: str) -> bool:
        """Whether a file is here and whole; read once, and again where it has changed."""
        path = self.path(sha256)
        try:
            stat = path.stat()
            looks = stat.st_size, stat.st_mtime_ns, stat.st_ino
            if self._checked.get(sha256) != looks:
                if digest(path) != sha256:
                    path.unlink()
                    return False
                self._checked[sha256] = looks
            os.utime(path, ns=(int(self._now() * 1e9), stat.st_mtime_ns))  # it was needed now
        except OSError:
            return False
        return True

    def size(self, sha256: str) -> int:
        """Bytes that are here of a file that is not whole yet."""
        try:
            return self._part(sha256).stat().st_size
        except OSError:
            return 0

    def put(self, sha256: str, offset: int, piece: bytes, n_bytes: int) -> int:
        """Take a piece of a file of n_bytes; how much of it is here now, where the next begins.

        A piece that begins elsewhere is not taken. Raises Spoilt where the whole is another.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        part = self._part(sha256)
        with open(part, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self.path(sha256).exists():  # another worker of this machine was quicker
                with suppress(FileNotFoundError):
                    part.unlink()
                return n_bytes
            if file.tell() == offset:
                file.write(piece)
                file.flush()
            if (size := file.tell()) < n_bytes:
                return size
            os.fsync(file.fileno())
            if size != n_bytes or digest(part) != sha256:
                file.truncate(0)
                raise Spoilt(f"what arrived as {sha256[:12]} is something else")
            os.replace(part, self.path(sha256))
        return n_bytes

    def tidy(self) -> None:
        """Remove what no run has needed for a month."""
        oldest = self._now() - KEPT_S
        for path in self.root.glob("*"):
            with suppress(OSError):
                if max(path.stat().st_atime, path.stat().st_mtime) < oldest:
                    path.unlink()

    def _part(self, sha256: str) -> Path:
        return self.path(sha256).with_suffix(".part")
