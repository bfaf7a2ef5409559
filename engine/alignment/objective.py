"""What a step of alignment minimises on a batch of texts, and its exact gradient."""

from dataclasses import dataclass

import numpy as np

from engine.alignment.losses import NATS, PAIRWISE, preference
from engine.alignment.pairs import Batch
from engine.errors import ConfigError
from engine.model import GPT, Array, Flat


@dataclass(frozen=True, slots=True)
class Recipe:
    """The loss and its constants; checked on construction (ConfigError)."""

    loss: str = "sigmoid"
    beta: float = 0.1  # a nat of margin is worth so much reward
    epsilon: float = 0.1  # share of pairs thought to be the wrong way round: conservative alone

    def __post_init__(self) -> None:
        if self.loss not in (*PAIRWISE, NATS):
            raise ConfigError(f"there is no loss '{self.loss}'; use {', '.join(PAIRWISE)}")
        if not 0.0 < self.beta <= 100.0:
            raise ConfigError(f"beta={self.beta:g} is out of range; use above 0, at most 100, such "
                              "as 0.1")
        if not 0.0 <= self.epsilon < 0.5:
            raise ConfigError(f"epsilon={self.epsilon:g} is no share of wrong pairs; use 0 or "
                              "more, below 0.5")

    @property
    def is_pairwise(self) -> bool:
        return self.loss != NATS


@dataclass(frozen=True, slots=True)
class Found:
    """Of the pairs of a batch; sums, so that parts of a step add up."""

    loss: float
    n_right: int = 0  # pairs whose chosen answer has the larger reward
    margin: float = 0.0  # β · m, the rewards of chosen and rejected apart

    def __add__(self, other: "Found") -> "Found":
        return Found(self.loss + other.loss, self.n_right + other.n_right,
                     self.margin + other.margin)


def pair_step(model: GPT, params: Flat, grads: Flat, batch: Batch, reference: Array,
              recipe: Recipe, share: float, *, accumulate: bool = False) -> Found:
    """Sums over the pairs of a batch; grads receive the gradient of share · Σ loss.

    batch      the chosen answers of all pairs (B/2), then the rejected ones
    reference  (B/2, 2) ln ρ of chosen and rejected

    One forward pass gives ln π of every answer, which with the reference says how much each is to
    weigh; the backward pass is that of any training, of Σ weight · nats over the answers' targets.
    """
    nats, cache = model.target_losses(params, batch.ids, batch.targets)
    chosen, rejected = np.split(batch.sums(nats), 2)
    margins = (chosen - reference[:, 0]) - (rejected - reference[:, 1])
    losses, slopes = preference(recipe.loss, margins, recipe.beta, recipe.epsilon)
    by_text = share * np.concatenate([-slopes, slopes])  # by its nats: ln π is −Σ nats
    _backward(model, params, grads, cache, batch, by_text, accumulate)
    return Found(float(np.sum(losses)), int(np.sum(margins > 0)),
                 recipe.beta * float(np.sum(margins)))


def example_step(model: GPT, params: Flat, grads: Flat, batch: Batch, share: float, *,
                 accumulate: bool = False) -> Found:
    """The sum of the answers' nats; grads receive the gradient of share · that."""
    nats, cache = model.target_losses(params, batch.ids, batch.targets)
    by_text = np.full(len(batch.ids), share)
    _backward(model, params, grads, cache, batch, by_text, accumulate)
    return Found(-float(np.sum(batch.sums(nats))))


def _backward(model: GPT, params: Flat, grads: Flat, cache: object, batch: Batch, by_text: Array,
              accumulate: bool) -> None:
    weights = batch.is_scored * by_text[:, None]
    model.weigh(cache, weights.ravel().astype(model.workspace.dtype))
    model.backward(params, grads, cache, accumulate)
