"""A step as a whole beside what it should be made of: its targets, and its gradient as a sum."""

import math

import numpy as np

from engine.model import Array
from engine.trace.compare import Deviation, compare, evenly, size
from engine.training import Trainer

FAR = 8  # tokens that targets may lie ahead and are still said to
OTHER = 0.1  # by which a factor is none that rounding makes
ROUNDED = 1e-4  # of the size of what is summed up


def strayed(ids: Array, targets: Array) -> str:
    """In words how targets (n, T) are not the tokens that follow ids (n, T); "" where they are."""
    off = targets[:, :-1] != ids[:, 1:]
    if not np.any(off):
        return ""
    for ahead in (0, *range(2, min(FAR, ids.shape[1] - 1) + 1)):
        if np.array_equal(ids[:, ahead:], targets[:, : targets.shape[1] - ahead]):
            return ("they are the tokens that the model is given" if ahead == 0 else
                    f"they lie {ahead} tokens ahead, where one is asked for")
    return f"{int(np.sum(off)):,} of {off.size:,} are not the tokens that follow"


def summed(trainer: Trainer, ids: Array, targets: Array, is_calm: bool) -> Deviation | None:
    """How the gradient of the next step is not the mean of its sequences' ones.

    ids, targets  (n, T) of all passes of that step
    is_calm       whether weights are of a size at which rounding alone changes little

    grads[0] is overwritten. None where anything is not finite: that has a cause of its own.
    """
    if not all(map(math.isfinite, trainer.gradient())):
        return None
    grads, config = trainer.grads[0], trainer.config
    at = evenly(grads.buffer.size)
    actual, mean, noise = grads.buffer[at].astype(np.float64), np.zeros(at.size), 0.0
    for one, wanted in zip(ids, targets, strict=True):
        with np.errstate(all="ignore"):
            trainer.model.loss_and_gradient(trainer.params, grads, one[None], wanted[None])
        mean += grads.buffer[at] / len(ids)
        noise += ROUNDED * size(grads.buffer[at]) / len(ids)
    if not np.all(np.isfinite(mean)):
        return None
    found = compare(actual, mean, {}, {
        "the number of replicas": trainer.n_replicas, "the number of passes": config.grad_accum,
        "the number of sequences": config.batch_size}, noise=noise)
    if found is None or found.kind == "left out":
        return found
    # Large weights make much of what rounding leaves, but no common factor.
    is_other = found.factor is not None and abs(found.factor - 1) > OTHER
    return found if is_other or (is_calm and found.factor is None) else None
