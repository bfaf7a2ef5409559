"""How the loss of each run fell, few points a run, in bits a byte so that all compare."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.ledger import Corpus, Metric, Queries, RunRow

MOST_OTHERS = 30  # runs beside those that are named
MOST_POINTS = 40  # a curve
POINTS_A_DECADE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A run's training loss over the tokens it has seen, and its validation score at the end."""

    label: str
    points: list[tuple[int, float]]  # tokens, bits a byte
    end_bpb: float | None
    is_named: bool  # first, last or a step between them, and not one of the many


def curves_of(ledger: Queries, named: Sequence[RunRow], others: Sequence[RunRow],
              corpora: Mapping[int, Corpus]) -> list[Curve]:
    """The curves of the named runs, in their order, then of some others spread over all."""
    known = {row.id for row in named}
    rest = [row for row in others if row.id not in known]
    stride = max(1, -(-len(rest) // MOST_OTHERS))
    found = [_curve(ledger, row, corpora, row.id in known)
             for row in [*named, *rest[::-1][::stride][::-1]]]
    return [curve for curve in found if len(curve.points) > 1]


def _curve(ledger: Queries, row: RunRow, corpora: Mapping[int, Corpus], is_named: bool) -> Curve:
    corpus = corpora.get(row.corpus_id or 0)
    rate = bits_per_nat(corpus)
    points = [] if rate is None else [
        (tokens, loss * rate) for tokens, loss in thinned(ledger.metrics(row.id))]
    return Curve(label=row.label, points=points, end_bpb=row.val_bpb, is_named=is_named)


def bits_per_nat(corpus: Corpus | None) -> float | None:
    """Bits a byte that a nat a token makes on the validation text; the unigram is known in both."""
    if corpus is None or not corpus.unigram_nats or corpus.unigram_bpb is None:
        return None
    return corpus.unigram_bpb / corpus.unigram_nats


def thinned(metrics: Sequence[Metric]) -> list[tuple[int, float]]:
    """Means of the training loss over stretches of tokens that grow with them.

    Where no training loss was logged the validation loss stands in.
    """
    stretches: dict[int, list[tuple[int, float]]] = {}
    for one in metrics:
        loss = one.val_loss if one.train_loss is None else one.train_loss
        if loss is not None and one.tokens > 0:
            stretch = math.floor(POINTS_A_DECADE * math.log10(one.tokens))
            stretches.setdefault(stretch, []).append((one.tokens, loss))
    return [(sum(tokens for tokens, _ in found) // len(found),
             sum(loss for _, loss in found) / len(found))
            for found in list(stretches.values())[-MOST_POINTS:]]
