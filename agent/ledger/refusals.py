"""What SQLite refuses, as one sentence that names the file and the remedy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import LedgerBusy, LedgerError, StorageError, UserError


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn what a person can mend about the file into one sentence; leave bugs as they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        sentence = None if code is None else _SENTENCES.get(code, _SENTENCES.get(code & 0xFF))
        if sentence is None or (code == sqlite3.SQLITE_ERROR and "no such" not in str(error)):
            raise
        kind, text = sentence
        raise kind(text.format(path=path, error=error)) from error
    except UnicodeDecodeError as error:  # also of SQLite's own complaint about a spoilt schema
        raise LedgerError(_CORRUPT[1].format(path=path, error=error)) from error


_LOCKED = (LedgerBusy, "another program keeps {path} locked; end it or wait")
_CLOSED = (LedgerError, "{path} cannot be opened; it must be a file in a folder, and both must "
                        "be yours to read and write")
_FIXED = (LedgerError, "{path} cannot be written ({error}); it was opened for reading, or the "
                       "file or its folder is write-protected")
_DISK = (StorageError, "the disk under {path} is full or failing ({error}); nothing committed "
                       "is lost: free some space and start again")
_CORRUPT = (LedgerError, "{path} is damaged ({error}); `sqlite3 {path} .recover` prints what can "
                         "still be read")
_SENTENCES: dict[int, tuple[type[UserError], str]] = {  # by the full or the primary code
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CANTOPEN: _CLOSED,
    sqlite3.SQLITE_PERM: _CLOSED,
    sqlite3.SQLITE_READONLY: _FIXED,
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_ERROR: (
        LedgerError, "{path} is not as this program made it ({error}): a table, column or trigger "
                     "was changed by hand; change it back or use another --home"),
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: (
        LedgerError, "a trigger in {path} keeps this program from writing ({error}); "
                     "`sqlite3 {path} .schema` shows it, DROP TRIGGER takes it away"),
    sqlite3.SQLITE_NOTADB: (
        LedgerError, "{path} is not a SQLite database; move it away or use another --home"),
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
}
