"""Whether the rule of the learning rate holds: runs at other rates beside those at the rule's.

The rule is lr ∝ 1/width (Yang et al. 2021, arXiv:2203.03466, table 8, for hidden matrices under
Adam), or 1/√width under Muon (`strategies.base.WIDTH_POWERS`). It holds at a size where no other
rate beats its rate by more than seeds differ.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent.analysis.scaling.observed import Observed
from agent.ledger import Queries, Run, cells_with, grid_cells, is_of_law
from agent.words import amount
from engine.config import Config

WITHIN = 2.0  # standard deviations of a difference of two seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCheck:
    """One size at several learning rates, all else the same."""

    size: str  # as asked for
    n_params: int
    tokens: int
    lr: float  # the rule's
    losses: Mapping[float, float]  # nats per token by the part of the rule's rate; 1 is the rule's

    @property
    def best(self) -> float:
        return min(self.losses, key=lambda rate: (self.losses[rate], rate))

    @property
    def lead(self) -> float:
        """By which part of the loss the best rate beats the rule's."""
        return 1 - self.losses[self.best] / self.losses[1.0]

    def holds(self, sigma: float | None) -> bool:
        """Whether the rule's rate is as good as any; sigma is of ln L over seeds."""
        return self.best == 1 or (sigma is not None and self.lead <= WITHIN * 2 ** 0.5 * sigma)


def seed_sigma(runs: Sequence[Observed]) -> float | None:
    """Standard deviation of ln L over the seeds of a cell, pooled; None without two of one."""
    cells: dict[object, list[float]] = {}
    for run in runs:
        cells.setdefault(run.cell, []).append(math.log(run.loss))
    left = sum(len(its) - 1 for its in cells.values())
    squares = sum((one - sum(its) / len(its)) ** 2 for its in cells.values() for one in its)
    return math.sqrt(squares / left) if left else None


def told_of_rates(checks: Sequence[RateCheck], sigma: float | None) -> str | None:
    """Whether the rule holds, in a sentence; None where nothing was run for it."""
    if not checks:
        return None
    told = [f"{one.size} on {amount(one.tokens)} tokens: "
            + ("the rule's rate is best" if one.best == 1 else
               f"{one.best:g} times the rule's is {100 * one.lead:.1f} % better")
            for one in checks]
    holds = all(one.holds(sigma) for one in checks)
    noise = "" if sigma is None else f" (seeds differ by {100 * sigma:.1f} %)"
    return (f"the width rule of the learning rate {'holds' if holds else 'does not hold'}{noise}: "
            f"{'; '.join(told)}")


def rate_checks(ledger: Queries, corpora: Collection[int]) -> list[RateCheck]:
    """Every size that finished at the rule's rate and at another, the smallest first.

    corpora  ids of the texts they are looked for on
    """
    cells = grid_cells(ledger)
    rates = cells_with(cells, "rate")
    done = {run.id: run for run in ledger.runs("finished")
            if run.strategy == "grid" and run.val_loss is not None and run.corpus_id in corpora}
    plain = {_twin(run, cells[run.id].size): run for run in done.values()
             if run.id in cells and is_of_law(cells[run.id])}
    found: dict[tuple[object, ...], dict[float, Run]] = {}
    for run_id, cell in rates.items():
        if run_id in done and cell.rate:
            found.setdefault(_twin(done[run_id], cell.size), {})[cell.rate] = done[run_id]
    checks = [_check(str(key[0]), plain[key], others) for key, others in found.items()
              if key in plain]
    return sorted(checks, key=lambda one: (one.n_params, one.tokens, one.size))


def _twin(run: Run, size: str) -> tuple[object, ...]:
    """What a run at another rate shares with the one at the rule's."""
    return size, run.corpus_id, run.seed, run.budget_tokens


def _check(size: str, plain: Run, others: Mapping[float, Run]) -> RateCheck:
    config = Config.from_dict(plain.config)
    losses = {1.0: plain.val_loss or 0.0, **{rate: run.val_loss or 0.0
                                             for rate, run in others.items()}}
    return RateCheck(size=size, n_params=config.n_params, tokens=plain.budget_tokens or 0,
                     lr=config.lr, losses=dict(sorted(losses.items())))
