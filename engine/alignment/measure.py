"""What held-out pairs say of a model before and after, with intervals over the pairs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.alignment.pairs import Batch
from engine.model import GPT, Array, Flat

RESAMPLES = 2000
CONFIDENCE = 0.95


class Measure(NamedTuple):
    """A number that says how good a model is at a step; step 0 is before."""

    name: str
    step: int
    value: float
    low: float | None = None  # 95 % interval, where it is a mean over things that vary
    high: float | None = None
    n: int | None = None  # such things
    values: Sequence[float] = ()  # of each, where the same are asked before and after


def mean_of(name: str, step: int, values: Array) -> Measure:
    """The mean with its 95 % interval, by the percentile bootstrap (Efron 1979) over values (n,).

    The same values have the same interval. Of fewer than two there is none.
    """
    n, mean = values.size, float(np.mean(values)) if values.size else 0.0
    if n < 2:
        return Measure(name, step, mean, n=n)
    rng = np.random.default_rng(3)
    means = [np.mean(values[rng.integers(0, n, n)]) for _ in range(RESAMPLES)]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Measure(name, step, mean, float(low), float(high), n, values.tolist())


def changes(before: Sequence[Measure], after: Sequence[Measure]) -> list[Measure]:
    """How far each mean has moved, with the interval of the differences of what is the same."""
    known = {one.name: one.values for one in before}
    return [mean_of(f"{one.name} change", one.step, np.subtract(one.values, known[one.name]))
            for one in after if one.values and one.name in known]


def of_pairs(step: int, before: Array, after: Array, beta: float) -> list[Measure]:
    """What ln P (n, 2) of chosen and rejected, before and after, say of the held-out pairs.

    accuracy  share of pairs whose chosen answer the model itself finds likelier
    win rate  share of pairs whose chosen answer gained more than the other since the reference
    margin    β · how much more it gained, in nats
    """
    was, now = (sums[:, 0] - sums[:, 1] for sums in (before, after))
    old, new = (mean_of("accuracy", at, (apart > 0).astype(np.float64))
                for at, apart in ((0, was), (step, now)))
    return [old, new, *changes([old], [new]),
            mean_of("win rate", step, (now > was).astype(np.float64)),
            mean_of("margin", step, beta * (now - was))]


def divergence(model: GPT, params: Flat, reference: Flat, batch: Batch) -> Array:
    """KL(π ‖ ρ) of the next token at each scored target of a batch, nats, (n,) float64.

    Over the whole vocabulary, so exact at each token; the tokens are those of the given answers,
    and not drawn from π.
    """
    logs = []
    for point in (params, reference):
        z = model.logits(point, batch.ids)[batch.is_scored].astype(np.float64)
        z -= z.max(axis=1, keepdims=True)
        logs.append(z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))
    return np.asarray(np.sum(np.exp(logs[0]) * (logs[0] - logs[1]), axis=1))
