"""Token files and the batches drawn from them.

A batch is a pure function of (tokens, window, seed, position): nothing has to be remembered to
resume, and a run that was killed sees exactly the text it would have seen.
"""

import tokenize
from pathlib import Path

import numpy as np

from engine.errors import CorpusError
from engine.model import Array


def open_tokens(path: Path, vocab_size: int) -> Array:
    """Memory-mapped token ids, (n,) uint16; CorpusError where the file is not what it should be."""
    try:
        # Not np.load, which would also open archives; the last three are what numpy's header
        # parser raises on bytes that are no header.
        tokens = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, TypeError, SyntaxError, tokenize.TokenError) as error:
        raise CorpusError(f"cannot read tokens from {path}: {error}; delete it and start again, "
                          "the agent makes it anew") from error
    if tokens.dtype != np.uint16 or tokens.ndim != 1:
        raise CorpusError(f"{path} holds {tokens.dtype} of shape {tokens.shape}, not a row of "
                          "uint16 ids; delete it and start again")
    if tokens.size and int(tokens.max()) >= vocab_size:
        raise CorpusError(f"{path} holds id {int(tokens.max())}, outside the vocabulary of "
                          f"{vocab_size}; delete it and start again")
    return np.asarray(tokens)


class Batches:
    """Seeded windows of T + 1 tokens, each token once an epoch.

    An epoch cuts the text into consecutive windows from a random phase and shuffles them, so
    "tokens seen" counts different text until the corpus is used up, and then starts over with
    other cuts. Position counts windows since the start of training.
    """

    def __init__(self, tokens: Array, seq_len: int, seed: int) -> None:
        self.tokens, self.seq_len, self.seed = tokens, seq_len, seed
        # Any phase leaves this many windows, so every epoch has the same length.
        self.n_windows = (tokens.size - seq_len) // seq_len
        if self.n_windows < 1:
            raise CorpusError(f"{tokens.size} training tokens are too few for windows of "
                              f"{seq_len}; use more text or a shorter seq_len")
        self._epoch = -1
        self._starts = np.empty(0, np.int64)

    def take(self, position: int, n_windows: int) -> tuple[Array, Array]:
        """Inputs and targets (n_windows, T) int32: windows position, position + 1, …"""
        starts = np.array([self._start(position + i) for i in range(n_windows)])
        window = self.tokens[starts[:, None] + np.arange(self.seq_len + 1)].astype(np.int32)
        return window[:, :-1], window[:, 1:]

    def _start(self, position: int) -> int:
        epoch, index = divmod(position, self.n_windows)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, 1, epoch])
            slack = self.tokens.size - 1 - self.n_windows * self.seq_len
            phase = int(rng.integers(0, slack + 1))
            self._starts = phase + self.seq_len * rng.permutation(self.n_windows)
            self._epoch = epoch
        return int(self._starts[index])
