"""The choice of the next token from the logits: penalty, temperature, top-k, top-p, one draw.

Letters for axes: B rows, V vocabulary. Wherever two tokens are equally likely and only one may
stay, it is the one with the smaller id, so that every machine chooses alike.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import ConfigError, Diverged

Float64s = NDArray[np.float64]
Ids = Sequence[int] | NDArray[np.integer]


def next_tokens(logits: NDArray[np.floating], history: Sequence[Ids], rng: np.random.Generator, *,
                temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
                repetition_penalty: float = 1.0) -> NDArray[np.int32]:
    """One token id for each row (B,), int32.

    logits              (B, V)  any float dtype, left untouched; −inf forbids a token
    history             B lists or arrays of the ids so far, which the penalty is for
    temperature         divides the logits; 0 takes the likeliest token and draws nothing
    top_k               only the k likeliest tokens; None or k ≥ V for all
    top_p               of these, only the nucleus: the fewest that together reach top_p
    repetition_penalty  makes each token of the history less likely; 1 does not

    Each row uses one number of rng.random(B), so what it draws does not depend on other rows.
    ConfigError for settings out of range, Diverged for logits that are not finite.
    Sources: Fan et al. 2018, arXiv:1805.04833 (top-k); Holtzman et al. 2020, arXiv:1904.09751
    (nucleus); Keskar et al. 2019, arXiv:1909.05858 (penalty).
    """
    _check(temperature, top_k, top_p, repetition_penalty)
    z = np.array(logits, dtype=np.float64)
    if not np.isfinite(z.max(axis=1)).all():
        raise Diverged("the logits hold NaN or infinity, or forbid every token; "
                       "the weights are of no use")
    with np.errstate(over="ignore"):  # extreme settings reach their limit, −inf
        if repetition_penalty != 1.0:
            _penalise(z, history, repetition_penalty)
        if temperature == 0.0:
            return np.asarray(z.argmax(axis=1), dtype=np.int32)
        z -= z.max(axis=1, keepdims=True)
        z /= temperature
    if top_k is not None and top_k < z.shape[1]:
        _keep_top_k(z, top_k)
    p = np.exp(z, out=z)
    if top_p is not None and top_p < 1.0:
        _keep_nucleus(p, top_p)
    return _draw(p, rng)


def _check(temperature: float, top_k: int | None, top_p: float | None,
           repetition_penalty: float) -> None:
    if not (math.isfinite(temperature) and temperature >= 0.0):
        raise ConfigError(f"temperature={temperature} is out of range; use 0 for the likeliest "
                          "token, or a positive number such as 0.8")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k={top_k} leaves no token to choose; use 1 or more")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ConfigError(f"top_p={top_p} is not a share of probability; use above 0, at most 1")
    if not (math.isfinite(repetition_penalty) and repetition_penalty >= 1.0):
        raise ConfigError(f"repetition_penalty={repetition_penalty} is out of range; "
                          "use 1 for none, or more, such as 1.2")


def _penalise(z: Float64s, history: Sequence[Ids], penalty: float) -> None:
    """Divide the positive logits of a row's history by the penalty, in place, multiply others.

    Keskar et al. divide all; a negative logit would become likelier by that. A token that
    occurs often is penalised once.
    """
    for row, ids in zip(z, history, strict=True):
        seen = np.asarray(ids, dtype=np.intp)
        said = row[seen]
        row[seen] = np.where(said > 0.0, said / penalty, said * penalty)


def _keep_top_k(z: Float64s, k: int) -> None:
    """Set all but the k largest of each row to −inf, in place."""
    least = np.partition(z, -k, axis=1)[:, -k, None]  # (B, 1)
    above, ties = z > least, z == least
    spare = k - np.count_nonzero(above, axis=1, keepdims=True)
    z[~(above | (ties & (np.cumsum(ties, axis=1) <= spare)))] = -np.inf


def _keep_nucleus(p: Float64s, top_p: float) -> None:
    """Set all of each row to 0 but the fewest likeliest that hold top_p of its sum, in place."""
    order = np.argsort(-p, axis=1, kind="stable")
    likeliest_first = np.take_along_axis(p, order, axis=1)
    reached = np.cumsum(likeliest_first, axis=1)
    without = reached[:, :-1] >= top_p * reached[:, -1:]  # those before already suffice
    likeliest_first[:, 1:][without] = 0.0
    np.put_along_axis(p, order, likeliest_first, axis=1)


def _draw(p: Float64s, rng: np.random.Generator) -> NDArray[np.int32]:
    """Inverse of the cumulative sums; p (B, V) need not be normalised."""
    sums = np.cumsum(p, axis=1)
    target = rng.random(len(p)) * sums[:, -1]  # below the last sum, so some token is past it
    return np.asarray(np.count_nonzero(sums <= target[:, None], axis=1), dtype=np.int32)
