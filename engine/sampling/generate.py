"""Text from a model: batched generation with a cache of keys and values."""

from collections.abc import Iterator, Sequence
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
    """Continue every prompt by up to n_tokens ids, stopping at end-of-text; see Writing.

    returns   the new ids of each text, without prompt and end-of-text
    """
    found: list[list[int]] = [[] for _ in prompts]
    for new in Writing(model, params, prompts, n_tokens, rng, eot_id=eot_id, sampling=sampling):
        for ids, token in zip(found, new, strict=True):
            if token is not None:
                ids.append(token)
    return found


class Writing:
    """Texts that are written together, token by token, until each has ended or was closed.

    prompts   token ids of each text, none of them empty; lengths may differ
    n_tokens  after which a text ends, where no end-of-text came before
    is_open   of each text; who reads along sets it to False to end one, and what the others draw
              stays as it is

    Attention reaches back seq_len tokens at most: when the cache is full, the newer half of the
    text is read again and generation goes on. RWKV's state holds what there was, however long.
    Raises ConfigError for an empty prompt.
    """

    def __init__(self, model: GPT, params: Flat, prompts: Sequence[Sequence[int]], n_tokens: int,
                 rng: np.random.Generator, *, eot_id: int,
                 sampling: Sampling | None = None) -> None:
        if not all(prompts):
            raise ConfigError("a prompt is empty; give at least one token, such as end-of-text")
        self.is_open = [n_tokens > 0] * len(prompts)
        self._prompts, self._n_tokens, self._rng, self._eot_id = prompts, n_tokens, rng, eot_id
        self._how = sampling or Sampling()
        self._reader = _Reader(model, params, len(prompts))

    def __iter__(self) -> Iterator[list[int | None]]:
        """The next id of every text; None for one that has ended, or whose prompt is read still.

        Diverged where the logits are no numbers.
        """
        shortest = min(map(len, self._prompts), default=0)
        texts = [list(prompt[:shortest]) for prompt in self._prompts]
        while any(self.is_open):
            logits = self._reader.read(texts)
            drawn = next_tokens(logits, texts, self._rng, temperature=self._how.temperature,
                                top_k=self._how.top_k, top_p=self._how.top_p,
                                repetition_penalty=self._how.repetition_penalty).tolist()
            yield [self._append(i, text, token)
                   for i, (text, token) in enumerate(zip(texts, drawn, strict=True))]

    def _append(self, i: int, text: list[int], drawn: int) -> int | None:
        """Lengthen a text by its prompt's next token or, behind it, by the one that was drawn."""
        prompt, position = self._prompts[i], len(text)
        if position < len(prompt):
            text.append(prompt[position])
            return None
        text.append(drawn)  # of a text that has ended, too: all have one length
        was_open = self.is_open[i]
        if drawn == self._eot_id or position + 1 >= len(prompt) + self._n_tokens:
            self.is_open[i] = False
        return drawn if was_open and drawn != self._eot_id else None


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
