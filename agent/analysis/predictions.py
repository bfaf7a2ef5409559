"""How well the search's model foretold what its ideas would score."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from agent.ledger import Prediction


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions beside what came of them; runs that were given up are not among them."""

    n: int
    n_inside: int  # within the 95 % that were expected
    median_error: float  # size of the error, in parts of the score
    bias: float  # median of score over prediction, less one: below zero it expects too little


def predicted(pairs: Sequence[tuple[Prediction, float]]) -> Predicted | None:
    """Of predictions and scores in bits per byte; None while there are none."""
    errors = [score / one.mean_bpb - 1 for one, score in pairs if one.mean_bpb > 0]
    if not errors:
        return None
    return Predicted(
        len(errors), sum(one.low_bpb <= score <= one.high_bpb for one, score in pairs),
        statistics.median(map(abs, errors)), statistics.median(errors))
