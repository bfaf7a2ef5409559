"""Merged rows on their way into the file: numbered anew where they stand in another order.

A number of a row is where it stands. What points to it follows, also from a person's own tables
where those say so by REFERENCES. Triggers rest while rows are numbered, and see all that comes in.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.ledger.merge_order import in_order, labels
from agent.ledger.merge_rows import (
    BY_LABEL,
    GONE,
    IN_DATA,
    LABEL_OF,
    NEWEST,
    NUMBERED,
    OF_RUN,
    POINTERS,
    Row,
    Side,
)
from agent.ledger.merge_union import Union
from agent.ledger.records import to_columns


class Written:
    """What a union is as rows of our file, and how it gets there."""

    def __init__(self, found: Union) -> None:
        self._union, ours, theirs = found, found.ours, found.theirs
        self.labels = labels(found.rows["runs"])
        self.keys = {table: in_order(table, ours[table], theirs[table], found.rows)
                     for table in NUMBERED}
        self._ids = {table: {key: i for i, key in enumerate(keys, 1)}
                     for table, keys in self.keys.items()}
        for table in NUMBERED:  # rows that are gone keep a number of their own
            wanted = {int(key.removeprefix(GONE)) for other, names in POINTERS.items()
                      for name, to in names.items() if to == table
                      for row in found.rows[other].values()
                      if str(key := row[name] or "").startswith(GONE)}
            free = len(self.keys[table]) + 1
            self._ids[table] |= {f"{GONE}{number}": free + i
                                 for i, number in enumerate(sorted(wanted))}
        self.rows = {table: {key: self._as_columns(table, key) for key in keys}
                     for table, keys in self.keys.items()}
        self.new = {table: [key for key in keys if key not in ours.ids[table]]
                    for table, keys in self.keys.items()}
        self.remarks = self._later_remarks()
        # A home's name alone is no news.
        self.is_news = bool(any(self.new.values()) or self.remarks or any(
            self._changed(table, key) - {"home"} for table in NUMBERED
            for key in self.keys[table] if key in ours.ids[table]))

    # --- what each row is --------------------------------------------------------------------

    def _as_columns(self, table: str, key: str) -> Row:
        """A row with numbers for keys."""
        row = dict(self._union.rows[table][key])
        for name, other in POINTERS.get(table, {}).items():
            row[name] = None if row[name] is None else self._ids[other].get(row[name])
        if table == "runs":
            row["label"] = self.labels[key]
        if table == "decisions" and isinstance(row["evidence"], dict):
            uid = str(row["evidence"]["with"]).removeprefix(LABEL_OF)
            row["evidence"] = row["evidence"] | {"with": self.labels.get(uid, uid)}
        if table == "events" and isinstance(row["data"], dict):
            row["data"] = {name: self._told(name, value) for name, value in row["data"].items()}
        return to_columns({"id": self._ids[table][key]} | row)

    def _told(self, name: str, value: Any) -> Any:
        """What an event holds, with numbers and labels for keys."""
        table = "calibrations" if name == NEWEST else IN_DATA.get(name)
        if table and isinstance(value, str):
            return self._ids[table].get(value, 0)
        if name == BY_LABEL and isinstance(value, dict):
            return {self.labels.get(key.removeprefix(LABEL_OF), key.removeprefix(LABEL_OF)): one
                    for key, one in value.items()}
        return value

    def _changed(self, table: str, key: str) -> set[str]:
        """The columns in which a row of ours is another now."""
        before, now = self._union.ours.found[table][key], self.rows[table][key]
        return {name for name in now if now[name] != before[name]}

    def _later_remarks(self) -> dict[str, Row]:
        """Of two words on a run the later one, wherever it was written."""
        def turn(row: Row) -> tuple[Any, ...]:
            return row["changed_at"], row["is_starred"], row["note"] or ""

        known = self._union.ours.remarks
        return {uid: row for uid, row in self._union.theirs.remarks.items()
                if uid in self._union.rows["runs"]
                and (uid not in known or turn(row) > turn(known[uid]))}

    # --- into the file -----------------------------------------------------------------------

    def write(self, db: sqlite3.Connection) -> None:
        """All of it, in the transaction that is under way; what hangs on runs is not among it."""
        self._renumber(db)
        for table in NUMBERED:
            for key in self.keys[table]:
                row = self.rows[table][key]
                if key not in self._union.ours.ids[table]:
                    _insert(db, table, [row])
        for uid, row in self.remarks.items():
            _insert(db, "remarks", [{"run_id": self.run_id(uid)} | row], "OR REPLACE")

    def run_id(self, uid: str) -> int:
        return self._ids["runs"][uid]

    def _renumber(self, db: sqlite3.Connection) -> None:
        """Ids, labels and what names them, of the rows that are there."""
        resting = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' "
                             "AND lower(tbl_name) IN (SELECT lower(name) FROM sqlite_master "
                             "WHERE type = 'table')").fetchall()
        for name, _ in resting:
            db.execute(f'DROP TRIGGER "{name}"')
        for table in NUMBERED:
            self._move(db, table)
        changed = {table: {key: names for key in self._union.ours.ids[table]
                           if key in self.rows[table]
                           and (names := self._changed(table, key) - {"id"})}
                   for table in NUMBERED}
        for uid, names in changed["runs"].items():  # no label twice, also on the way
            if "label" in names:
                db.execute("UPDATE runs SET label = '~' || uid WHERE id = ?", [self.run_id(uid)])
        for table, rows in changed.items():
            for key, names in rows.items():
                row = self.rows[table][key]
                told = ", ".join(f"{name} = :{name}" for name in sorted(names))
                db.execute(f"UPDATE {table} SET {told} WHERE id = :id", row)
        for _, sql in resting:
            db.execute(sql)

    def _move(self, db: sqlite3.Connection, table: str) -> None:
        """Give a table's rows their numbers, and all that points to them."""
        ids = self._ids[table]
        known = dict(self._union.ours.ids[table])
        known |= {key: int(key.removeprefix(GONE)) for key in ids if key.startswith(GONE)}
        moved = [(old, ids[key]) for key, old in known.items() if ids.get(key, old) != old]
        if not moved:
            return
        db.execute("CREATE TEMP TABLE moved (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)")
        db.executemany("INSERT INTO moved VALUES (?, ?)", moved)
        for other, name in [(table, "id"), *pointing_to(db, table)]:
            # By way of the negative numbers, so that no two rows ever share one.
            db.execute(f'UPDATE "{other}" SET "{name}" = (SELECT -new FROM moved WHERE old = '
                       f'"{other}"."{name}") WHERE "{name}" IN (SELECT old FROM moved)')
            db.execute(f'UPDATE "{other}" SET "{name}" = -"{name}" WHERE "{name}" < 0')
        db.execute("DROP TABLE moved")


def pointing_to(db: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    """Columns that point to the rows of a table, a person's own among them."""
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [(name, row[3]) for name in names
            for row in db.execute(f'PRAGMA foreign_key_list("{name}")')
            if row[2].lower() == table and row[4] in (None, "id")]


def carry(theirs: Side, their_db: sqlite3.Connection, written: Written, db: sqlite3.Connection,
          told: Mapping[str, bool], columns: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """What hangs on runs, with those of which the other ledger tells more; how many rows came in.

    told  whether all that hung on a run makes way for it, or only what is missing is added
    """
    came: dict[str, int] = {}
    for table in OF_RUN:
        names = list(columns[table])
        n_here, n_there = _counts(db, table), _counts(their_db, table)
        before = db.total_changes
        n_gone = 0
        for uid, is_all in told.items():
            there, here = theirs.ids["runs"][uid], written.run_id(uid)
            if is_all and n_here.get(here):
                n_gone += db.execute(f"DELETE FROM {table} WHERE run_id = ?", [here]).rowcount
            elif not is_all and n_there.get(there, 0) <= n_here.get(here, 0):
                continue
            if there in n_there:
                rows = their_db.execute(
                    f"SELECT {', '.join(names)} FROM {table} WHERE run_id = ?", [there])
                _insert(db, table, [dict(zip(names, row, strict=True)) | {"run_id": here}
                                    for row in rows], "OR IGNORE")
        came[table] = max(0, db.total_changes - before - 2 * n_gone)
    return came


def _counts(db: sqlite3.Connection, table: str) -> dict[int, int]:
    return dict(db.execute(f"SELECT run_id, count(*) FROM {table} GROUP BY run_id").fetchall())


def _insert(db: sqlite3.Connection, table: str, rows: Sequence[Row], how: str = "") -> None:
    if rows:
        names = list(rows[0])
        db.executemany(f"INSERT {how} INTO {table} ({', '.join(names)}) VALUES "
                       f"({', '.join(':' + name for name in names)})", rows)
