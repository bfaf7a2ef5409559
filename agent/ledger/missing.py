"""Rows that were deleted by hand although others need them, each named in words.

A shell deletes without asking who refers to a row, since SQLite checks that only where it is told
to. What refers to nothing is harmless to look at; a decision on a run that is gone is not, since a
study is folded from its decisions.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.ledger.queries import Queries

# Verdicts that the search of a study builds on: without their runs it would believe another chain.
BUILT_ON = ("kept", "confirmed", "refuted", "undecided", "ablated")
MOST = 3  # gaps that are named, before the rest is a number

_OF_DECISIONS = """
    SELECT d.id, d.verdict, d.decided_at, d.{column} AS gone, r.label,
           coalesce(r.calibration_id, (
               SELECT o.calibration_id FROM decisions e JOIN runs o ON o.id = e.run_id
               WHERE e.id < d.id AND o.calibration_id IS NOT NULL ORDER BY e.id DESC LIMIT 1), (
               SELECT o.calibration_id FROM decisions e JOIN runs o ON o.id = e.run_id
               WHERE e.id > d.id AND o.calibration_id IS NOT NULL ORDER BY e.id LIMIT 1)) AS study
    FROM decisions d LEFT JOIN runs r ON r.id = d.{other}
    WHERE d.{column} IS NOT NULL AND d.{column} NOT IN (SELECT id FROM runs) ORDER BY d.id DESC"""
_OF_RUNS = """
    SELECT r.label, r.{column} AS gone, r.calibration_id AS study FROM runs r
    WHERE r.{column} IS NOT NULL AND r.{column} NOT IN (SELECT id FROM {table}) ORDER BY r.id"""


@dataclass(frozen=True, slots=True)
class Gap:
    """A row that is gone, and what needs it."""

    row: str
    why: str  # what it is to those that need it
    study: int | None  # that it was of, as far as its neighbours tell
    is_built_on: bool  # whether a search cannot be taken up without it


def gaps(ledger: Queries) -> list[Gap]:
    """What is gone and needed, what weighs most first."""
    found = [*_decided(ledger, "run_id", "against_id", "is on"),
             *_decided(ledger, "against_id", "run_id", "was made against"),
             *_deleted_decisions(ledger)]
    for table, column, what in (("corpora", "corpus_id", "the text"),
                                ("calibrations", "calibration_id", "the study"),
                                ("runs", "parent_id", "the parent")):
        found += _needed_by_runs(ledger, table, column, what)
    found += [Gap(f"row {row['gone']} of corpora", f"the text of study {row['id']}", row["id"],
                  True)
              for row in ledger.rows("SELECT id, corpus_id AS gone FROM calibrations "
                                     "WHERE corpus_id NOT IN (SELECT id FROM corpora)")]
    for table in ("metrics", "blocks", "events"):
        n = ledger.rows(f"SELECT count(*) AS n FROM {table} WHERE run_id IS NOT NULL "
                        "AND run_id NOT IN (SELECT id FROM runs)"
                        )[0]["n"] if _has(ledger, table) else 0
        if n:
            found.append(Gap(f"the runs that {n:,} rows of {table} are of", "", None, False))
    return sorted(found, key=lambda gap: not gap.is_built_on)


def gaps_in_words(found: Iterable[Gap]) -> str:
    """The first rows that are gone, each with what it was to others, and how many more there are.
    """
    whys: dict[str, str] = {}
    for gap in found:
        whys.setdefault(gap.row, gap.why)
    texts = [f"{row}, {why}" if why else row for row, why in whys.items()]
    more = f"; and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return "; ".join(texts[:MOST]) + more


def _decided(ledger: Queries, column: str, other: str, how: str) -> list[Gap]:
    """Decisions whose run, or the run it was held against, is gone."""
    found = []
    for row in ledger.rows(_OF_DECISIONS.format(column=column, other=other)):
        said = f"{row['verdict']}, {row['decided_at'][:10]}"
        if column == "against_id" and row["label"]:
            said = f"{row['verdict']} {row['label']}"
        found.append(Gap(f"row {row['gone']} of runs", f"which decision {row['id']} ({said}) {how}",
                         row["study"], row["verdict"] in BUILT_ON))
    return found


def _deleted_decisions(ledger: Queries) -> list[Gap]:
    """Decisions are numbered without a break and none is ever deleted by this program."""
    rows = ledger.rows(
        "SELECT after + 1 AS first, before - 1 AS last FROM (SELECT id AS before, "
        "lag(id, 1, 0) OVER (ORDER BY id) AS after FROM decisions) WHERE before > after + 1")
    return [Gap(f"row {row['first']} of decisions" if row["first"] == row["last"]
                else f"rows {row['first']} to {row['last']} of decisions", "", None, False)
            for row in rows]


def _needed_by_runs(ledger: Queries, table: str, column: str, what: str) -> list[Gap]:
    by_row: dict[int, list[str]] = {}
    studies: dict[int, int | None] = {}
    for row in ledger.rows(_OF_RUNS.format(table=table, column=column)):
        by_row.setdefault(row["gone"], []).append(row["label"])
        studies.setdefault(row["gone"], row["study"])
    found = []
    for gone, labels in by_row.items():
        of = labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more"
        found.append(Gap(f"row {gone} of {table}", f"{what} of {of}", studies[gone], False))
    return found


def _has(ledger: Queries, table: str) -> bool:
    """Whether there is such a table: one of an earlier version has fewer."""
    return bool(ledger.rows("SELECT 1 FROM sqlite_master WHERE name = ?", table))
