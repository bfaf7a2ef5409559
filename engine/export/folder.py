"""A folder that is written beside its place and put there whole, or not at all."""

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import FolderBusy, StorageError
from engine.files import storage_error, sync_folder

SHOWN = 3  # names of foreign files that are told


@contextmanager
def written_whole(folder: Path, known: Collection[str], is_ours: Callable[[Collection[str]], bool],
                  n_bytes: int, *, replaces: bool) -> Iterator[Path]:
    """A new folder to write into, which stands in the place of `folder` once the block has ended.

    known     names of files that may be written and, with an older folder, deleted
    is_ours   whether files of such names are an older folder of this kind
    n_bytes   of what will be written, for who is told that the disk is full
    replaces  whether an older folder may be replaced; one that is empty always may

    What was there stays until the new one is whole, and where anything fails. Raises StorageError
    where the folder holds anything else, FolderBusy where another process writes it.
    """
    place = Path(os.path.realpath(folder))
    part, old = (place.with_name(f".{place.name}.{word}") for word in ("part", "old"))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if old.is_dir() and not place.exists():  # a power cut between the two renames
            os.rename(old, place)
        require_free(place, known, is_ours, replaces=replaces)
        part.mkdir(exist_ok=True)
        handle = _only_writer(part)
        try:
            _empty(part, known)
            yield part
            sync_folder(part)
            _put(part, place, old, known)
        except BaseException:
            with suppress(OSError, StorageError):
                _empty(part, known)
                part.rmdir()
            raise
        finally:
            os.close(handle)
    except OSError as error:
        raise storage_error(error, folder, n_bytes) from error


def require_free(place: Path, known: Collection[str], is_ours: Callable[[Collection[str]], bool],
                 *, replaces: bool) -> None:
    """StorageError where a folder may not be put there."""
    if not os.path.lexists(place):
        return
    if not place.is_dir():
        raise StorageError(f"{place} is a file; name a folder, or move it away")
    if Path(os.path.realpath(".")).is_relative_to(place):
        raise StorageError(f"{place} is the folder you are in, and is put in place whole; name one "
                           "in it, such as ./model")
    names = set(os.listdir(place))
    if not names:
        return
    foreign = sorted(names - set(known))
    if foreign or not is_ours(names):
        told = ", ".join((foreign or sorted(names))[:SHOWN])
        more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
        raise StorageError(f"{place} holds {told}{more} and is no exported model; name another "
                           "folder, such as one in it")
    if not replaces:
        raise StorageError(f"{place} holds an exported model already; --force replaces it, or name "
                           "another folder")


def _only_writer(part: Path) -> int:
    """The folder, open and locked for as long as it is."""
    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise FolderBusy(f"another process is writing {part}; wait for it, or name another folder"
                         ) from error
    return handle


def _empty(folder: Path, known: Collection[str]) -> None:
    """Delete what an export wrote in a folder; StorageError where more is in it."""
    for path in folder.iterdir():
        if path.name not in known or path.is_dir():
            raise StorageError(f"{folder} holds {path.name}, which no export wrote; move it away")
        path.unlink()


def _put(part: Path, place: Path, old: Path, known: Collection[str]) -> None:
    """Rename the new folder into its place; the old one goes when that is done."""
    if old.is_dir():  # of a process that ended just before it was done with it
        _empty(old, known)
        old.rmdir()
    if place.is_dir() and any(place.iterdir()):
        os.rename(place, old)
    try:
        os.rename(part, place)
    except OSError:
        if old.is_dir():
            os.rename(old, place)
        raise
    sync_folder(place.parent)
    if old.is_dir():
        _empty(old, known)
        old.rmdir()
