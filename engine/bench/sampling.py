"""How many tokens a second a model writes, on one core."""

import statistics
from typing import Any

import numpy as np

from engine.bench.clock import seconds
from engine.config import Config
from engine.model import GPT, init_params
from engine.sampling import Sampling, continuations

PROMPTS = (1, 8)
NO_ID = -1  # no text ends early


def sampling_rows(rounds: int) -> list[dict[str, Any]]:
    """Texts of a whole context from prompts of four tokens, one at a time and several at once."""
    config, how = Config(), Sampling()
    model, params, rng = GPT(config), init_params(config, 0), np.random.default_rng(0)
    n_new = config.seq_len - 4
    rows = []
    for n_prompts in PROMPTS:
        prompts = [[1, 2, 3, 4]] * n_prompts

        def write(prompts: list[list[int]] = prompts) -> None:
            continuations(model, params, prompts, n_new, rng, eot_id=NO_ID, sampling=how)

        write()
        spent = statistics.median(seconds(write) for _ in range(rounds))
        rows.append({"config": f"sampling, {config.n_params / 1e6:.1f}M parameters, {n_prompts} "
                               f"prompt{'s' * (n_prompts > 1)}, top-k {how.top_k}",
                     "seconds": spent, "tok_per_s": n_prompts * n_new / spent, "turns": rounds})
    return rows
