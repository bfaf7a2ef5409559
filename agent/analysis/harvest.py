"""What a harvest grows from, and what came of it: from rows of the ledger to a plan and a verdict.

The law of size and data is fitted to the grid's runs on the study's text where they are enough;
else a guess is made of the way the night's own runs took (scaling/growth.py).
"""

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent import words
from agent.analysis.scaling import Grown, Observed, growth, law_draws, observed_run
from agent.analysis.winner import MOST_SAMPLES, ReadSamples, Sample, spread
from agent.analysis.written import Written, told_of_text, written_in
from agent.ledger import (
    Calibration,
    Corpus,
    Prediction,
    Queries,
    Run,
    grid_cells,
    is_of_law,
    measures,
    parent_of,
    prediction_of,
)
from agent.search import harvest as of_search
from engine.config import Config
from engine.errors import UserError
from strategies.base import Limits, rate_at, repaired, resized
from strategies.base import why_not as why_not_run
from strategies.legal import legal_width

N_DRAWS = 400  # of the law
FACTORS = tuple(1.25**i for i in range(18))  # of the matrices' parameters, to 44 times
TOGETHER = ("baseline", "confirm")  # runs whose seeds chose nothing
WIDE = 2.0  # of an interval, its upper end over its lower: beyond that it is told how wide it is
OF_SIZE = ("n_embd", "n_layer", "n_head", "n_kv_head", "n_hidden", "lr")


@dataclass(frozen=True, slots=True)
class Source:
    """The run to grow, what is known of it, and the laws it is grown by."""

    run: Run
    config: Config
    ground: growth.Ground
    laws: growth.Laws
    bits: float  # bits a byte that one nat a token is on this text
    why_guess: str | None  # what the ledger lacks for a law
    n_others: int = 0  # runs of other sizes or amounts of tokens that a guess goes by, too

    def prediction(self, found: Grown[Config]) -> Prediction:
        """What is expected of the grown run, in bits per byte."""
        its = found.expected
        return Prediction(*(self.bits * nats for nats in (its.mean, its.low, its.high)))

    def guess(self, found: Grown[Config]) -> str:
        """That the prediction is one, from what, and why to doubt it; nothing of a law's."""
        if self.why_guess is None:
            return ""
        n, label = len(self.ground.way), self.run.label
        way = (f"the loss at {n} point{'s' if n > 1 else ''} on the way of {label}" if n
               else f"the score of {label} alone")
        its = "" if self.ground.n_runs < 2 else f" and its repeats, {self.ground.n_runs} runs"
        others = f" and {words.runs(self.n_others)} beside it" if self.n_others else ""
        width = found.expected.high / found.expected.low
        doubts = [f"the upper end is {width:.0f} times the lower"] if width > WIDE else []
        if self.ground.grams and found.expected.mean < self.ground.grams[1] <= self.ground.loss:
            least = f"{self.bits * self.ground.grams[1]:.3f}"
            doubts.append(f"it is below the trigram's {least}, which {label} has not reached")
        doubt = f"; count on little of it: {', and '.join(doubts)}" if doubts else ""
        return f"that score is a guess, from {way}{its}{others}{doubt}"


def source_of(ledger: Queries, run: Run, study: Calibration | None) -> Source:
    """What is known of a run that is to be grown. UserError where it has no score."""
    if run.state != "finished" or run.val_loss is None or not run.val_bpb or run.corpus_id is None:
        raise UserError(f"{run.label} is {run.state} and has no score, so nothing can be grown of "
                        "it; name a run that has finished, which `agent runs` lists")
    corpus = ledger.corpus(run.corpus_id)
    config = Config.from_dict(run.config)
    same = [one for one in _finished(ledger, corpus) if one.config_hash == run.config_hash
            and one.budget_tokens == run.budget_tokens]
    fair = [one for one in same if one.strategy in TOGETHER] or same or [run]
    losses = [one.val_loss for one in fair if one.val_loss is not None]
    sigma = None
    if study and study.sigma_bpb and study.mean_bpb:
        sigma = study.sigma_bpb / study.mean_bpb
    ground = growth.Ground(
        float(config.matrix_weights), float(run.tokens or run.budget_tokens or 0),
        float(corpus.n_tokens_train or math.inf), statistics.fmean(losses), len(losses), sigma,
        config.effective_schedule,
        (corpus.bigram_nats, corpus.trigram_nats) if corpus.bigram_nats and corpus.trigram_nats
        else None, _way(ledger, fair))
    groups = _groups(ledger, corpus)
    laws, why = _laws(ledger, corpus, ground, groups)
    return Source(run, config, ground, laws, run.val_bpb / run.val_loss, why,
                  sum(map(len, groups)))


def _finished(ledger: Queries, corpus: Corpus) -> list[Run]:
    return [one for one in ledger.runs("finished") if one.corpus_id == corpus.id
            and one.source == "measured" and one.val_loss and one.tokens]


def _way(ledger: Queries, runs: Sequence[Run]) -> tuple[tuple[float, float], ...]:
    """Losses at shares of these runs, the mean over them where all were scored."""
    found: dict[float, list[float]] = defaultdict(list)
    for run in runs:
        for metric in ledger.metrics(run.id):
            if metric.val_loss is not None and metric.tokens < (run.tokens or 0):
                found[round(metric.tokens / (run.tokens or 1), 4)].append(metric.val_loss)
    return tuple((share, statistics.fmean(losses)) for share, losses in sorted(found.items())
                 if len(losses) == max(map(len, found.values())))


# --- laws ------------------------------------------------------------------------------------


def _laws(ledger: Queries, corpus: Corpus, ground: growth.Ground,
          groups: list[list[tuple[float, float, float]]]) -> tuple[growth.Laws, str | None]:
    rows = observed(ledger, corpus)
    try:
        return growth.laws_of(law_draws(rows, N_DRAWS)), None
    except UserError as refusal:
        return growth.laws_guessed(ground, groups), str(refusal)


def observed(ledger: Queries, corpus: Corpus) -> list[Observed]:
    """The points of the law among the cells of grids on a text: no check beside it."""
    cells = grid_cells(ledger)
    return [observed_run(run, corpus, cells.get(run.id)) for run in _finished(ledger, corpus)
            if run.strategy == "grid" and is_of_law(cells.get(run.id))]


def _groups(ledger: Queries, corpus: Corpus) -> list[list[tuple[float, float, float]]]:
    """Runs on a text that differ in size and tokens alone, in groups of more than one cell."""
    found: dict[str, dict[tuple[float, float], list[float]]] = defaultdict(
        lambda: defaultdict(list))
    for run in _finished(ledger, corpus):
        config = Config.from_dict(run.config)
        recipe = {name: value for name, value in config.canonical().items()
                  if name not in OF_SIZE}
        rate = rate_at(config.lr, config.optimizer, 1 / config.n_embd)
        key = f"{sorted(recipe.items())} {rate:.2g}"
        found[key][float(config.matrix_weights), float(run.tokens or 0)].append(run.val_loss or 0.0)
    return [[(n, d, statistics.fmean(losses)) for (n, d), losses in cells.items()]
            for cells in found.values() if len({d for _, d in cells}) > 1]


# --- the plan --------------------------------------------------------------------------------


def shapes(source: Source, limits: Limits, seconds: float) -> list[growth.Shape[Config]]:
    """The configuration itself and larger ones that the limits allow, with the most tokens that
    so many seconds allow each; limits.run_s is known."""
    base, found = source.config, dict[str, growth.Shape[Config]]()
    run_s = limits.run_s
    assert run_s is not None
    for factor in FACTORS:
        side = factor ** (1 / 3)  # of width² × layers, in proportion
        width = base.n_embd if factor == 1 else legal_width(base.n_embd * side)
        layers = max(base.n_layer, round(
            base.n_layer * base.matrix_weights * factor
            / repaired(base, resized(base, width, base.n_layer)).matrix_weights))
        config = repaired(base, resized(base, width, min(layers, 2 * base.n_layer + 1)))
        if config.hash in found or config.matrix_weights < base.matrix_weights:
            continue
        tokens = growth.most_tokens(_timed(run_s, config), config.tokens_per_step, seconds)
        if tokens and why_not_run(config, dataclasses.replace(
                limits, budget_tokens=tokens, max_s=None)) is None:
            found[config.hash] = growth.Shape(config, float(config.matrix_weights), tokens)
    return list(found.values())


def _timed(run_s: Callable[[Config, int], float], config: Config) -> Callable[[int], float]:
    return lambda tokens: run_s(config, tokens)


def grow(source: Source, limits: Limits, seconds: float) -> Grown[Config]:
    """What the laws prefer of all that time, memory and text allow. UserError where nothing is."""
    found = growth.grow(source.laws, source.ground, shapes(source, limits, seconds))
    if found is None:
        raise UserError(f"{source.run.label} took {source.ground.d:,.0f} tokens, and in "
                        f"{math.floor(max(0.0, seconds))} s not even so many can be trained here; "
                        "give the harvest more time")
    if found.config.hash == source.config.hash and found.tokens < 1.2 * source.ground.d:
        raise UserError(f"{source.run.label} would be trained again as it is, since "
                        f"{'its text' if found.bound == 'text' else 'the time'} allows "
                        f"{found.tokens:,} tokens and it took {source.ground.d:,.0f}; give the "
                        f"harvest {'more text' if found.bound == 'text' else 'more time'}")
    return found


# --- what came of it -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Harvested:
    """A harvest as it is told."""

    label: str
    of: str | None  # the run that was grown
    state: str
    reason: str | None
    n_params: int
    tokens: int  # of its plan
    foretold: Prediction | None
    measured_bpb: float | None
    verdict: str | None
    samples: list[Sample] = field(default_factory=list)
    text: list[Written] = field(default_factory=list)  # what was measured of what it writes

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """What it is, what came of it and what it writes, in lines of a terminal."""
        size, amount = words.counted(self.n_params), words.counted(self.tokens)
        first = f"harvest {self.label}: {size} parameters on {amount} tokens"
        told = [] if self.foretold is None else [
            f"foretold {self.foretold.mean_bpb:.3f} ({self.foretold.low_bpb:.3f} to "
            f"{self.foretold.high_bpb:.3f})"]
        if self.measured_bpb is not None:
            told.append(f"measured {self.measured_bpb:.3f}")
        its = [f"{first},", f"{', '.join(told)}: {self.verdict or self.state}"] if told else [
            f"{first}: {self.verdict or self.state}"]
        return its + told_of_text(self.text)


def harvested(ledger: Queries, run: Run, samples: Sequence[Sample] = ()) -> Harvested:
    """One harvest with what was foretold of it."""
    said = [one.verdict for one in ledger.decisions(run.id, limit=1)]
    parent = parent_of(ledger, run)
    return Harvested(run.label, parent.label if parent else None, run.state, run.reason,
                     run.n_params or 0, run.budget_tokens or 0, prediction_of(ledger, run.id),
                     run.val_bpb, said[0] if said else None, list(samples),
                     written_in(measures(ledger, run.id)))


def harvests(ledger: Queries, study: int,
             read_samples: ReadSamples = lambda _uid: ()) -> list[Harvested]:
    """What was grown of the runs of a study, oldest first, with texts of the newest that has any.
    """
    found = [run for run in ledger.runs() if run.strategy == of_search.HARVEST
             and (parent := parent_of(ledger, run)) and parent.calibration_id == study]
    return [harvested(ledger, run, spread(read_samples(run.uid), MOST_SAMPLES)[-1:]
                      if run is found[-1] else ()) for run in found]
