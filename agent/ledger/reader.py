"""The ledger as those open it who only look: SQLite alone.

sqlite-utils, which writing goes through, takes longer to import than a look takes.
"""

import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.ledger import queries
from agent.ledger.columns import lacking
from agent.ledger.queries import Queries
from agent.ledger.refusals import in_words
from agent.ledger.sound import misfits
from engine.errors import LedgerError

# Names of the steps in agent/ledger/migrations.py, in their order; a test compares them.
STEPS = ("m001_tables", "m002_indexes_and_triggers", "m003_experiments_view", "m004_replicas",
         "m005_shards_and_rung", "m006_blocks", "m007_predictions", "m008_withdrawn",
         "m009_layers", "m010_grid_cells", "m011_remarks", "m012_measures", "m013_harvest",
         "m014_kernels", "m015_homes")
N_NEEDED = 5  # steps; others add tables and columns, which who looks takes for empty, or words
MAX_FAULTS = 5  # a damaged file has thousands; the first ones tell enough


class Reader(Queries):
    """An open ledger that cannot be written; a context manager that closes it."""

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The ledger at path as it is.
        LedgerError if it is missing, locked, damaged, of an older or newer program, not a ledger,
        or may not be opened.
        """
        path = Path(path)
        with in_words(path):
            return cls(path, connect_reader(path))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def glance(path: Path) -> Reader:
    """The ledger for a short look that leaves nothing behind, for who only asks what would be.

    SQLite makes files beside a ledger that it reads, and leaves them there. Where all that was
    written is in the file, it is read as it stands.
    """
    with in_words(path):
        return Reader(path, connect_reader(path, leaves_nothing=True))


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection without transactions of its own: those are begun by hand."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=queries.BUSY_S,
        isolation_level=None, check_same_thread=False)


def connect_reader(path: Path, *, leaves_nothing: bool = False) -> sqlite3.Connection:
    """A checked connection that cannot write; it sees each commit of a writer at once."""
    if not os.path.exists(path):
        raise LedgerError(f"there is no ledger at {path}; `agent run` starts one, --home names "
                          "another")
    if leaves_nothing and not _has_log(path):
        connection = connect(path, "mode=ro&immutable=1")
    else:
        connection = _connect_mutable(path)
    try:
        check_schema(path, connection, is_reader=True)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_log(path: Path) -> bool:
    """Whether something stands in the write-ahead log that is not in the file yet."""
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except FileNotFoundError:
        return False


def _connect_mutable(path: Path) -> sqlite3.Connection:
    """A connection to a file that others may write meanwhile, where the folder allows it.

    A write-ahead ledger needs its -wal and -shm files. Where they are absent and a write-protected
    folder keeps SQLite from making them, no writer is at work and the file is read as it stands.
    """
    connection = connect(path, "mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        wants_to_write = error.sqlite_errorcode & 0xFF in (
            sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
        if not wants_to_write or os.path.exists(f"{path}-wal"):
            raise
        return connect(path, "mode=ro&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def check_schema(path: Path, connection: sqlite3.Connection, *, is_reader: bool) -> None:
    """LedgerError where the file is no ledger or not one that this program can use as it is."""
    tables = {row[0] for row in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'")}
    taken = [] if "_sqlite_migrations" not in tables else [row[0] for row in connection.execute(
        "SELECT name FROM _sqlite_migrations WHERE migration_set = 'ledger'")]
    if not taken and tables:
        raise LedgerError(f"{path} is a database of something else; use another --home")
    if set(taken) - set(STEPS):
        raise LedgerError(f"{path} was written by a newer version of this program "
                          f"(schema {len(taken)}, known here {len(STEPS)}); update the program")
    if is_reader and len(taken) < N_NEEDED:
        raise LedgerError(f"{path} has schema {len(taken)} of {len(STEPS)}; "
                          "`agent run` brings it up to date")
    if is_reader:
        check_columns(path, connection, to_write=False)


def check_columns(path: Path, connection: sqlite3.Connection, *, to_write: bool) -> None:
    """LedgerError where columns of this program were taken away or renamed by hand."""
    if gone := lacking(connection, to_write=to_write):
        more = f" and {len(gone) - MAX_FAULTS} more" if len(gone) > MAX_FAULTS else ""
        table, _, column = gone[0].partition(".")
        raise LedgerError(
            f"{path} lacks {', '.join(gone[:MAX_FAULTS])}{more}, changed by hand; name it as it "
            f"was, such as ALTER TABLE {table} RENAME COLUMN … TO {column}, or use another --home")


def faults(path: Path) -> list[str]:
    """What SQLite's own checks find wrong in a ledger of this or an older schema, the first few.

    LedgerError if the file cannot be read or is no ledger this program knows.
    """
    with in_words(path):
        db = _connect_mutable(path)
        try:
            check_schema(path, db, is_reader=False)
            damage = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({MAX_FAULTS})")]
            strange = misfits(db, MAX_FAULTS)
        finally:
            db.close()
    return [line for line in damage if line != "ok"] + strange


def damage(path: Path) -> str | None:
    """One sentence where a ledger is damaged, as a command that broke on it asks; else None."""
    if not os.path.isfile(path):
        return None
    try:
        found = faults(path)
    except LedgerError as error:
        return str(error)
    except sqlite3.Error as error:
        found = [str(error)]
    return f"{path} is damaged: {found[0]}; `agent doctor` says what helps" if found else None
