"""What held-out pairs say of a model before and after, with intervals over the pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.alignment.pairs import Batch
from engine.model import GPT, Array, Flat

RESAMPLES, AT_ONCE = 2000, 50
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that says how good a model is at a step; step 0 is before."""

    name: str
    step: int
    value: float
    low: float | None = None  # 95 % interval, where it is a mean over things that vary
    high: float | None = None
    n: int | None = None  # such things
    values: tuple[float, ...] = ()  # of each, where the same are asked before and after


def mean_of(name: str, step: int, values: Array, seed: int = 0) -> Measure:
    """The mean with its 95 % interval, by the percentile bootstrap (Efron 1979) over values (n,).

    The same seed draws the same resamples. Of fewer than two values there is no interval.
    """
    n, mean = values.size, float(np.mean(values)) if values.size else 0.0
    if n < 2:
        return Measure(name, step, mean, None, None, n)
    rng = np.random.default_rng([seed, 3])
    means = np.concatenate([np.mean(values[rng.integers(0, n, (AT_ONCE, n))], axis=1)
                            for _ in range(RESAMPLES // AT_ONCE)])
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Measure(name, step, mean, float(low), float(high), n, tuple(values.tolist()))


def changes(before: Sequence[Measure], after: Sequence[Measure], seed: int) -> list[Measure]:
    """How far each mean has moved, with the interval of the differences of what is the same."""
    known = {one.name: one for one in before}
    return [mean_of(f"{one.name} change", one.step,
                    np.subtract(one.values, known[one.name].values), seed)
            for one in after if one.values and one.name in known]


def of_pairs(step: int, before: Array, after: Array, beta: float, seed: int) -> list[Measure]:
    """What ln P (n, 2) of chosen and rejected, before and after, say of the held-out pairs.

    accuracy  share of pairs whose chosen answer the model itself finds likelier
    win rate  share of pairs whose chosen answer gained more than the other since the reference
    margin    β · how much more it gained, in nats
    """
    right = [(sums[:, 0] > sums[:, 1]).astype(np.float64) for sums in (before, after)]
    gained = (after[:, 0] - before[:, 0]) - (after[:, 1] - before[:, 1])
    old, new = mean_of("accuracy", 0, right[0], seed), mean_of("accuracy", step, right[1], seed)
    return [old, new, *changes([old], [new], seed),
            mean_of("win rate", step, (gained > 0).astype(np.float64), seed),
            mean_of("margin", step, beta * gained, seed)]


def divergence(model: GPT, params: Flat, reference: Flat, batch: Batch) -> Array:
    """KL(π ‖ ρ) of the next token at each scored target of a batch, nats, (n,) float64.

    Over the whole vocabulary, so exact at each token; the tokens are those of the given answers,
    and not drawn from π.
    """
    here, there = (_log_softmax(model.logits(point, batch.ids)[batch.is_scored])
                   for point in (params, reference))
    return np.asarray(np.sum(np.exp(here) * (here - there), axis=1))


def _log_softmax(logits: Array) -> Array:
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))


