"""What a step of alignment minimises on a batch of texts, and its exact gradient.

The margin m of a pair is what the policy's log-probabilities of the two answers are apart, beyond
what the reference's are: m = (ln π(chosen) − ln π(rejected)) − (ln ρ(chosen) − ln ρ(rejected)),
in nats, each a sum over the answer's tokens. β · (ln π − ln ρ) of an answer is its reward.
"""

from dataclasses import dataclass

import numpy as np

from engine.alignment.pairs import Batch
from engine.errors import ConfigError
from engine.model import GPT, Array, Flat

PAIRWISE = ("sigmoid", "conservative", "ipo", "hinge")
EPSILON = 0.1  # share of pairs that `conservative` thinks to be the wrong way round
NATS = "nats"  # no pairs at all: the answers' mean nats a token, as in training on a text


@dataclass(frozen=True, slots=True)
class Recipe:
    """The loss and its constants; checked on construction (ConfigError)."""

    loss: str = "sigmoid"
    beta: float = 0.1  # a nat of margin is worth so much reward

    def __post_init__(self) -> None:
        if self.loss not in (*PAIRWISE, NATS):
            raise ConfigError(f"there is no loss '{self.loss}'; use {', '.join(PAIRWISE)}")
        if not 0.0 < self.beta <= 100.0:
            raise ConfigError(f"beta={self.beta:g} is out of range; use above 0, at most 100, such "
                              "as 0.1")

    @property
    def is_pairwise(self) -> bool:
        return self.loss != NATS

    def of(self, margins: Array) -> tuple[Array, Array]:
        """The loss of each pair, and its slope by the margin: (B,) nats → (B,), (B,).

            sigmoid       −ln σ(βm)                           slope −β σ(−βm)
            conservative  −(1−ε) ln σ(βm) − ε ln σ(−βm)       slope −β ((1−ε) σ(−βm) − ε σ(βm))
            ipo           (m − 1/2β)²                         slope 2 (m − 1/2β)
            hinge         max(0, 1 − βm)                      slope −β where βm < 1

        Sources: Rafailov et al. 2023, arXiv:2305.18290, equation 7; Mitchell 2023, "A note on DPO
        with noisy preferences" (conservative); Azar et al. 2023, arXiv:2310.12036, equation 17
        (IPO); Zhao et al. 2023, arXiv:2305.10425 (hinge).
        """
        beta, scaled = self.beta, self.beta * margins
        if self.loss == "ipo":
            off = margins - 0.5 / beta
            return off * off, 2.0 * off
        if self.loss == "hinge":
            return np.maximum(0.0, 1.0 - scaled), np.where(scaled < 1.0, -beta, 0.0)
        wrong = EPSILON if self.loss == "conservative" else 0.0
        loss = (1 - wrong) * np.logaddexp(0.0, -scaled) + wrong * np.logaddexp(0.0, scaled)
        # σ by tanh, which overflows nowhere; σ(βm) is 1 − σ(−βm).
        return loss, -beta * (0.5 * (1.0 - np.tanh(0.5 * scaled)) - wrong)


def step(model: GPT, params: Flat, grads: Flat, batch: Batch, reference: Array | None,
         recipe: Recipe, share: float, *, accumulate: bool = False) -> Array:
    """Sums over a batch, (3,): losses, pairs whose chosen answer has the larger reward, β · m.

    batch      of pairs the chosen answers (B/2), then the rejected ones; else examples, whose
               losses are their nats and whose other sums are 0
    reference  (B/2, 2) ln ρ of chosen and rejected; None of examples
    grads      receive the gradient of share · Σ loss

    One forward pass gives ln π of every answer, which with the reference says how much each is to
    weigh; the backward pass is that of any training, of Σ weight · nats over the answers' targets.
    """
    nats, cache = model.target_losses(params, batch.ids, batch.targets)
    sums = batch.sums(nats)
    by_text = np.ones(len(sums))  # the slope by its nats: ln π is −Σ nats
    found = np.array([-np.sum(sums), 0.0, 0.0])
    if reference is not None:
        margins = np.subtract(*np.split(sums, 2)) - np.subtract(*reference.T)
        losses, slopes = recipe.of(margins)
        by_text = np.concatenate([-slopes, slopes])
        found = np.array([np.sum(losses), np.sum(margins > 0), recipe.beta * np.sum(margins)])
    weights = batch.is_scored * (share * by_text)[:, None]
    model.weigh(cache, weights.ravel().astype(model.workspace.dtype))
    model.backward(params, grads, cache, accumulate)
    return found
