"""N-gram yardsticks: what counting alone scores, so that a transformer has honest opponents.

Every order is interpolated Kneser–Ney with the three discounts of Chen and Goodman 1998
(Harvard TR-10-98, section 4.1.6, "modified"), fitted on the training tokens. For an n-gram
context·w that occurs c times, read from the highest order down to the uniform 1/V:

    p(w | context) = (c − D(c)) / Σc  +  (Σ D over the context's words / Σc) · p(w | shorter)

c is how often the n-gram occurs at the highest order, and how many different tokens precede
it at the lower ones; D(0) = 0; an unseen context leaves p(w | shorter) as it is. So the unigram
is the counts, less a discount that gives unseen tokens their share of the uniform.

Letters for axes: N training tokens, T tokens scored, U distinct n-grams, V vocabulary.
An n-gram is one int64 key, its tokens the digits in base V: 32,768³ is 2⁴⁵.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorpusError

Tokens = NDArray[np.integer]
Counts = tuple[NDArray[np.int64], NDArray[np.int64]]  # sorted keys (U,) and their counts (U,)

ORDERS = ("unigram", "bigram", "trigram")
# For counts 1, 2 and 3 or more, where a text is too regular or too small to estimate them:
# KenLM's --discount_fallback.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """Losses in nats/token on the validation tokens, of guessing and of counting."""

    uniform: float
    unigram: float
    bigram: float
    trigram: float

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Self:
        """Yardsticks from plain values; a mapping that holds more, as a ledger row, will do."""
        return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})


def yardsticks(train: Tokens, valid: Tokens, vocab_size: int) -> Yardsticks:
    """Every yardstick, fitted on train and scored on valid[1:].

    train (N,), valid (T,)  token ids, uint16

    The first token of valid is context only, as it is for the model. CorpusError for ids outside
    the vocabulary, or too few tokens to count or to score.
    """
    for name, tokens, least in (("training", train, 3), ("validation", valid, 2)):
        if len(tokens) < least:
            raise CorpusError(f"the {name} text is too short for n-grams, n_tokens={len(tokens)}; "
                              f"give at least {least}")
        if int(tokens.max()) >= vocab_size:
            raise CorpusError(f"the {name} text holds token {int(tokens.max())}, outside a "
                              f"vocabulary of {vocab_size}; encode it with the same tokenizer")
    counts = [count_ngrams(train, order, vocab_size) for order in (1, 2, 3)]
    lower = [count_predecessors(counts[order], order, vocab_size) for order in (1, 2)]
    losses = {"uniform": float(np.log(vocab_size))}
    for order, name in enumerate(ORDERS, start=1):
        model = KneserNey([*lower[:order - 1], counts[order - 1]], vocab_size)
        losses[name] = float(-np.mean(np.log(model.probabilities(valid))))
    return Yardsticks(**losses)


def count_ngrams(tokens: Tokens, order: int, vocab_size: int) -> Counts:
    """Distinct n-grams of a text (N,), in the order of their keys, and how often each occurs."""
    return np.unique(_keys(tokens, order, vocab_size), return_counts=True)


def count_predecessors(longer: Counts, order: int, vocab_size: int) -> Counts:
    """Distinct n-grams, and how many different tokens precede each; longer: the (n+1)-grams."""
    return np.unique(longer[0] % vocab_size**order, return_counts=True)


class KneserNey:
    """The n-gram model of one order: a table for each level, the unigram's first."""

    def __init__(self, counts: Sequence[Counts], vocab_size: int) -> None:
        """counts: one of each order from 1 to n, none empty, of occurrences or predecessors."""
        self.vocab_size = vocab_size
        self._levels = [_level(*level, vocab_size) for level in counts]

    def probabilities(self, tokens: Tokens) -> NDArray[np.float64]:
        """Of each token but the first, given those before it: (..., T) → (..., T − 1).

        A position with less history than the order asks for uses the levels it can fill.
        """
        n_scored = tokens.shape[-1] - 1
        p = np.full((*tokens.shape[:-1], n_scored), 1.0 / self.vocab_size)
        for order, level in enumerate(self._levels, start=1):
            grams = _keys(tokens, order, self.vocab_size)
            grams = grams[..., max(0, 2 - order):]  # the first token is never scored
            reached = p[..., n_scored - grams.shape[-1]:]  # a view into p
            reached *= _look_up(level.contexts, level.left, grams // self.vocab_size, missing=1.0)
            reached += _look_up(level.grams, level.kept, grams, missing=0.0)
        return p


class _Level(NamedTuple):
    grams: NDArray[np.int64]  # (U,) sorted keys
    kept: NDArray[np.float64]  # (U,) what each keeps of its context's probability
    contexts: NDArray[np.int64]  # sorted keys, one digit shorter
    left: NDArray[np.float64]  # what each context leaves to the level below


def _level(grams: NDArray[np.int64], counts: NDArray[np.int64], vocab_size: int) -> _Level:
    contexts = grams // vocab_size
    start = np.flatnonzero(np.diff(contexts, prepend=-1))  # sorted: each context is one stretch
    total = np.add.reduceat(counts, start)
    discount = _discounts(counts)[np.minimum(counts, 3)]
    kept = (counts - discount) / np.repeat(total, np.diff(start, append=len(grams)))
    return _Level(grams, kept, contexts[start], np.add.reduceat(discount, start) / total)


def _discounts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a count of 0, 1, 2 and 3 or more gives up, from how many n-grams have each count.

        D(i) = i − (i + 1) · Y · n(i+1) / n(i)          Y = n(1) / (n(1) + 2 n(2))

    All three fall back together unless each lies inside (0, i), where p stays positive.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    i = np.arange(1, 4)
    if n[i].all():
        found = i - (i + 1) * n[1] / (n[1] + 2 * n[2]) * n[i + 1] / n[i]
        if np.all((found > 0) & (found < i)):
            return np.concatenate(([0.0], found))
    return np.array((0.0, *FALLBACK_DISCOUNTS))


def _keys(tokens: Tokens, order: int, vocab_size: int) -> NDArray[np.int64]:
    """Keys of all n-grams of the last axis, by position of their last token: T → T − order + 1."""
    n_grams = max(0, tokens.shape[-1] - order + 1)
    keys = tokens[..., :n_grams].astype(np.int64)
    for digit in range(1, order):
        keys *= vocab_size
        keys += tokens[..., digit:digit + n_grams]
    return keys


def _look_up(keys: NDArray[np.int64], values: NDArray[np.float64], wanted: NDArray[np.int64],
             missing: float) -> NDArray[np.float64]:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], missing)
