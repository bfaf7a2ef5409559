"""Where texts and tokens are kept: one writer at a time, hashes of files, words for a full disk."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import StorageError


def hash_file(path: Path) -> str:
    """SHA-256 of what a file holds, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Makes other processes that would write a corpus or its tokens wait."""
    with storage_told(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = open(root / "lock", "wb")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def storage_told(folder: Path) -> Iterator[None]:
    """StorageError, in words, where a folder cannot be made."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot make the folder {folder}: {error.strerror}; texts and tokens "
                           "are kept there, so give it room or choose another --home") from error
