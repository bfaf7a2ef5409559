"""Losses on pairs of answers: how much likelier the better one has become than the worse one.

The margin m of a pair is what the policy's log-probabilities of the two answers are apart, beyond
what the reference's are: m = (ln π(chosen) − ln π(rejected)) − (ln ρ(chosen) − ln ρ(rejected)),
in nats, each a sum over the answer's tokens. β · (ln π − ln ρ) of an answer is its reward.
"""

import numpy as np

from engine.errors import ConfigError
from engine.model import Array

PAIRWISE = ("sigmoid", "conservative", "ipo", "hinge")
NATS = "nats"  # no pairs at all: the answers' mean nats a token, as in training on a text


def preference(kind: str, margins: Array, beta: float,
               epsilon: float = 0.1) -> tuple[Array, Array]:
    """The loss of each pair, and its slope by the margin: margins (B,) nats → (B,), (B,).

        sigmoid       −ln σ(βm)                                    slope −β σ(−βm)
        conservative  −(1−ε) ln σ(βm) − ε ln σ(−βm)                slope −β ((1−ε) σ(−βm) − ε σ(βm))
        ipo           (m − 1/2β)²                                  slope 2 (m − 1/2β)
        hinge         max(0, 1 − βm)                               slope −β where βm < 1

    epsilon  the share of pairs that are thought to be the wrong way round; conservative alone

    ConfigError for another kind. Sources: Rafailov et al. 2023, arXiv:2305.18290, equation 7;
    Mitchell 2023, "A note on DPO with noisy preferences" (conservative); Azar et al. 2023,
    arXiv:2310.12036, equation 17 (IPO); Zhao et al. 2023, arXiv:2305.10425 (hinge).
    """
    scaled = beta * margins
    if kind == "sigmoid":
        return np.logaddexp(0.0, -scaled), -beta * _sigmoid(-scaled)
    if kind == "conservative":
        loss = (1 - epsilon) * np.logaddexp(0.0, -scaled) + epsilon * np.logaddexp(0.0, scaled)
        return loss, -beta * ((1 - epsilon) * _sigmoid(-scaled) - epsilon * _sigmoid(scaled))
    if kind == "ipo":
        off = margins - 0.5 / beta
        return off * off, 2.0 * off
    if kind == "hinge":
        return np.maximum(0.0, 1.0 - scaled), np.where(scaled < 1.0, -beta, 0.0)
    raise ConfigError(f"there is no loss '{kind}'; use {', '.join(PAIRWISE)}")


def _sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), by tanh, which overflows nowhere."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
