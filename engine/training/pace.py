"""How often a training is scored: foreseen without what trains, which is heavy to import."""

import math

from engine.config import Config


def default_eval_every(config: Config, n_steps: int, n_valid_tokens: int) -> int:
    """Steps between evaluations such that they cost about a tenth of the training.

    A forward pass is a third of a step's work. At most 20 evaluations, at least the last one.
    """
    affordable = 0.1 * 3 * n_steps * config.tokens_per_step / max(1, n_valid_tokens)
    return math.ceil(n_steps / min(20, max(1, math.floor(affordable))))
