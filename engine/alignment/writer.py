"""A model that writes texts to learn from or to be judged by."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine.model import GPT, Flat
from engine.sampling import Sampling, continuations
from engine.text import Tokenizer


class Writer(NamedTuple):
    """A model at a point, with the tokenizer of its texts."""

    model: GPT
    params: Flat
    tokenizer: Tokenizer

    def after(self, prompts: Sequence[Sequence[int]], n_tokens: int, rng: np.random.Generator,
              sampling: Sampling) -> list[list[int]]:
        """Up to n_tokens ids behind each prompt that begins a text, without its end-of-text."""
        eot_id = self.tokenizer.eot_id
        return continuations(self.model, self.params, [[eot_id, *one] for one in prompts],
                             n_tokens, rng, eot_id=eot_id, sampling=sampling)


# Told how many of how many things are asked, and of what; raises Left where that is to be left.
Leave = Callable[[int, int, str], None]
