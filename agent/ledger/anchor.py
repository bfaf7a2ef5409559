"""Whether a ledger's path still leads to the file that was opened, and what it holds kept apart.

A connection goes on with the file it opened, whatever becomes of its name: what it writes after
`git stash` or `rm` reaches nobody, and its -wal would lie beside another ledger and spoil that.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from engine.errors import LedgerSwapped
from engine.files import identity, storage_in_words, sync_folder

PARTS = ("", "-wal", "-shm")  # of an open ledger


class Anchor:
    """The files of a ledger as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._parts = self._now()
        self.is_adrift = False  # the connection goes on with a file that has no name any more

    def _now(self) -> list[tuple[int, int] | None]:
        return [identity(f"{self.path}{part}") for part in PARTS]

    def require(self) -> None:
        """LedgerSwapped where another file, or none, is at the path of one of them."""
        if self.is_adrift or (now := self._now()) == self._parts:
            return
        part = next(part for part, was, is_ in zip(PARTS, self._parts, now, strict=True)
                    if was != is_)
        what = "replaced" if os.path.lexists(f"{self.path}{part}") else "removed"
        raise LedgerSwapped(f"{self.path}{part} was {what} while it was in use")

    @property
    def is_named(self) -> bool:
        """Whether the ledger itself is still at its path, and only what lies beside it is not."""
        return self._now()[0] == self._parts[0]

    def is_at(self, path: Path) -> bool:
        """Whether the file that was opened is there now."""
        return identity(path) == self._parts[0]

    def take_away(self) -> None:
        """Remove our -wal and -shm from beside a file that is not ours."""
        for part, was, now in zip(PARTS, self._parts, self._now(), strict=True):
            if part and now is not None and now == was:
                with suppress(OSError):
                    os.unlink(f"{self.path}{part}")


def keep(connection: sqlite3.Connection, path: Path) -> None:
    """All that a connection sees as one file of its own, whole or not at all.

    StorageError or sqlite3.Error where there is no room for it.
    """
    part = path.with_name(f"{path.name}.part")
    with storage_in_words(path, part, 0):
        part.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(part)) as copy:
                connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE").fetchone()  # needs nothing beside it
        except sqlite3.Error:
            part.unlink(missing_ok=True)
            raise
        os.replace(part, path)
        sync_folder(path.parent)


def set_aside_foreign(path: Path) -> Path | None:
    """Where the log of another ledger went that lay beside this one; None where none did.

    An agent was killed, and then a backup or another commit took its ledger's place. Told by
    SQLite's own check, which fails with the log and passes without.
    """
    log = Path(f"{path}-wal")
    try:
        stat = log.stat()
    except OSError:
        return None
    if not stat.st_size or _is_sound(path, "mode=ro") or not _is_sound(
            path, "mode=ro&immutable=1"):
        return None
    aside = path.with_name(f"{path.stem}-foreign-{stat.st_mtime_ns}.wal")
    os.replace(log, aside)
    Path(f"{path}-shm").unlink(missing_ok=True)
    return aside


def _is_sound(path: Path, mode: str) -> bool:
    """Whether nothing is wrong in a file as it is read in that way; nothing is written."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as db:
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        return code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
