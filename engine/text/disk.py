"""Where texts and tokens are kept: one writer at a time, hashes of files, words for a full disk."""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import StorageError


def hash_file(path: Path) -> str:
    """SHA-256 of what a file holds, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(value: Mapping[str, Any]) -> bytes:
    """A file of JSON that shows where a bit of it was changed."""
    text = json.dumps(value, indent=1)
    seal = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({**value, "seal": seal}, indent=1).encode() + b"\n"


def unsealed(data: bytes) -> dict[str, Any]:
    """What such a file holds, or one of an earlier version, without a seal.

    ValueError where it is no JSON, or not as it was written; TypeError where it is no dictionary.
    """
    found = dict(json.loads(data))
    seal = found.pop("seal", None)
    if seal is not None and json.loads(data) != json.loads(sealed(found)):
        raise ValueError("a bit of it was changed")
    return found


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
