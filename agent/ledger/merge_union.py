"""Two ledgers as one: which rows there are, and what the two tell differently.

What conflicts is named, and what stands here is left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.ledger.merge_order import own_label
from agent.ledger.merge_rows import (
    GONE,
    NUMBERED,
    OF_A_FILE,
    POINTERS,
    Row,
    Rows,
    Side,
    home_of,
    progress,
    text,
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something two ledgers tell differently, of which ours is left as it is."""

    what: str  # a text, a run or a study
    why: str


@dataclass
class Union:
    """The rows of both; `side` stands for the other where it has more."""

    ours: Side
    theirs: Side
    rows: dict[str, Rows]
    conflicts: list[Conflict] = field(default_factory=list)
    told: dict[str, bool] = field(default_factory=dict)  # runs of which they tell more: all of it?
    n_left: int = 0  # rows of theirs that point to what somebody deleted there


def unite(ours: Side, theirs: Side) -> Union:
    """All rows of two ledgers."""
    return _Uniter(ours, theirs).all()


class _Uniter:
    """Takes their rows in, table by table, in an order in which none points to a later one."""

    def __init__(self, ours: Side, theirs: Side) -> None:
        self.ours, self.theirs = ours, theirs
        self.found = Union(ours, theirs, {name: dict(ours[name]) for name in NUMBERED})
        self._out: dict[str, set[str]] = {name: set() for name in NUMBERED}  # that stay there
        self._contested: set[str] = set()  # runs
        self._left = self._left_studies()

    def all(self) -> Union:
        rules: dict[str, Callable[[str, Row, Row | None], Row | None]] = {
            "corpora": self._corpus, "calibrations": self._study, "runs": self._run}
        for table in NUMBERED:
            known, out = self.found.rows[table], self._out[table]
            rule = rules.get(table, _once)
            for key, row in self.theirs[table].items():
                if not self._may_come(table, row):
                    out.add(key)
                elif (met := rule(key, self._without_gaps(table, row), known.get(key))) is None:
                    out.add(key)
                else:
                    known[key] = met
        for row in self.found.rows["runs"].values():
            if row["source"] == "measured" or row["strategy"] == "imported":
                row["label"] = own_label(row["label"])
        return self.found

    # --- what may come in --------------------------------------------------------------------

    def _may_come(self, table: str, row: Row) -> bool:
        """Whether what a row needs comes in, too."""
        for name, other in POINTERS.get(table, {}).items():
            key = row[name]
            if key in self._out[other] and (other != "runs" or name != "parent_id"):
                return False
            is_needed = (table, name) in (("calibrations", "corpus_id"), ("decisions", "run_id")
                                          ) or (name == "corpus_id" and row["source"] == "measured")
            if is_needed and (key is None or key.startswith(GONE)):
                self.found.n_left += 1
                return False
        return not (table == "decisions" and row["run_id"] in self._contested)

    @staticmethod
    def _without_gaps(table: str, row: Row) -> Row:
        """A row of theirs, pointing to nothing where what it pointed to was deleted."""
        gone = {name: None for name in POINTERS.get(table, {})
                if str(row[name] or "").startswith(GONE)}
        return row | gone

    # --- by table ----------------------------------------------------------------------------

    def _corpus(self, key: str, row: Row, known: Row | None) -> Row | None:
        if known is None:
            return row
        if known["search_sha256"] == row["search_sha256"]:
            return _elder(known, row)
        n = sum(run["corpus_id"] == key for run in self.theirs["runs"].values())
        self._name(f"text {row['name']}", "was scored on another validation slice there, and "
                   f"losses on two slices do not compare: its {n} runs stay there")
        return None

    def _study(self, key: str, row: Row, known: Row | None) -> Row:
        if known is None:
            return row
        is_theirs = self._version(self.theirs, key, row) > self._version(self.ours, key, known)
        first, second = (row, known) if is_theirs else (known, row)
        return _filled(first, second)

    @staticmethod
    def _version(side: Side, key: str, row: Row) -> tuple[str, int, str]:
        return side.versions.get(key) or str(row["created_at"]), row["n"] or 0, text(row)

    def _run(self, uid: str, row: Row, known: Row | None) -> Row:
        if known is None:
            self.found.told[uid] = True
            return row | ({"calibration_id": None} if uid in self._left else {})
        pointers = self._pointers(uid, row, known)
        how_far = progress(known), progress(row)
        if how_far[1] > how_far[0]:
            self.found.told[uid] = True
            return self._taken_over(row) | pointers
        if known["source"] == "published":
            return _elder(known, row)
        if how_far[0] != how_far[1] or how_far[0][0] == 0:
            return known | pointers
        differing = [name for name in known if name not in OF_A_FILE
                     and None not in (known[name], row[name]) and known[name] != row[name]]
        if differing:
            self._contested.add(uid)
            self._name(f"run {known['label']}", f"has another {differing[0]} there: "
                       f"{row[differing[0]]}, here {known[differing[0]]}")
            return known
        self.found.told[uid] = False
        return _filled(known | pointers, row | pointers)

    def _taken_over(self, row: Row) -> Row:
        """A run of this very home that another copy knows more of: no worker there is ours."""
        if home_of("runs", row, {}) != self.ours.home or progress(row)[0]:
            return row
        return row | {"state": "queued", "pid": None, "events_offset": 0}

    def _pointers(self, uid: str, row: Row, known: Row) -> Row:
        """What a run is of: of its study what the file says that worked on it last."""
        labels = sorted((own_label(known["label"]), own_label(row["label"])),
                        key=lambda label: (len(label), label))
        found: Row = {name: known[name] or row[name] for name in ("parent_id", "grid_id")}
        study, theirs = known["calibration_id"], row["calibration_id"]
        if study != theirs and uid not in self._left:
            key = study or theirs
            here, there = self.ours["calibrations"].get(key), self.theirs["calibrations"].get(key)
            if there and (here is None or self._version(self.theirs, key, there)
                          > self._version(self.ours, key, here)):
                study = theirs
        return found | {"calibration_id": study, "label": labels[0]}

    def _left_studies(self) -> set[str]:
        """Their runs of studies that two copies went on with, which come in as runs of none.

        One search cannot have made both: folded together they would be nobody's verdicts.
        """
        here, there = self.ours.study_runs(), self.theirs.study_runs()
        left: set[str] = set()
        for key in here.keys() & there.keys() - {None}:
            mine, theirs = here[key] - there[key], there[key] - here[key]
            budget = self.ours["calibrations"].get(key, {}).get("budget_tokens")
            theirs = {uid for uid in theirs
                      if self.theirs["runs"][uid]["budget_tokens"] == budget}
            if mine and theirs:
                left |= theirs
                number = self.ours.ids["calibrations"].get(key, 0)
                self._name(f"study {number}", "was gone on with here and there: what ran of it "
                           f"there alone ({len(theirs)} runs) comes in as runs of no study")
        return left

    def _name(self, what: str, why: str) -> None:
        self.found.conflicts.append(Conflict(what, why))


def _once(_key: str, row: Row, known: Row | None) -> Row:
    """What is all said by its key is there, or it is not."""
    return known or row


def _elder(one: Row, other: Row) -> Row:
    """The row that was there first, with what the other alone knows."""
    return _filled(*sorted((one, other), key=lambda row: (row["created_at"], text(row))))


def _filled(first: Row, second: Row) -> Row:
    return {name: second.get(name) if value is None else value for name, value in first.items()}
