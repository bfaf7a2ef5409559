"""What a proposal is made from: the history in the ledger, other studies, an earlier one's head."""

import dataclasses
import math
from collections.abc import Sequence

from agent.ledger import Calibration, Ledger, Run
from agent.search import prior
from agent.search.prior import Elsewhere
from engine.config import Config
from strategies.base import HELD, Limits, Outcome, Proposal, describe_changes, door

WARM_START = "warm_start"
N_WARM = 3  # earlier studies that are heeded
N_OF_STUDY = 60  # of its configurations


def warm_start(ledger: Ledger, study: Calibration, parent: Config, known: Sequence[Outcome],
               limits: Limits) -> Proposal | None:
    """The head of an earlier study that this one has not tried, the newest first.

    On the text in this study's order, whatever that study's was.
    """
    barrier = door(parent, known, limits)
    held = {name: getattr(parent, name) for name in HELD}
    for earlier in _earlier(ledger, study):
        head = ledger.incumbent(earlier.id)
        if head is None or head.strategy == "baseline":
            continue
        config = dataclasses.replace(Config.from_dict(head.config), **held)
        if barrier(config) is None:
            return Proposal(config, f"{describe_changes(parent, config)}: head of study "
                            f"{earlier.id}, of {earlier.budget_tokens:,} tokens a run", WARM_START)
    return None


def _earlier(ledger: Ledger, study: Calibration) -> list[Calibration]:
    """The other studies that are heeded, the newest first."""
    return [one for one in ledger.studies() if one.id != study.id][:N_WARM]


def history(ledger: Ledger, runs: Sequence[Run],
            configs: dict[int, Config] | None = None) -> list[Outcome]:
    """What the strategies may know of runs: what came of each, also of one that waits.

    configs  by run, those known from earlier calls; the others are added
    """
    known = {} if configs is None else configs
    for run in runs:
        if run.id not in known:
            known[run.id] = Config.from_dict(run.config)
    verdicts = {d.run_id: d.verdict for d in reversed(ledger.decisions())}  # the newest counts
    return [
        Outcome(config=known[run.id], seed=run.seed or 0,
                budget_tokens=run.budget_tokens or 0, state=run.state, val_bpb=run.val_bpb,
                val_loss=run.val_loss, verdict=verdicts.get(run.id), strategy=run.strategy,
                is_pruned=run.state == "pruned", rung_bpb=run.rung_bpb,
                is_out_of_memory=run.state == "killed" and "--max-ram" in (run.error or ""))
        for run in runs
    ]


def elsewhere(ledger: Ledger, study: Calibration) -> list[Elsewhere]:
    """What other studies found: those of this ledger, the newest first, then the table's.

    Of the table what is nearest in budget comes first, since the model takes no more than so much.
    """
    found = []
    for earlier in _earlier(ledger, study):
        found += _of_study(ledger, earlier)
    return found + sorted(prior.table()[1], key=lambda row: abs(
        math.log(row.budget_tokens / study.budget_tokens)))


def _of_study(ledger: Ledger, earlier: Calibration) -> list[Elsewhere]:
    """The best configurations of a study, each with its mean over seeds."""
    scores: dict[str, list[float]] = {}
    configs: dict[str, Config] = {}
    for run in ledger.study_runs(earlier.id):
        if run.state == "finished" and run.val_bpb is not None and run.config_hash:
            scores.setdefault(run.config_hash, []).append(run.val_bpb)
            configs.setdefault(run.config_hash, Config.from_dict(run.config))
    best = sorted(scores, key=lambda key: sum(scores[key]) / len(scores[key]))[:N_OF_STUDY]
    return [Elsewhere(f"study {earlier.id}", earlier.budget_tokens, configs[key],
                      sum(scores[key]) / len(scores[key]), len(scores[key])) for key in best]
