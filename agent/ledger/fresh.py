"""Ids that no row has ever had: SQLite gives that of a deleted newest row to the next one."""

from agent.ledger.queries import Queries

# Where the ids of a table stand.
NAMED_BY = {
    "runs": (("runs", "id"), ("runs", "parent_id"), ("decisions", "run_id"),
             ("decisions", "against_id"), ("metrics", "run_id"), ("blocks", "run_id"),
             ("events", "run_id"), ("remarks", "run_id")),
    "calibrations": (("calibrations", "id"), ("runs", "calibration_id")),
    "corpora": (("corpora", "id"), ("runs", "corpus_id"), ("calibrations", "corpus_id"))}


def fresh_id(ledger: Queries, table: str) -> int:
    """One above all that stand anywhere, so that no verdict on a deleted row is another's."""
    named = " UNION ALL ".join(f"SELECT max({column}) AS id FROM {other}"
                               for other, column in NAMED_BY[table])
    return int(ledger.rows(f"SELECT coalesce(max(id), 0) + 1 AS id FROM ({named})")[0]["id"])
