"""What a model's card tells of a run: its score with an interval, its text, how it was found."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from agent.analysis.compare import CONFIDENCE, by_seed, noise, runs_alike
from agent.analysis.lineage import Lineage, lineage_of
from agent.ledger import Corpus, Queries, Run, corpus_of
from agent.search import student


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What the ledger knows of a run that a stranger to it needs."""

    run: Run
    corpus: Corpus | None
    verdict: str | None  # the newest
    n_tried: int  # measured runs on its text and budget: among so many it was chosen
    scores_bpb: tuple[float, ...]  # of its configuration, one a seed
    mean_bpb: float | None
    low_bpb: float | None  # 95 % interval of the mean over seeds; None with fewer than two
    high_bpb: float | None
    noise_bpb: float | None  # standard deviation of one run over seeds, of the studies on its text
    lineage: Lineage


def facts_of(ledger: Queries, run: Run) -> CardFacts:
    """The facts of a run; of a row that was not measured here they are few."""
    alike = runs_alike(ledger, run)
    scores = list(by_seed(one for one in alike if one.config_hash == run.config_hash).values())
    low, high = mean_interval(scores)
    decisions = ledger.decisions(run.id, limit=1)
    return CardFacts(
        run=run, corpus=corpus_of(ledger, run), verdict=decisions[0].verdict if decisions else None,
        n_tried=sum(one.val_bpb is not None for one in alike), scores_bpb=tuple(scores),
        mean_bpb=statistics.fmean(scores) if scores else None, low_bpb=low, high_bpb=high,
        noise_bpb=noise(ledger, run), lineage=lineage_of(ledger, run))


def mean_interval(scores: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean by Student's t; none of fewer than two scores."""
    if len(scores) < 2:
        return None, None
    mean, error = statistics.fmean(scores), statistics.stdev(scores) / math.sqrt(len(scores))
    reach = student.quantile((1 + CONFIDENCE) / 2, len(scores) - 1) * error
    return mean - reach, mean + reach
