"""The next experiment: history from the ledger, a strategy by chance, a proposal that fits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.ledger import Ledger
from agent.records import Calibration, Run
from engine.config import Config
from engine.errors import NoProposal
from strategies import STRATEGIES
from strategies.base import Limits, Outcome, Proposal


@dataclass(frozen=True, slots=True)
class Idea:
    """A proposal and the run it departs from."""

    proposal: Proposal
    parent: Run


def propose(ledger: Ledger, study: Calibration, limits: Limits, seed: int) -> Idea:
    """The next configuration to try against the incumbent of a study.

    The strategies are asked in a random order until one has something that fits; the order and
    the proposal are functions of the seed and of how many runs the study has. Raises NoProposal
    with every strategy's reason where none has.
    """
    runs = ledger.comparable_runs(study)
    parent = ledger.incumbent(study.id)
    if parent is None:
        raise NoProposal("no baseline run has finished, so there is nothing to improve on; "
                         "`agent show` says what happened to each")
    rng = np.random.default_rng([seed, 3, len(runs)])
    names = list(STRATEGIES)
    refusals = []
    for i in rng.permutation(len(names)):
        try:
            proposal = STRATEGIES[names[i]](
                Config.from_dict(parent.config), history(ledger, runs), rng, limits)
        except NoProposal as refusal:
            refusals.append(str(refusal))
        else:
            return Idea(proposal, parent)
    raise NoProposal("no strategy found anything that fits: " + "; ".join(refusals))


def history(ledger: Ledger, runs: Sequence[Run]) -> list[Outcome]:
    """What the strategies may know of runs: what came of each, also of one that waits."""
    verdicts = {d.run_id: d.verdict for d in reversed(ledger.decisions())}  # the newest counts
    return [
        Outcome(config=Config.from_dict(run.config), seed=run.seed or 0,
                budget_tokens=run.budget_tokens or 0, state=run.state, val_bpb=run.val_bpb,
                val_loss=run.val_loss, verdict=verdicts.get(run.id), strategy=run.strategy)
        for run in runs
    ]
