"""What the fitted model sees of a configuration: numbers that training reacts to smoothly.

Besides the fields themselves, on logarithmic lines, these are what theory of training speaks of:
steps, parameters, how far a weight can go, how much of it decays, and where the rate ends.
"""

import math
from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np

from engine.config import Config
from strategies.base import LION_FACTOR

Array = np.ndarray[Any, np.dtype[np.float64]]

NO_DECAY = 1e-4  # stands for a weight decay of zero on a logarithmic line
NO_PART = 1e-3  # the same for parts of a run or of a rate


def features(configs: Sequence[Config], budget_tokens: int) -> Array:
    """One row of a configuration, (N, F)."""
    return np.array([[*_shape(config), *_recipe(config, budget_tokens)] for config in configs])


def _shape(config: Config) -> tuple[float, ...]:
    width, hidden = config.n_embd, config.hidden
    blocks = config.matrix_weights
    table = config.vocab_size * width * (2 - config.tied)
    return (log(width), log(config.n_layer), log(config.n_head), log(config.head_size),
            log(hidden / width), log(config.seq_len), log(config.rope_base),
            log(config.batch_size), log(config.grad_accum), log(config.tokens_per_step),
            log(blocks), log(blocks + table), float(config.tied))


def _recipe(config: Config, budget_tokens: int) -> tuple[float, ...]:
    lion, free = config.optimizer == "lion", config.optimizer == "schedule_free"
    schedule = config.effective_schedule
    cosine, wsd, constant = (float(schedule == name) for name in ("cosine", "wsd", "constant"))
    scale = LION_FACTOR if lion else 1.0
    rate = log(config.lr * scale)
    decay = log(max(config.weight_decay / scale, NO_DECAY))
    n_steps = log(config.steps_for(budget_tokens))
    # A constant rate ends where it began, and nothing of the run is spent on the way down.
    end = 1.0 if constant else max(config.min_lr_frac, NO_PART)
    falling = cosine + wsd * config.decay_frac
    warmup = max(config.warmup_frac, NO_PART)
    mean = max(1 - falling * (1 - end) / 2 - warmup / 2, NO_PART)
    slow1, slow2 = log(1 - config.beta1), log(1 - config.beta2)
    return (n_steps, rate, rate + n_steps, rate + log(config.n_embd),
            rate - 0.5 * log(config.tokens_per_step), rate + log(mean), rate + log(end), log(end),
            falling, wsd * log(max(config.decay_frac, NO_PART)), log(warmup), log(warmup) + n_steps,
            decay, decay + rate + n_steps, math.log1p(math.exp(decay + rate + n_steps)), slow1,
            slow2, slow2 + n_steps, log(config.clip), float(lion), float(free), cosine, wsd,
            constant * (not free), lion * rate, free * rate, (not lion and not free) * rate,
            free * slow1, lion * slow2)
