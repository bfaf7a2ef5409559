"""Questions that people ask a ledger by hand: those of agent/README.md, which a test compares.

A comment before each says what it answers; the program that shows a ledger offers them by name.
"""

import re
from dataclasses import dataclass

RECIPES = """\
-- the last verdicts, and why
SELECT label, verdict, decisions.reason FROM decisions JOIN runs ON runs.id = run_id
ORDER BY decisions.id DESC LIMIT 10;

-- the best runs of the newest study, and how far below the unigram they are
SELECT label, config_text, round(val_bpb, 3) AS bpb,
       printf('%+.1f%%', 100 * vs_unigram) AS vs_unigram
FROM runs WHERE val_bpb IS NOT NULL AND calibration_id = (SELECT max(id) FROM calibrations)
  AND strategy NOT IN ('confirm', 'ablate')
ORDER BY val_bpb LIMIT 10;

-- which strategy's ideas were kept, and which of those fresh seeds confirmed
SELECT r.strategy, count(DISTINCT r.id) AS tried,
       count(DISTINCT r.id) FILTER (WHERE d.verdict = 'kept') AS kept,
       count(DISTINCT r.id) FILTER (WHERE d.verdict = 'confirmed') AS confirmed
FROM runs r JOIN decisions d ON d.run_id = r.id
WHERE r.strategy NOT IN ('baseline', 'confirm', 'ablate', 'grid', 'hand') GROUP BY r.strategy;

-- the curve of the newest finished run, with val_loss where it was evaluated
SELECT step, train_loss, val_loss FROM metrics
WHERE run_id = (SELECT max(id) FROM runs WHERE state = 'finished') ORDER BY step;

-- was the prediction of memory any good?
SELECT label, round(predicted_mb) AS predicted, round(peak_mb) AS peak,
       printf('%+.0f%%', 100 * (predicted_mb / peak_mb - 1)) AS off
FROM runs WHERE peak_mb IS NOT NULL;

-- what the guard and the daemon did, and why
SELECT at, kind, message FROM events ORDER BY id DESC LIMIT 20;

-- the noise of the newest baseline: its seeds on the three shards; sigma_bpb is of the first
SELECT r.label, r.seed, r.val_bpb, r.confirm_bpb, r.test_bpb, c.sigma_bpb
FROM runs r JOIN calibrations c ON c.id = r.calibration_id
WHERE r.strategy = 'baseline' AND c.id = (SELECT max(id) FROM calibrations) ORDER BY r.id;

-- each confirmed claim with its evidence; a step confirmed with others names them in $.with
SELECT r.label, a.label AS against, json_extract(d.evidence, '$.gain_bpb') AS gain_bpb,
       json_extract(d.evidence, '$.low_bpb') AS low,
       json_extract(d.evidence, '$.high_bpb') AS high,
       iif(json_extract(d.evidence, '$.n_blocks') IS NULL, 'seeds', 'seeds and texts')
           AS interval_over,
       json_extract(d.evidence, '$.z') AS z, json_extract(d.evidence, '$.least_z') AS bound,
       json_extract(d.evidence, '$.s_d') AS s_d, json_extract(d.evidence, '$.seeds') AS seeds
FROM decisions d JOIN runs r ON r.id = d.run_id LEFT JOIN runs a ON a.id = d.against_id
WHERE d.verdict = 'confirmed' AND json_extract(d.evidence, '$.z') IS NOT NULL ORDER BY d.id;

-- tokens and hours by kind of run
SELECT CASE WHEN strategy IN ('baseline', 'confirm', 'ablate', 'grid', 'hand') THEN strategy
            ELSE 'idea' END AS kind,
       count(*) AS n, round(sum(tokens) / 1e6, 1) AS million_tokens,
       round(sum(duration_s) / 3600, 2) AS hours
FROM runs WHERE source = 'measured' GROUP BY kind ORDER BY hours DESC;

-- throughput by device and by size, in millions of parameters
SELECT device, replicas, round(n_params / 1e6, 1) AS size, count(*) AS n,
       round(min(tok_per_s)) AS slowest, round(avg(tok_per_s)) AS mean,
       round(max(tok_per_s)) AS fastest
FROM runs WHERE tok_per_s IS NOT NULL GROUP BY device, replicas, size
ORDER BY device, replicas, size;
"""

# What each strategy's ended runs of a study came to, as `Queries.earned` asks.
EARNED = """
    WITH told AS (SELECT run_id, max(verdict = 'kept') AS is_kept,
                         max(verdict = 'confirmed') AS is_confirmed,
                         max(iif(verdict = 'kept', json_extract(evidence, '$.gain_bpb'), NULL))
                             AS gain_bpb
                  FROM decisions
                  WHERE run_id IN (SELECT id FROM runs WHERE calibration_id = ?1)
                  GROUP BY run_id)
    SELECT coalesce(r.strategy, 'hand') AS strategy, count(*) AS n_runs,
           sum(coalesce(told.is_kept, 0)) AS n_kept,
           sum(coalesce(told.is_confirmed, 0)) AS n_confirmed,
           sum(r.state = 'pruned') AS n_pruned, sum(told.gain_bpb) AS gain_bpb,
           sum(coalesce(r.tokens, 0)) AS tokens,
           sum(iif(r.state = 'pruned', r.budget_tokens - r.tokens, 0)) AS saved_tokens
    FROM runs r LEFT JOIN told ON told.run_id = r.id
    WHERE r.calibration_id = ?1 AND r.state NOT IN ('queued', 'running')
          AND NOT EXISTS (SELECT 1 FROM decisions d
                          WHERE d.run_id = r.id AND d.verdict = 'withdrawn')
    GROUP BY 1 ORDER BY sum(told.gain_bpb) DESC, count(*) DESC, 1"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A question in words and in SQL."""

    title: str
    sql: str

    @property
    def name(self) -> str:
        """Its title up to a comma as part of an address: the_last_verdicts."""
        return "_".join(re.findall("[a-z0-9]+", re.split("[,;:]", self.title.lower())[0]))


def recipes() -> list[Recipe]:
    """All of them, in the order in which they are read."""
    found = []
    for part in RECIPES.split("\n\n"):
        title, _, sql = part.partition("\n")
        found.append(Recipe(title.removeprefix("-- "), sql.strip().removesuffix(";")))
    return found
