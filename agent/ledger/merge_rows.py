"""A ledger's rows as a merge sees them: by what they are, not by the numbers one file gave them.

A run is its uid, a text its hashes; a study, a verdict and an event are what they say and the home
they are of. What points to a row points to its key.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.ledger.queries import Queries

Row = dict[str, Any]
Rows = dict[str, Row]  # by key, in the order of the file

# How the rows of every table meet; a test asks that none is left out.
RULES = {
    "corpora": "by hash: one row, the oldest", "grids": "by what they say",
    "calibrations": "by home, start and text: the row last worked on",
    "runs": "by uid: the one that came further", "decisions": "all", "events": "all, by home",
    "remarks": "the last word",
    **dict.fromkeys(("metrics", "blocks", "predictions", "layers", "traces", "measures",
                     "grid_cells"), "of its run"),
    "this_home": "stays", "_sqlite_migrations": "stays"}
OF_RUN = tuple(table for table, rule in RULES.items() if rule == "of its run")
# Tables whose rows are numbered, in an order in which none points to a later one.
NUMBERED = ("corpora", "grids", "calibrations", "runs", "decisions", "events")
POINTERS: dict[str, dict[str, str]] = {
    "calibrations": {"corpus_id": "corpora"},
    "runs": {"parent_id": "runs", "grid_id": "grids", "calibration_id": "calibrations",
             "corpus_id": "corpora"},
    "decisions": {"run_id": "runs", "against_id": "runs"}, "events": {"run_id": "runs"}}
STAMPS = {"corpora": "created_at", "grids": "created_at", "calibrations": "created_at",
          "runs": "created_at", "decisions": "decided_at", "events": "at"}
CORPUS = ("text_sha256", "vocab_size", "tokenizer_sha256")
# What an event's data calls the number of a row, and of which table.
IN_DATA = {"study": "calibrations", "calibration_id": "calibrations", "grid_id": "grids"}
NEWEST = "newest_study"  # the same of the newest one then
BY_LABEL = "run_s"  # what an event's data has by labels
GONE = "gone:"  # how the key of a row begins that was deleted by hand
LABEL_OF = "label of "  # how evidence names a run
# What two files may tell differently of one run that is the same.
OF_A_FILE = {"label", "home", "parent_id", "grid_id", "calibration_id", "corpus_id"}
DONE = ("finished", "pruned", "diverged")  # states of a run that came to a result


@dataclass
class Side:
    """All of a ledger but what lies beside its runs; pointers are keys."""

    home: str
    tables: dict[str, Rows] = field(default_factory=lambda: {name: {} for name in NUMBERED})
    ids: dict[str, dict[str, int]] = field(default_factory=dict)  # by table and key
    remarks: Rows = field(default_factory=dict)  # by run
    versions: dict[str, str] = field(default_factory=dict)  # when each study was last worked on
    found: dict[str, Rows] = field(default_factory=dict)  # the rows as they stand in the file

    def __getitem__(self, table: str) -> Rows:
        return self.tables[table]

    def study_runs(self) -> dict[str, set[str]]:
        """The runs of each study."""
        found: dict[str, set[str]] = {}
        for uid, run in self["runs"].items():
            found.setdefault(run["calibration_id"], set()).add(uid)
        return found


def text(*parts: Any) -> str:
    return json.dumps(parts, sort_keys=True, ensure_ascii=False, default=repr)


def progress(run: Row) -> tuple[Any, ...]:
    """How far a run has come: a result is beyond an end without one, and that beyond waiting."""
    rank = 2 if run["state"] in DONE else 0 if run["state"] in ("queued", "running") else 1
    if rank:
        return (rank,)
    return (rank, run["attempts"] or 0, run["steps"] or 0, run["heartbeat_at"] or "",
            run["state"], text({name: run[name] for name in run if name not in OF_A_FILE}))


def load(ledger: Queries, home: str, columns: Mapping[str, Iterable[str]]) -> Side:
    """A ledger of the newest schema.

    home     what its rows without a home are of
    columns  of this program, by table: a person's own stay where they are
    """
    return _Loader(ledger, home, columns).side


class _Loader:
    """Reads one ledger, table by table, so that a row's key is there before what points to it."""

    def __init__(self, ledger: Queries, home: str,
                 columns: Mapping[str, Iterable[str]]) -> None:
        self.side, self._ledger, self._columns = Side(home), ledger, columns
        self._keys: dict[str, dict[int, str]] = {name: {} for name in NUMBERED}  # by id
        for table in NUMBERED:
            self._read(table)
        names = ", ".join(columns["remarks"])
        for row in ledger.rows(f"SELECT {names} FROM remarks ORDER BY run_id"):
            key = self._key("runs", row.pop("run_id"))
            self.side.remarks[str(key)] = row
        for run in self.side["runs"].values():
            if study := run["calibration_id"]:
                stamps = (run["created_at"], run["started_at"] or "", run["ended_at"] or "",
                          run["heartbeat_at"] or "")
                self.side.versions[study] = max(self.side.versions.get(study, ""), *stamps)
        self._name_runs()

    def _read(self, table: str) -> None:
        names = ", ".join(self._columns[table])
        rows = self._ledger.rows(f"SELECT {names} FROM {table} ORDER BY id")
        found, keys = self.side[table], self._keys[table]
        self.side.found[table] = {}
        if table == "runs":  # one may depart from a later one
            keys |= {row["id"]: row["uid"] for row in rows}
        for as_found in rows:
            number, row = as_found["id"], self._plain(table, as_found)
            key = known = _key_of(table, row)
            n = 1
            while key in found and table != "runs":  # said twice
                n += 1
                key = f"{known} {n}"
            found[key], keys[number] = row, key
            self.side.found[table][key] = as_found
        self.side.ids[table] = {key: number for number, key in keys.items()}

    def _plain(self, table: str, row: Row) -> Row:
        """A row with keys for numbers, without its own, and with its home."""
        row = {name: value for name, value in row.items() if name != "id"}
        for name, other in POINTERS.get(table, {}).items():
            row[name] = self._key(other, row[name])
        if "home" in row and row.get("source") != "published":
            row["home"] = row["home"] or self.side.home
        if table == "events":
            row["data"] = self._data(row["data"])
        return row

    def _key(self, table: str, number: int | None) -> str | None:
        return None if number is None else self._keys[table].get(number, f"{GONE}{number}")

    def _data(self, told: str | None) -> Any:
        """What an event holds, its numbers of studies as keys; as it is where it is no JSON."""
        data = parsed(told)
        if not isinstance(data, dict):
            return told
        for name, table in IN_DATA.items():
            if isinstance(data.get(name), int):
                data[name] = self._keys[table].get(data[name], data[name])
        if isinstance(by_label := data.get(BY_LABEL), dict):
            labels = {run["label"]: uid for uid, run in self.side["runs"].items()}
            data[BY_LABEL] = {LABEL_OF + labels[label] if label in labels else label: value
                              for label, value in by_label.items()}
        known = self._keys["calibrations"]
        if isinstance(newest := data.get(NEWEST), int):
            data[NEWEST] = next((key for number, key in sorted(known.items(), reverse=True)
                                 if number <= newest), 0)
        return data

    def _name_runs(self) -> None:
        """Evidence that names a run by its label names it by its uid."""
        labels = {run["label"]: uid for uid, run in self.side["runs"].items()}
        for row in self.side["decisions"].values():
            evidence = parsed(row["evidence"])
            if isinstance(evidence, dict) and (uid := labels.get(str(evidence.get("with")))):
                row["evidence"] = evidence | {"with": LABEL_OF + uid}
        renamed, ids = {}, {}
        for key, row in self.side["decisions"].items():
            fresh = known = _key_of("decisions", row)
            n = 1
            while fresh in renamed:
                n += 1
                fresh = f"{known} {n}"
            renamed[fresh], ids[fresh] = row, self.side.ids["decisions"][key]
            self.side.found["decisions"][fresh] = self.side.found["decisions"].pop(key)
        self.side.tables["decisions"], self.side.ids["decisions"] = renamed, ids


def parsed(told: Any) -> Any:
    """JSON, or what is no JSON as it is."""
    try:
        return json.loads(told) if isinstance(told, str) else told
    except (ValueError, RecursionError):
        return told


def _key_of(table: str, row: Row) -> str:
    if table == "runs":
        return str(row["uid"])
    if table == "corpora":
        return text(*(row[name] for name in CORPUS))
    if table == "calibrations":
        return text(row["home"], row["created_at"], row["corpus_id"], row["config"])
    return text(*row.values())


def home_of(table: str, row: Row, side: Mapping[str, Rows]) -> str:
    """The home a row is of; empty for what is of none."""
    if table == "decisions":
        row = side["runs"].get(row["run_id"], {})
    return row.get("home") or ""
