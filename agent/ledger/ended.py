"""What ended in a study, in rows so light that thousands of them are read at each look."""

from dataclasses import dataclass

from agent.ledger.queries import Queries
from agent.ledger.records import Prediction, State

_ENDED = """
    SELECT r.id, r.label, coalesce(r.strategy, 'hand') AS strategy, r.state, r.val_bpb, r.ended_at,
           coalesce(r.tokens, 0) AS tokens, coalesce(r.duration_s, 0.0) AS duration_s,
           coalesce(r.calibration_id = ?1, 0) AS is_of_study,
           coalesce(max(d.verdict = 'kept'), 0) AS is_kept,
           coalesce(max(d.verdict = 'confirmed'), 0) AS is_confirmed,
           (SELECT verdict FROM decisions WHERE run_id = r.id ORDER BY id DESC LIMIT 1) AS verdict
    FROM runs r LEFT JOIN decisions d ON d.run_id = r.id
    WHERE (r.calibration_id = ?1 OR r.ended_at >= ?2) AND r.source = 'measured'
          AND r.state NOT IN ('queued', 'running') AND r.ended_at IS NOT NULL
    GROUP BY r.id ORDER BY r.ended_at, r.id"""

_CLAIMS = """
    SELECT r.label, coalesce(p.label, a.label) AS against, d.decided_at,
           json_extract(d.evidence, '$.gain_bpb') AS gain_bpb,
           json_extract(d.evidence, '$.low_bpb') AS low_bpb,
           json_extract(d.evidence, '$.high_bpb') AS high_bpb,
           json_extract(d.evidence, '$.n') AS n_seeds,
           json_extract(d.evidence, '$.n_blocks') IS NOT NULL AS is_over_texts
    FROM decisions d JOIN runs r ON r.id = d.run_id LEFT JOIN runs a ON a.id = d.against_id
         LEFT JOIN runs p ON p.id = a.parent_id AND a.strategy = 'confirm'
    WHERE d.verdict = 'confirmed' AND json_extract(d.evidence, '$.z') IS NOT NULL
          AND json_extract(d.evidence, '$.gain_bpb') IS NOT NULL AND r.calibration_id = ?
    ORDER BY d.id"""


# Each run that was better than all before it; neither arms of comparisons nor what was refused.
_LEADS = """
    SELECT label, ended_at, val_bpb FROM (
        SELECT r.label, r.ended_at, r.val_bpb, min(r.val_bpb) OVER (
            ORDER BY r.ended_at, r.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM runs r
        WHERE r.calibration_id = ? AND r.state = 'finished' AND r.val_bpb IS NOT NULL
              AND r.ended_at IS NOT NULL AND r.strategy NOT IN ('confirm', 'ablate')
              AND coalesce((SELECT verdict FROM decisions WHERE run_id = r.id
                            ORDER BY id DESC LIMIT 1), '')
                  NOT IN ('discarded', 'refuted', 'ablated'))
    WHERE before IS NULL OR val_bpb < before"""

_FORETOLD = """
    SELECT p.mean_bpb, p.low_bpb, p.high_bpb, r.val_bpb
    FROM predictions p JOIN runs r ON r.id = p.run_id
    WHERE r.calibration_id = ? AND r.state = 'finished' AND r.val_bpb IS NOT NULL
    ORDER BY p.run_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run that ended, with what was ever decided on it and what counts now."""

    id: int
    label: str
    strategy: str
    state: State
    val_bpb: float | None
    ended_at: str
    tokens: int
    duration_s: float
    is_of_study: int  # or else another's, a grid's cell, or made by hand
    is_kept: int  # whether it ever was
    is_confirmed: int
    verdict: str | None  # the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What fresh seeds confirmed of a study: a head, and its gain over what was before it."""

    label: str
    against: str | None  # the configuration, where an arm of the test stood for it
    decided_at: str
    gain_bpb: float
    low_bpb: float | None
    high_bpb: float | None
    n_seeds: int | None
    is_over_texts: int  # whether the interval is over texts, too, or over seeds alone


def ended_runs(ledger: Queries, calibration_id: int, since: str) -> list[EndedRun]:
    """The runs of a study that ended and, from a stamp on, all others, in the order of their ends.
    """
    return [EndedRun(**row) for row in ledger._rows(_ENDED, calibration_id, since)]


def leads(ledger: Queries, calibration_id: int) -> list[tuple[str, str, float]]:
    """Label, end and bits a byte of each run of a study that became its best, oldest first."""
    return [(row["label"], row["ended_at"], row["val_bpb"])
            for row in ledger._rows(_LEADS, calibration_id)]


def claims(ledger: Queries, calibration_id: int) -> list[Claim]:
    """What was confirmed of a study, oldest first; also what a later one has replaced."""
    return [Claim(**row) for row in ledger._rows(_CLAIMS, calibration_id)]


def foretold(ledger: Queries, calibration_id: int) -> list[tuple[Prediction, float]]:
    """What was expected of a study's finished runs, and what they scored in bits per byte."""
    if not ledger.rows("SELECT 1 FROM sqlite_master WHERE name = 'predictions'"):
        return []  # of an earlier version
    return [(Prediction(row["mean_bpb"], row["low_bpb"], row["high_bpb"]), row["val_bpb"])
            for row in ledger.rows(_FORETOLD, calibration_id)]


def prediction_of(ledger: Queries, run_id: int) -> Prediction | None:
    """What was expected of a run before it ran; None where nothing was."""
    if not ledger.rows("SELECT 1 FROM sqlite_master WHERE name = 'predictions'"):
        return None  # of an earlier version
    found = ledger.rows("SELECT mean_bpb, low_bpb, high_bpb FROM predictions WHERE run_id = ?",
                        run_id)
    return Prediction(**found[0]) if found else None


def newest_harvest(ledger: Queries, study: int | None = None) -> str | None:
    """The label of the last harvest that can write, or else of the last one, of a study or of all.

    A harvest is of no study, since its tokens are its own; its parent is.
    """
    found = ledger.rows(
        "SELECT r.label FROM runs r LEFT JOIN runs p ON p.id = r.parent_id "
        "WHERE r.strategy = 'harvest' AND (?1 IS NULL OR p.calibration_id = ?1) "
        "ORDER BY r.state = 'finished' DESC, r.id DESC LIMIT 1", study)
    return str(found[0]["label"]) if found else None
