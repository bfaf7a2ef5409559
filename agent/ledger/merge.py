"""One ledger taken into another: what a swapped night had learnt, or what another device did.

A run is the same in every ledger by its uid. Ids and, where they are taken, labels become those
of the ledger that takes it in; what points to a run follows it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.ledger.fresh import NAMED_BY, fresh_id
from agent.ledger.records import ENDED
from engine.errors import LedgerError

if TYPE_CHECKING:
    from agent.ledger.ledger import Ledger
    from agent.ledger.reader import Reader

Row = dict[str, Any]
WITHOUT_RESULT = ("killed", "failed", "lost")  # states of an attempt that may be repeated
NOISE = ("n", "sigma_nats", "sigma_bpb", "mean_bpb")  # what a study learns from its baselines


@dataclass(frozen=True, slots=True)
class Taken:
    """What came in."""

    n_new: int  # runs
    n_renewed: int  # runs that were known, of which the other ledger knew more
    n_decisions: int

    def __str__(self) -> str:
        renewed = f" and news of {self.n_renewed}" if self.n_renewed else ""
        return (f"{self.n_new} {'run' if self.n_new == 1 else 'runs'}{renewed}, "
                f"{self.n_decisions} {'decision' if self.n_decisions == 1 else 'decisions'}")


class Merge:
    """The rows of one ledger on their way into another, inside a transaction of that."""

    def __init__(self, ours: "Ledger", theirs: "Reader") -> None:
        self._ours, self._theirs = ours, theirs
        self._corpora: dict[int, int] = {}  # ids here by ids there
        self._studies: dict[int, int] = {}
        self._grids: dict[int, int] = {}
        self._runs: dict[int, int] = {}
        self._told: set[int] = set()  # runs, by their ids there, of which more is told there
        self._others: set[int] = set()  # runs, by their ids there, that another run here stands for
        self._labels: dict[str, str] = {}  # here by there, of runs that had to be renamed
        self._parents: dict[int, int] = {}  # there, by ids here
        self._tables = {row["name"] for row in theirs._rows("SELECT name FROM sqlite_master")}

    def run(self) -> Taken:
        """Take in all tables; LedgerError where the two do not go together."""
        for row in self._rows("corpora"):
            self._corpora[row["id"]] = self._corpus(row)
        for row in self._rows("grids"):
            self._grids[row["id"]] = self._same("grids", row, row) or self._insert("grids", row)
        for row in self._rows("calibrations"):
            self._studies[row["id"]] = self._study(row)
        n_before = self._count("runs")
        known = {row["uid"]: row for row in self._ours._rows("SELECT * FROM runs")}
        for row in self._rows("runs"):
            self._runs[row["id"]] = self._run(row, known.get(row["uid"]))
        for run_id, parent_id in self._parents.items():
            self._ours._update("runs", run_id, {"parent_id": self._runs.get(parent_id)})
        for table in ("metrics", "blocks", "predictions", "layers", "traces", "measures",
                      "grid_cells"):
            for row in self._rows(table, "run_id"):
                if row["run_id"] in self._told:
                    self._replace(table, row | {"run_id": self._runs[row["run_id"]]})
        self._take_remarks()
        n_decisions = sum(map(self._decision, self._rows("decisions")))
        known_events = set(map(_event_key, self._ours._rows("SELECT * FROM events")))
        for row in self._rows("events"):
            self._event(row, known_events)
        n_new = self._count("runs") - n_before
        return Taken(n_new, len(self._told) - n_new, n_decisions)

    def _corpus(self, row: Row) -> int:
        key = ("text_sha256", "vocab_size", "tokenizer_sha256")
        found = self._same("corpora", row, key)
        if found and self._ours.corpus(found).search_sha256 != row["search_sha256"]:
            raise LedgerError(f"{self._theirs.path} scored {row['name']} on another validation "
                              f"slice than {self._ours.path}, and losses on two slices do not "
                              "compare; import it into another --home")
        return found or self._insert("corpora", row)

    def _study(self, row: Row) -> int:
        row = row | {"corpus_id": self._corpora[row["corpus_id"]]}
        key = ("created_at", "corpus_id", "text_sha256", "budget_tokens", "config")
        found = self._same("calibrations", row, key)
        if found is None:
            return self._insert("calibrations", row)
        if (row["n"] or 0) > (self._ours.calibration(found).n or 0):
            self._ours._update("calibrations", found, {name: row[name] for name in NOISE})
        return found

    def _run(self, row: Row, known: Row | None) -> int:
        there, parent_id = row["id"], row["parent_id"]
        row = row | {
            "parent_id": None, "corpus_id": self._corpora.get(row["corpus_id"]),
            "calibration_id": self._studies.get(row["calibration_id"]),
            "grid_id": self._grids.get(row["grid_id"])}
        if row["state"] in ("queued", "running"):  # no worker of it is ours: running → queued
            row |= {"state": "queued", "pid": None, "events_offset": 0}
        if known and _progress(row) <= _progress(known):
            return int(known["id"])
        if not known and (same := self._same_attempt(row)):
            self._others.add(there)
            return same
        self._told.add(there)
        if known:
            here = int(known["id"])
            fields = {name: value for name, value in row.items()
                      if name not in ("id", "uid", "label", "parent_id")}
            self._ours._update("runs", here, self._ours_alone("runs", fields))
            return here
        label = self._free_label(row["label"])
        if label != row["label"]:
            self._labels[row["label"]] = label
        here = self._insert("runs", row | {"label": label})
        if parent_id is not None:
            self._parents[here] = parent_id
        return here

    def _same_attempt(self, row: Row) -> int | None:
        """The run here that computed exactly this: nothing is computed, or counted, twice."""
        if row["source"] != "measured" or row["state"] in WITHOUT_RESULT:
            return None
        found = self._ours._rows(
            "SELECT id FROM runs WHERE source = 'measured' AND config_hash = ? AND seed = ? AND "
            "budget_tokens = ? AND corpus_id = ? AND state NOT IN ('killed', 'failed', 'lost') "
            "AND COALESCE(kernels, 'numpy') = COALESCE(?, 'numpy')",
            row["config_hash"], row["seed"], row["budget_tokens"], row["corpus_id"],
            row.get("kernels"))
        return found[0]["id"] if found else None

    def _free_label(self, label: str) -> str:
        if not self._ours._rows("SELECT 1 FROM runs WHERE label = ?", label):
            return label
        letter = re.sub(r"\d+$", "", label) or "E"
        numbers = [int(row["label"][len(letter):]) for row in self._ours._rows(
            "SELECT label FROM runs WHERE label GLOB ?", f"{letter}[0-9]*")
            if row["label"][len(letter):].isdecimal()]
        theirs = [int(row["label"][len(letter):]) for row in self._theirs._rows(
            "SELECT label FROM runs WHERE label GLOB ?", f"{letter}[0-9]*")
            if row["label"][len(letter):].isdecimal()]  # so that none of those has to move, too
        return f"{letter}{max(numbers + theirs, default=0) + 1}"

    def _decision(self, row: Row) -> bool:
        """Append a verdict on a run that is the same here; whether it was new."""
        if row["run_id"] in self._others:
            return False
        evidence = json.loads(row["evidence"])
        if evidence.get("with") in self._labels:
            evidence["with"] = self._labels[evidence["with"]]
        row = row | {"run_id": self._runs[row["run_id"]], "evidence": evidence,
                     "against_id": self._runs.get(row["against_id"])}
        if self._same("decisions", row, ("decided_at", "run_id", "verdict", "reason")):
            return False
        self._insert("decisions", row)
        return True

    def _take_remarks(self) -> None:
        """What a person wrote last on a run counts, wherever they wrote it."""
        known = {row["run_id"]: row["changed_at"]
                 for row in self._ours._rows("SELECT * FROM remarks")}
        for row in self._rows("remarks", "run_id"):
            here = self._runs.get(row["run_id"])
            if here is not None and row["changed_at"] > known.get(here, ""):
                self._replace("remarks", row | {"run_id": here})

    def _event(self, row: Row, known: set[Any]) -> None:
        row = row | {"run_id": self._runs.get(row["run_id"])}
        data = json.loads(row["data"]) if row["data"] else None
        if isinstance(data, dict) and data.get("study") in self._studies:
            row["data"] = data | {"study": self._studies[data["study"]]}
        if _event_key(row) not in known:
            self._insert("events", row)

    # --- underneath --------------------------------------------------------------------------

    def _rows(self, table: str, order: str = "id") -> list[Row]:
        """All rows there, in their order; none where an earlier version had no such table."""
        if table not in self._tables:
            return []
        return self._theirs._rows(f"SELECT * FROM {table} ORDER BY {order}")

    def _count(self, table: str) -> int:
        return int(self._ours._rows(f"SELECT count(*) AS n FROM {table}")[0]["n"])

    def _ours_alone(self, table: str, row: Mapping[str, Any]) -> Row:
        """A row without its id and without columns that only the other ledger has."""
        names = self._ours._db.table(table).columns_dict
        return {name: value for name, value in row.items() if name in names and name != "id"}

    def _insert(self, table: str, row: Mapping[str, Any]) -> int:
        fresh = {"id": fresh_id(self._ours, table)} if table in NAMED_BY else {}
        return self._ours._insert(table, self._ours_alone(table, row) | fresh)

    def _replace(self, table: str, row: Row) -> None:
        self._ours._db.table(table).insert(self._ours_alone(table, row), replace=True)

    def _same(self, table: str, row: Row, names: Any) -> int | None:
        """The id here of the row that is the same in these columns."""
        values = {name: row[name] for name in self._ours_alone(table, {n: None for n in names})}
        where = " AND ".join(f"{name} IS ?" for name in values)
        found = self._ours._rows(f"SELECT id FROM {table} WHERE {where}", *values.values())
        return found[0]["id"] if found else None


def _event_key(row: Row) -> tuple[Any, ...]:
    return row["at"], row["kind"], row["run_id"], row["message"]


def _progress(row: Row) -> tuple[bool, int, int]:
    """How far a run has come: what has ended is beyond what waits, whatever was tried before."""
    return row["state"] in ENDED, row["attempts"] or 0, row["steps"] or 0
