"""Which fields of the configuration mattered: by a model of all runs, and along the chain.

The model says what a field does over all values that were tried, wherever the best run stands; the
chain says what was gained by the steps that were taken. A field that is well set from the start
has a share and no gain.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from agent.analysis.anova import Anova, Share, functional_anova
from agent.analysis.compare import pooled_sigma
from agent.analysis.lineage import Lineage, lineage_of
from agent.analysis.places import Column, columns_of
from agent.ledger import Queries, Run, State
from engine.config import Config
from engine.errors import LedgerError
from strategies.base import Outcome, Scored, changed_fields, scores

LEAST = 10  # configurations, below which a surface is not worth fitting
NOTHING, MUCH = 0.01, 0.1  # an interval from below the one to above the other tells nothing
JUDGED = ("finished", "pruned", "diverged")
MODEL = ("functional ANOVA of a Gaussian process with a part for each field and pair of fields; "
         "numbers even between the least and the largest tried, choices even")

MOST_JUDGED = 2000  # runs that are looked at
History = tuple[list[Scored], list[int]]


class Judged(Protocol):
    """What is asked of a run's row, whichever of its columns were read."""

    @property
    def id(self) -> int: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def state(self) -> State: ...
    @property
    def val_bpb(self) -> float | None: ...
    @property
    def rung_bpb(self) -> float | None: ...


Row = TypeVar("Row", bound=Judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Configurations with their scores, the best first, and what a surface over them says."""

    trials: list[Scored]
    found: Anova
    columns: list[Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """One field and its share of the variance over what was tried."""

    name: str
    title: str
    share: float  # the median; where others move with it, of them together
    low: float  # 95 % interval
    high: float
    told: bool  # whether the runs say something about this field by itself
    others: tuple[str, ...]  # fields that no run tells apart from it; "with" in JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainGain:
    """What the steps of the chain gained that changed these fields and no others."""

    fields: tuple[str, ...]
    gain_bpb: float
    n_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All that `agent importance` shows."""

    text: str
    budget_tokens: int
    n_runs: int
    n_configs: int
    n_points: int  # configurations that the model was fitted to
    model: str
    best_bpb: float
    worst_bpb: float
    fields: list[Importance]  # the most important first
    never_changed: list[str]
    pairs: Share  # of all pairs of fields, beyond what each does by itself
    largest_pairs: list[Share]
    first: str | None  # labels of the ends of the chain; None where it has not begun
    last: str | None
    total_bpb: float | None  # the chain's gain from end to end
    chain: list[ChainGain]  # the largest first

    def as_dict(self) -> dict[str, Any]:
        """For JSON: as the fields stand above, but that `others` is named `with`."""
        found = asdict(self)
        for one in found["fields"]:
            one["with"] = one.pop("others")
        return found


def rank(ledger: Queries, text_sha256: str, budget_tokens: int, head: Run | None) -> Ranking:
    """The fields by importance over all runs of a text and budget; LedgerError if too few ended.

    head is the end of the chain whose gains stand beside; None where there is none yet.
    """
    runs = looked_at(ledger.runs_on(text_sha256, budget_tokens))
    outcomes = [outcome_of(run, run.config, budget_tokens) for run in runs]
    fit = fitted(outcomes, budget_tokens, pooled_sigma(
        one for one in ledger.calibrations(text_sha256) if one.budget_tokens == budget_tokens))
    if fit is None:
        n = len(history(outcomes, budget_tokens)[0])
        raise LedgerError(
            f"importance takes at least {LEAST} configurations that ended on one text and budget, "
            f"and here are {n} with {budget_tokens:,} tokens; `agent run` makes more")
    trials, found, columns = fit.trials, fit.found, fit.columns
    chain = None if head is None else lineage_of(ledger, head)
    return Ranking(
        text=next(corpus.name for corpus in ledger.corpora() if corpus.text_sha256 == text_sha256),
        budget_tokens=budget_tokens, n_runs=len(runs), n_configs=len(trials),
        n_points=found.n_points, model=MODEL, best_bpb=min(one.bpb for one in trials),
        worst_bpb=max(one.bpb for one in trials), fields=importances(found, columns),
        never_changed=[one.name for one in columns if one.is_fixed],
        pairs=found.pairs, largest_pairs=found.largest_pairs,
        first=chain.steps[0].run.label if chain else None,
        last=chain.steps[-1].run.label if chain else None,
        total_bpb=chain.total.bpb if chain and chain.total else None,
        chain=gains_by_fields(chain) if chain else [])


def outcome_of(run: Judged, config: dict[str, Any], budget_tokens: int) -> Outcome:
    """A run that was judged, as the search counts it: also what diverged or was pruned."""
    return Outcome(config=Config.from_dict(config), seed=run.seed or 0,
                   budget_tokens=budget_tokens, state=run.state, val_bpb=run.val_bpb,
                   is_pruned=run.state == "pruned", rung_bpb=run.rung_bpb)


def looked_at(runs: Sequence[Row]) -> list[Row]:
    """The runs that were judged, oldest first: of very many the best half of MOST_JUDGED, and
    others evenly.
    """
    judged = [run for run in runs if run.state in JUDGED]
    if len(judged) <= MOST_JUDGED:
        return judged
    half = MOST_JUDGED // 2
    judged.sort(key=lambda run: (math.inf if run.val_bpb is None else run.val_bpb, run.id))
    rest = judged[half:]
    return sorted([*judged[:half], *rest[::-(-len(rest) // half)]], key=lambda run: run.id)


def history(outcomes: Sequence[Outcome], budget_tokens: int) -> History:
    """Configurations with their mean bits per byte, the best first, and how many seeds each had."""
    n_seeds = Counter(outcome.config.hash for outcome in outcomes)
    trials = scores(outcomes, budget_tokens)
    return trials, [n_seeds[one.config.hash] for one in trials]


def fitted(outcomes: Sequence[Outcome], budget_tokens: int, sigma: float | None) -> Fitted | None:
    """The surface of all outcomes, for `agent importance` and the page; None of fewer than LEAST
    configurations.

    sigma  of one seed, bits a byte
    """
    trials, n_seeds = history(outcomes, budget_tokens)
    if len(trials) < LEAST:
        return None
    columns = columns_of([one.config for one in trials])
    found = functional_anova(columns, np.array([one.bpb for one in trials]),
                             (sigma or 0.0) ** 2 / np.array(n_seeds))
    return Fitted(trials=trials, found=found, columns=columns)


def gains_by_fields(chain: Lineage) -> list[ChainGain]:
    """The gains of the steps by what they changed; one that changed several is not divided."""
    found: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for before, step in zip(chain.steps, chain.steps[1:], strict=False):
        if step.gain is not None:
            names = changed_fields(*(Config.from_dict(one.run.config) for one in (before, step)))
            found[tuple(names)].append(step.gain.bpb)
    return sorted((ChainGain(fields=names, gain_bpb=sum(gains), n_steps=len(gains))
                   for names, gains in found.items()), key=lambda one: -one.gain_bpb)


def importances(found: Anova, columns: Sequence[Column]) -> list[Importance]:
    """A field a row, the most important first; `columns` tell their titles."""
    titles = {column.name: column.title for column in columns}
    return [Importance(name=name, title=titles[name], share=one.share, low=one.low, high=one.high,
                       told=_is_told(one),
                       others=tuple(other for other in one.names if other != name))
            for one in found.fields for name in one.names]


def _is_told(one: Share) -> bool:
    return len(one.names) == 1 and not (one.low < NOTHING and one.high > MUCH)
