"""Whether a ledger's path still leads to the file that was opened, and what it holds kept apart.

A connection goes on with the file it opened, whatever becomes of its name: what it writes after
`git stash` or `rm` reaches nobody, and its -wal would lie beside another ledger and spoil that.
"""

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from engine.errors import LedgerBusy, LedgerSwapped
from engine.files import identity, storage_in_words, sync_folder

PARTS = ("", "-wal", "-shm")  # of an open ledger


class Anchor:
    """The files of a ledger as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._parts = self._now()
        self._shape = self._seen = _shape(self.path)
        self.is_adrift = False  # the connection goes on with a file that has no name any more

    def _now(self) -> list[tuple[int, int] | None]:
        return [identity(f"{self.path}{part}") for part in PARTS]

    def require(self) -> None:
        """LedgerSwapped where another file, or none, is at the path of one of them, or another text
        in the same file; LedgerBusy while another program writes that.
        """
        if self.is_adrift:
            return
        if (now := self._now()) == self._parts:
            self._require_own_text()
            return
        part = next(part for part, was, is_ in zip(PARTS, self._parts, now, strict=True)
                    if was != is_)
        what = "replaced" if os.path.lexists(f"{self.path}{part}") else "removed"
        raise LedgerSwapped(f"{self.path}{part} was {what} while it was in use")

    def written(self) -> None:
        """What lies in the file now is ours: call when a transaction has ended."""
        self._shape = self._seen = _shape(self.path)

    def _require_own_text(self) -> None:
        """`cp backup ledger.db` leaves the file and puts another text into it."""
        now = _shape(self.path)
        if now == self._shape:
            return
        if now != self._seen:  # wait until two looks see the same
            self._seen = now
            raise LedgerBusy(f"{self.path} is being written by another program; end it or wait")
        if _is_sound(self.path, "mode=ro"):
            self._shape = now  # that program wrote as SQLite does
            return
        # The text gets a file of its own: to this one SQLite would add our log at its end.
        own = self.path.with_name(f"{self.path.name}.part")
        shutil.copyfile(self.path, own)
        os.replace(own, self.path)
        raise LedgerSwapped(f"{self.path} was overwritten while it was in use")

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


def _shape(path: Path) -> tuple[int, int] | None:
    """When a file was last written, and its size."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def keep(connection: sqlite3.Connection, path: Path) -> None:
    """All that a connection sees as one file of its own, whole or not at all.

    StorageError or sqlite3.Error where there is no room for it, or parts of it are gone.
    """
    part = path.with_name(f"{path.name}.part")
    with storage_in_words(path, part, 0):
        part.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(part)) as copy:
                connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE").fetchone()  # needs nothing beside it
                if copy.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                    raise sqlite3.DatabaseError("the copy is not whole")
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
