"""Each study in one line of facts: what it is, how far it came, where it stands."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agent.ledger import (
    Calibration,
    Decision,
    Queries,
    current_study,
    is_of_home,
    last_used,
    withdrawn_runs,
    withdrawn_studies,
)
from engine.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """All that `agent studies` shows of one."""

    study: int  # its number
    is_last: bool  # last worked on here: `agent run` goes on with it
    text: str
    start: str  # its baseline, as the table writes it
    config: dict[str, Any]
    budget_tokens: int
    seeds: list[int] | None
    n_runs: int  # of it that ended, in all nights
    n_queued: int
    n_confirmed: int  # batches that fresh seeds confirmed
    confirmed_bpb: float | None  # what they gained together, less what ablations cost
    head: str | None  # label of what the next idea changes
    head_bpb: float | None
    opened_at: str
    last_used_at: str
    is_withdrawn: bool = False  # `agent run` passes over it, until it is named again
    device: str | None = None
    is_of_home: bool = True  # or else another home's, which a merge brought


def study_facts(ledger: Queries) -> list[StudyFacts]:
    """Every study, in the order they began."""
    used, current = last_used(ledger), current_study(ledger)
    of_study: dict[int, list[Decision]] = {}
    for decision in ledger.decisions():
        if decision.verdict in ("confirmed", "ablated"):
            number = ledger.run(decision.run_id).calibration_id or 0
            of_study.setdefault(number, []).append(decision)
    gone = withdrawn_studies(ledger)
    found = (_facts(ledger, one, of_study.get(one.id, []), used[one.id],
                    one == current and is_of_home(ledger, one))
             for one in reversed(ledger.studies()))
    return [dataclasses.replace(one, is_withdrawn=one.study in gone) for one in found]


def _text(ledger: Queries, study: Calibration) -> str:
    return next((one.name for one in ledger.corpora() if one.id == study.corpus_id),
                "deleted from the ledger")


def _facts(ledger: Queries, study: Calibration, decisions: Iterable[Decision], used_at: str,
           is_last: bool) -> StudyFacts:
    head, gone = ledger.incumbent(study.id), withdrawn_runs(ledger)
    runs = [run for run in ledger.study_runs(study.id) if run.id not in gone]
    claims = confirmed_gains(decisions)
    return StudyFacts(
        study=study.id, is_last=is_last, text=_text(ledger, study),
        start=Config.from_dict(study.config).describe(), config=dict(study.config),
        budget_tokens=study.budget_tokens, seeds=study.seeds,
        n_runs=sum(run.state not in ("queued", "running") for run in runs),
        n_queued=sum(run.state == "queued" for run in runs),
        n_confirmed=sum(gain > 0 for gain in claims),
        confirmed_bpb=sum(claims) if claims else None,
        head=head.label if head else None, head_bpb=head.val_bpb if head else None,
        opened_at=study.created_at, last_used_at=used_at, device=study.device,
        is_of_home=is_of_home(ledger, study))


def confirmed_gains(decisions: Iterable[Decision]) -> list[float]:
    """What each confirmed batch of a study claimed, then, below zero, what ablations cost."""
    gains, costs = [], []
    for decision in decisions:
        if "with" in decision.evidence:
            continue  # what the word on another run meant for this one
        if decision.verdict == "confirmed" and "gain_bpb" in decision.evidence:
            gains.append(float(decision.evidence["gain_bpb"]))
        if decision.verdict == "ablated" and "cost_bpb" in decision.evidence:
            costs.append(-max(0.0, float(decision.evidence["cost_bpb"])))
    return gains + costs
