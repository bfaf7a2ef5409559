"""The confirmed chain on the shard that decides nothing: whether its claims hold there, too."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from agent.ledger import Calibration, Ledger, Run
from agent.search import texts, verdict
from agent.search.verdict import Noise

Pairs = list[tuple[Run, Run]]  # of base and head, a seed each


@dataclass(frozen=True, slots=True)
class Silent:
    """The confirmed chain on the shard that decides nothing."""

    claimed_bpb: float
    silent_bpb: float
    n_batches: int
    low_bpb: float | None = None  # 95 % of silent_bpb; None where no noise is known
    high_bpb: float | None = None
    n_blocks: int | None = None  # of text the interval is over, too; None: over seeds alone

    def span(self) -> str:
        """The interval in words, empty where there is none."""
        if self.low_bpb is None or self.high_bpb is None:
            return ""
        return f" ({verdict.span(self.low_bpb, self.high_bpb, self.n_blocks)})"


def batches(ledger: Ledger, study: Calibration, runs: Iterable[Run]) -> list[Pairs]:
    """The arms of every confirmed batch of a study that have a score on the silent shard."""
    scored = {(run.config_hash, run.seed): run for run in runs if run.test_bpb is not None}
    found = []
    for decision in ledger.decisions():
        run = ledger.run(decision.run_id)
        if (run.calibration_id != study.id or decision.verdict != "confirmed"
                or "seeds" not in decision.evidence or decision.against_id is None):
            continue
        base = ledger.run(decision.against_id)
        arms = [(scored.get((base.config_hash, seed)), scored.get((run.config_hash, seed)))
                for seed in decision.evidence["seeds"]]
        if pairs := [(a, b) for a, b in arms if a and b]:
            found.append(pairs)
    return found


def summed(ledger: Ledger, study: Calibration, found: list[Pairs], claimed_bpb: float,
           noise: Noise | None) -> Silent:
    """What batches gained there, one after the other."""
    blocks = ledger.blocks_on(study.text_sha256, study.budget_tokens, "test")
    gain = sum(statistics.fmean((a.test_bpb or 0.0) - (b.test_bpb or 0.0) for a, b in pairs)
               for pairs in found)
    if noise is None:
        return Silent(claimed_bpb, gain, len(found))
    spread = texts.spread([[(blocks.get(a.id), blocks.get(b.id)) for a, b in pairs]
                           for pairs in found])
    n_pairs = 1 / sum(1 / len(pairs) for pairs in found)  # variances of means add up
    low, high = verdict.interval(gain, n_pairs, noise, spread)
    return Silent(claimed_bpb, gain, len(found), low, high,
                  spread.n_blocks if spread else None)
