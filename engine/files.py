"""Writing files so that a reader, or the next start, sees the old content or the new, whole."""

import errno
import os
from pathlib import Path

from engine.errors import StorageError

FULL_OR_FORBIDDEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def write_atomically(path: Path, data: bytes) -> None:
    """Write data beside path, force it to disk, then put it in place.

    Raises StorageError where the disk is full or may not be written; the old content stays.
    """
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, path, len(data)) from error


def storage_error(error: OSError, path: Path, n_bytes: int) -> Exception:
    """The StorageError that tells a person what to do, or the error itself if it is another."""
    if error.errno not in FULL_OR_FORBIDDEN:
        return error
    return StorageError(f"cannot write {path} ({n_bytes / 1e6:.1f} MB): {error.strerror}; what "
                        "was there is kept, so free some space and start again")


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
