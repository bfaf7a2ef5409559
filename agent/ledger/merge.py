"""Other ledgers taken into one: what other devices did, or what a swapped night had learnt.

The outcome is that of the rows alone: whichever ledger takes in which, in whatever order, they
end as the same rows, and taken in twice they change nothing.

- A run is the same in every ledger by its uid; of two accounts the one that came further counts.
- A text is the same by its hashes; a study by its home, start and text. Two homes that studied the
  same keep a study each, since pairs are of one home.
- Verdicts and events are all kept, each with the home it is of.
- A person's own columns and tables stay in the ledger they are in.

agent/ledger/merge_order.py says in what order rows stand and what runs are called.
"""

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from agent.ledger.homes import name_of, this_home
from agent.ledger.ledger import Ledger
from agent.ledger.merge_rows import RULES, Side, load
from agent.ledger.merge_union import Conflict, unite
from agent.ledger.merge_write import Written, carry
from agent.ledger.migrations import migrations
from agent.ledger.published import is_ledger
from agent.ledger.queries import Queries
from agent.ledger.reader import check_schema, connect, faults
from agent.ledger.refusals import in_words
from engine.errors import LedgerError, UserError
from engine.files import identity

Columns = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came in of one ledger."""

    path: str
    devices: tuple[str, ...]  # that its own runs were made on
    new: dict[str, int]  # rows by table
    n_renewed: int  # runs that were known, of which it knew more
    renamed: dict[str, str]  # labels there, and here where they are others
    relabelled: dict[str, str]  # labels here, before and now where they are others
    conflicts: tuple[Conflict, ...]  # left alone
    own: tuple[str, ...]  # columns and tables of a person's own, which stay there
    n_left: int = 0  # rows that stay there, since what they point to was deleted

    @property
    def n_runs(self) -> int:
        return self.new["runs"]


def take_in(ledger: Ledger, others: Sequence[Path]) -> list[Taken]:
    """Take other ledgers in, all of them or nothing.

    LedgerError or UserError where one is missing, no ledger, damaged, locked, of a newer program
    or the ledger itself; nothing has changed then. The others are only read: one of an older schema
    is brought up to date as a copy.
    """
    for path in others:
        require_other(path, ledger.path)
    columns = columns_of_program()
    with tempfile.TemporaryDirectory(prefix="phi-auto-") as folder:
        copies = [Path(folder) / f"{i}.db" for i in range(len(others))]
        own = [copied(path, copy, columns) for path, copy in zip(others, copies, strict=True)]
        with _by_numbers_alone(ledger), ledger.deciding():
            return [_take(ledger, path, copy, columns, extra)
                    for path, copy, extra in zip(others, copies, own, strict=True)]


@contextmanager
def _by_numbers_alone(ledger: Ledger) -> Iterator[None]:
    """Rows are numbered anew without SQLite following references by itself.

    It would trip over rows that somebody deleted, and do twice what a person's own table cascades.
    """
    with ledger._lock:
        ledger._db.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            ledger._db.execute("PRAGMA foreign_keys = ON")


def rehearse(ours: Queries | None, others: Sequence[Path]) -> list[Taken]:
    """What `take_in` would do, found out on a copy: nothing of ours is written.

    ours  None: there is no ledger yet
    """
    for path in others:
        require_other(path, ours.path if ours else Path())
    with tempfile.TemporaryDirectory(prefix="phi-auto-") as folder:
        copy = Path(folder) / "ledger.db"
        if ours:
            with closing(sqlite3.connect(copy)) as target:
                ours.copy_to(target)
        with _called(copy, ours.path if ours else copy), Ledger.open(copy) as ledger:
            return take_in(ledger, others)


def require_other(path: Path, ledger: Path) -> None:
    """Refuse what is no ledger, and the ledger itself."""
    if identity(path) is None:
        raise UserError(f"there is no ledger at {path}; name the ledger.db of another home")
    if identity(path) == identity(ledger):  # to open it once more would end SQLite's locks
        raise UserError(f"{path} is the ledger of this --home itself; name another one")
    if not is_ledger(path):
        raise UserError(f"{path} is no ledger; name the ledger.db of another home (`agent import` "
                        "takes a published table)")


def columns_of_program() -> dict[str, tuple[str, ...]]:
    """The columns of each table that this program makes."""
    with Database(memory=True, execute_plugins=False) as empty:
        migrations.apply(empty)
        return {name: tuple(empty.table(name).columns_dict) for name in RULES
                if name in empty.table_names()}


def copied(path: Path, copy: Path, columns: Columns) -> tuple[str, ...]:
    """A sound copy of a ledger, brought to the newest schema; what in it is a person's own."""
    with in_words(path), closing(connect(path, "mode=ro")) as source:
        check_schema(path, source, is_reader=False)
        with closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        own = _own(source, columns)
    with _called(copy, path), Ledger.open(copy):
        found = faults(copy)
    if found:
        raise LedgerError(f"{path} is damaged: {found[0]}; nothing of it was taken in, and "
                          f"`sqlite3 {path} .recover` prints what can still be read")
    return own


def _own(db: sqlite3.Connection, columns: Columns) -> tuple[str, ...]:
    """Tables and columns that this program did not make."""
    names = [row[0] for row in db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' ORDER BY name")]
    found = [f"table {name}" for name in names if name not in columns]
    for table in (name for name in names if name in columns):
        found += [f"column {table}.{row[1]}" for row in db.execute(f"PRAGMA table_xinfo({table})")
                  if row[1] not in columns[table]]
    return tuple(found)


@contextmanager
def _called(copy: Path, path: Path) -> Iterator[None]:
    """Errors of a copy as those of the file it is of."""
    try:
        yield
    except UserError as error:
        if str(copy) not in str(error):
            raise
        raise type(error)(str(error).replace(str(copy), str(path))) from error


def _take(ledger: Ledger, path: Path, copy: Path, columns: Columns,
          own: tuple[str, ...]) -> Taken:
    """One ledger, inside a transaction."""
    with _called(copy, path), Ledger.open(copy) as other:
        ours, theirs = (load(one, this_home(one) or name_of(one._connection), columns)
                        for one in (ledger, other))
        found = unite(ours, theirs)
        written = Written(found)
        new = {table: len(keys) for table, keys in written.new.items()}
        new |= {"remarks": len(written.remarks)}
        if written.is_news:
            n_gone = len(ledger.rows("PRAGMA foreign_key_check"))
            written.write(ledger._connection)
            new |= carry(theirs, other._connection, written, ledger._connection, found.told,
                         columns)
            if len(ledger.rows("PRAGMA foreign_key_check")) > n_gone:
                raise LedgerError(f"{path} cannot be taken in: a row would refer to none; nothing "
                                  "of it was")
    n_renewed = sum(found.told.values()) - new["runs"]
    return Taken(
        str(path), _devices(theirs), new, n_renewed, _others(theirs, written),
        _others(ours, written), tuple(found.conflicts), own, found.n_left)


def _devices(side: Side) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run["device"] for run in side["runs"].values()
                               if run["device"] and run["home"] == side.home))


def _others(side: Side, written: Written) -> dict[str, str]:
    """Labels of a file's runs which are others now."""
    found = side.found["runs"]
    return {found[uid]["label"]: written.labels[uid] for uid in found
            if uid in written.labels and found[uid]["label"] != written.labels[uid]}

