"""What a night of many runs asks at each tick, in few columns: a thousand rows are read at once."""

from dataclasses import dataclass

from agent.ledger.queries import Queries


@dataclass(frozen=True, slots=True)
class AtRung:
    """What one run of a study scored at the rung, and in the end."""

    run_id: int
    strategy: str | None
    rung_bpb: float
    val_bpb: float | None


def running_ids(ledger: Queries) -> list[int]:
    """Ids of the runs that are computed in this home, oldest first."""
    return [int(row["id"]) for row in ledger.rows(
        f"SELECT id FROM runs WHERE state = 'running' AND {ledger._own('runs')} ORDER BY id")]


def n_timed(ledger: Queries) -> int:
    """How many runs have ended with a speed: where that is the same, no speed is news."""
    return int(ledger.rows("SELECT count(*) AS n FROM runs WHERE state = 'finished' "
                           "AND tok_per_s > 0")[0]["n"])


def at_rung(ledger: Queries, study: int, before: int | None = None,
            n_behind: int = 0) -> list[AtRung]:
    """What the runs of a study scored at the rung, as they were asked for.

    before    only of those whose turn is before this run's, by its id
    n_behind  and without so many of the last of these
    """
    rows = ledger.rows("SELECT id, strategy, rung_bpb, val_bpb FROM runs WHERE "
                       "calibration_id = ? AND rung_bpb IS NOT NULL ORDER BY id", study)
    if before is not None:
        end = _turn_behind(ledger, study, before, n_behind)
        rows = [row for row in rows if (row["strategy"] != "baseline", row["id"]) < end]
    return [AtRung(row["id"], row["strategy"], row["rung_bpb"], row["val_bpb"]) for row in rows]


def _turn_behind(ledger: Queries, study: int, run_id: int, n: int) -> tuple[bool, int]:
    """The turn so many places before a run's, before which counts what counts for it."""
    turns = [(bool(row["later"]), int(row["id"])) for row in ledger.rows(
        "SELECT id, strategy IS NOT 'baseline' AS later FROM runs WHERE calibration_id = ? "
        "AND (strategy IS NOT 'baseline', id) <= (SELECT strategy IS NOT 'baseline', id FROM runs "
        "WHERE id = ?) ORDER BY later DESC, id DESC LIMIT ?", study, run_id, n + 1)]
    return turns[n] if len(turns) > n else (False, 0)
