"""The next experiment: history from the ledger, a strategy by its luck so far, one that fits."""

from collections.abc import Sequence

import numpy as np

from agent.ledger import Calibration, Ledger, Run
from engine.config import Config
from engine.errors import NoProposal
from strategies import STRATEGIES, tpe
from strategies.base import Limits, Outcome, Proposal, describe_changes, scores, why_not

WARM_START = "warm_start"
N_WARM = 3  # earlier studies whose head is tried


def propose(parent: Config, known: Sequence[Outcome], names: Sequence[str], seed: Sequence[int],
            limits: Limits) -> Proposal:
    """The first proposal that fits, of the strategies in the order given.

    tpe comes last until its model has results to go by: its draws from the whole space cost a
    short night more than they teach. A function of its arguments alone. Raises NoProposal with
    every strategy's reason where none has anything.
    """
    rng = np.random.default_rng(list(seed))
    is_blind = len(scores(known, limits.budget_tokens)) < tpe.N_RANDOM
    refusals = []
    for name in sorted(names, key=lambda name: is_blind and name == "tpe"):
        try:
            return STRATEGIES[name](parent, known, rng, limits)
        except NoProposal as refusal:
            refusals.append(str(refusal))
    raise NoProposal("no strategy found anything that fits: " + "; ".join(refusals))


def warm_start(ledger: Ledger, study: Calibration, parent: Config, known: Sequence[Outcome],
               limits: Limits) -> Proposal | None:
    """The head of an earlier study that this one has not tried, the newest first."""
    tried = {outcome.config.hash for outcome in known} | {parent.hash}
    for earlier in [one for one in ledger.studies() if one.id != study.id][:N_WARM]:
        head = ledger.incumbent(earlier.id)
        if head is None or head.strategy == "baseline":
            continue
        config = Config.from_dict(head.config)
        if config.hash not in tried and why_not(config, limits) is None:
            return Proposal(config, f"{describe_changes(parent, config)}: head of study "
                            f"{earlier.id}, of {earlier.budget_tokens:,} tokens a run", WARM_START)
    return None


def history(ledger: Ledger, runs: Sequence[Run]) -> list[Outcome]:
    """What the strategies may know of runs: what came of each, also of one that waits."""
    verdicts = {d.run_id: d.verdict for d in reversed(ledger.decisions())}  # the newest counts
    return [
        Outcome(config=Config.from_dict(run.config), seed=run.seed or 0,
                budget_tokens=run.budget_tokens or 0, state=run.state, val_bpb=run.val_bpb,
                val_loss=run.val_loss, verdict=verdicts.get(run.id), strategy=run.strategy,
                is_pruned=run.state == "pruned", rung_bpb=run.rung_bpb,
                is_out_of_memory=run.state == "killed" and "--max-ram" in (run.error or ""))
        for run in runs
    ]
