"""Writing files so that a reader, or the next start, sees the old content or the new, whole."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import StorageError

# What a person can mend: full, write-protected, not theirs, or not a folder.
FULL_OR_FORBIDDEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES,
                     errno.EPERM, errno.ENOTDIR, errno.EISDIR)


def write_atomically(path: Path, data: bytes) -> None:
    """Write data beside path, force it to disk, then put it in place with the mode it had.

    Raises StorageError where the disk is full or may not be written; the old content stays.
    """
    part = path.with_name(path.name + ".part")
    with storage_in_words(path, part, len(data)):
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(part, path.stat().st_mode)
        os.replace(part, path)
        sync_folder(path.parent)


@contextmanager
def storage_in_words(path: Path, part: Path, n_bytes: int) -> Iterator[None]:
    """Remove the half-written part, and say in one sentence that a disk is full or forbidden."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):  # a read-only folder has no part to remove
            part.unlink()
        in_words = storage_error(error, path, n_bytes)
        if in_words is error:
            raise
        raise in_words from error


def storage_error(error: OSError, path: Path, n_bytes: int) -> Exception:
    """The StorageError that tells a person what to do, or the error itself if it is another."""
    if error.errno not in FULL_OR_FORBIDDEN:
        return error
    return StorageError(f"cannot write {path} ({n_bytes / 1e6:.1f} MB): {error.strerror}; what "
                        "was there is kept; free some space or choose another folder, and start "
                        "again")


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
