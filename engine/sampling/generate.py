"""Text from a model: batched generation with a cache of keys and values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import ConfigError
from engine.model import GPT, Array, Flat, Past
from engine.sampling.choose import next_tokens


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; see engine/sampling/choose.py."""

    temperature: float = 0.8
    top_k: int | None = 40
    top_p: float | None = None
    repetition_penalty: float = 1.0


def continuations(model: GPT, params: Flat, prompts: Sequence[Sequence[int]], n_tokens: int,
             rng: np.random.Generator, *, eot_id: int,
             sampling: Sampling | None = None) -> list[list[int]]:
    """Continue every prompt by up to n_tokens ids, stopping at end-of-text.

    prompts   token ids of each text, none of them empty; lengths may differ
    returns   the new ids of each text, without prompt and end-of-text

    Attention reaches back seq_len tokens at most: when the cache is full, the newer half of the
    text is read again and generation goes on. RWKV's state holds what there was, however long.
    Raises ConfigError for an empty prompt.
    """
    if not all(prompts):
        raise ConfigError("a prompt is empty; give at least one token, such as end-of-text")
    how = sampling or Sampling()
    lengths = [len(prompt) for prompt in prompts]
    texts = [list(prompt[: min(lengths)]) for prompt in prompts]
    reader = _Reader(model, params, len(prompts))
    logits = reader.read(texts)
    is_open = [n_tokens > 0] * len(prompts)
    while any(is_open):
        position = len(texts[0])
        drawn = next_tokens(logits, texts, rng, temperature=how.temperature, top_k=how.top_k,
                            top_p=how.top_p, repetition_penalty=how.repetition_penalty).tolist()
        for i, prompt in enumerate(prompts):
            token = prompt[position] if position < lengths[i] else drawn[i]
            texts[i].append(token)
            if position >= lengths[i] and token == eot_id:
                is_open[i] = False
            if position + 1 >= lengths[i] + n_tokens:
                is_open[i] = False
        if any(is_open):
            logits = reader.read(texts)
    return [_until(text[n : n + n_tokens], eot_id)
            for text, n in zip(texts, lengths, strict=True)]


class _Reader:
    """Feeds a model the tokens it has not read yet."""

    def __init__(self, model: GPT, params: Flat, n_batch: int) -> None:
        self.model, self.params = model, params
        self.past = Past(model.config, n_batch)
        self.n_read = 0

    def read(self, texts: Sequence[Sequence[int]]) -> Array:
        """Logits (B, V) of the next token; all texts have the same length."""
        length, room = len(texts[0]), self.past.room
        if room is not None and self.past.length + length - self.n_read > room:
            self.past.forget()
            self.n_read = length - room // 2  # room for as much again before the next re-read
        while True:  # a long text in pieces of what training reads at once
            start, self.n_read = self.n_read, min(length, self.n_read + self.model.config.seq_len)
            new = np.array([text[start : self.n_read] for text in texts], dtype=np.int32)
            logits = self.model.next_logits(self.params, new, self.past)
            if self.n_read == length:
                return logits


def _until(ids: list[int], eot_id: int) -> list[int]:
    return ids[: ids.index(eot_id)] if eot_id in ids else ids
