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


def identity(path: Path | str) -> tuple[int, int] | None:
    """Device and inode: the same for every spelling of a file; None where there is no such file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def name_within(root: Path, folder: Path, path: Path) -> str:
    """How a file in `folder` names another: from there on where both lie below root, which may be
    moved or copied; else whole.
    """
    return os.path.relpath(path, folder) if path.is_relative_to(root) else str(path)


def find_within(root: Path, folder: Path, name: str) -> Path:
    """The file that one in `folder` names, also where root was moved since.

    By names alone, so that a folder below root may be a link. A whole path, as earlier versions
    wrote, may be stale: what lies below root at the longest tail of it, of two parts or more, is
    that file; where there is none the path is taken at its word.
    """
    path = Path(name)
    if not path.is_absolute():
        return Path(os.path.normpath(folder / path))
    parts = path.parts[1:]
    moved = (root.joinpath(*parts[start:]) for start in range(len(parts) - 1))
    return next(filter(os.path.exists, moved), path)


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
