"""Token files and the batches drawn from them.

A batch is a pure function of (tokens, window, order, seed, position): nothing has to be remembered
to resume, and a run that was killed sees exactly the text it would have seen.

    pass 1          pass 2          pass 3          the stream: the text again and again, each time
    ├───────────────┼───────────────┼────────────   turned to another start, its stories shuffled
    │  w0  │  w1  │  w2  │  w3  │  w4  │  w5  │    where that is asked for; targets tile it
"""

import tokenize
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.errors import CorpusError
from engine.model import Array

PIECE = 1 << 20  # tokens in which separators are looked for at once


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


@dataclass(frozen=True, slots=True)
class Pass:
    """Once through the text: where its windows start in the stream, and what of the text is there.
    """

    first: int  # position of its first window, counted since the start of training
    starts: Array  # (n_windows,) of its windows in the stream, in the order they are taken
    turn: int  # place in the text at which it begins
    stories: "Stories | None" = None  # None: as they lie


class Stories:
    """The stories of a text in another order; 16 bytes for each of them, 40 while it is made.

    A story is a separator with what follows it up to the next one; what is before the first
    counts as one, too.
    """

    def __init__(self, starts: Array, n_tokens: int, rng: np.random.Generator) -> None:
        order = rng.permutation(starts.size)
        sizes = np.diff(starts, append=n_tokens)[order]
        self._ends = np.cumsum(sizes)
        # From a place in the new order to that in the text: what its story was moved by.
        self._moved = starts[order] - (self._ends - sizes)

    def places(self, at: Array) -> Array:
        """Where in the text the tokens at these places of the new order are."""
        places: Array = at + self._moved[np.searchsorted(self._ends, at, side="right")]
        return places


def story_starts(tokens: Array, separator: int) -> Array:
    """Where the stories of a text start, (n_stories,) int64; looked for in pieces of 2 MB."""
    found = [low + np.flatnonzero(tokens[low:low + PIECE] == separator)
             for low in range(0, tokens.size, PIECE)]
    starts: Array = np.concatenate([np.zeros(1, np.int64), *found])
    return starts[1:] if starts.size > 1 and starts[1] == 0 else starts


def linear_pass(n: int, seq_len: int, number: int, rng: np.random.Generator) -> Pass:
    """Windows from a random phase on as long as they fit; up to 2T − 1 tokens are left out.

    Starts favour some residues unless T divides n − 1: kept for runs that began so.
    """
    n_windows = (n - seq_len) // seq_len  # any phase leaves so many
    phase = int(rng.integers(0, n - n_windows * seq_len))
    starts = number * n + phase + seq_len * rng.permutation(n_windows)
    return Pass(number * n_windows, starts, 0)


def circular_pass(n: int, seq_len: int, number: int, rng: np.random.Generator) -> Pass:
    """The windows whose targets begin in a pass from a random turn; the last goes on into the next.

    Each pass, from 1 on, has every token as a target exactly once, and every place of the text is
    equally likely to be where a window starts.
    """
    turn = int(rng.integers(0, n))
    first, end = (-(-i * n // seq_len) for i in (number - 1, number))
    starts = n - 1 + seq_len * (first + rng.permutation(end - first))
    return Pass(first, starts, turn)


ORDERS: dict[str, Callable[[int, int, int, np.random.Generator], Pass]] = {
    "circular": circular_pass, "linear": linear_pass}


class Batches:
    """Seeded windows of T + 1 tokens, each token once a pass.

    A pass is cut at other places than the one before, and its windows are shuffled, so "tokens
    seen" counts different text until the corpus is used up. Position counts windows since the
    start of training. CorpusError where the text has no two windows.

    order      how windows lie in a pass, by its name in ORDERS
    separator  the token that stories begin with, to shuffle them each pass; None leaves them
    """

    def __init__(self, tokens: Array, seq_len: int, seed: int, order: str = "circular",
                 separator: int | None = None) -> None:
        self.tokens, self.seq_len, self.seed, self.order = tokens, seq_len, seed, order
        if tokens.size < 2 * seq_len:
            raise CorpusError(f"{tokens.size} training tokens are too few for windows of "
                              f"{seq_len}; use more text or a shorter seq_len")
        self._story_starts = None if separator is None else story_starts(tokens, separator)
        self._passes: dict[int, Pass] = {}  # the last one used, and the one a window goes on into

    def take(self, position: int, n_windows: int) -> tuple[Array, Array]:
        """Inputs and targets (n_windows, T) int32: windows position, position + 1, …"""
        starts = np.array([self._start(position + i) for i in range(n_windows)])
        window = self.tokens[self._places(starts[:, None] + np.arange(self.seq_len + 1))]
        window = window.astype(np.int32)
        return window[:, :-1], window[:, 1:]

    def _start(self, position: int) -> int:
        """Where in the stream a window starts."""
        n, per_pass = self.tokens.size, self.tokens.size // self.seq_len - 1
        number = (position // per_pass if self.order == "linear"
                  else position * self.seq_len // n + 1)
        found = self._pass(number)
        return int(found.starts[position - found.first])

    def _places(self, at: Array) -> Array:
        """Where in the text the tokens at these places of the stream are."""
        n = self.tokens.size
        numbers = at // n
        places = np.empty_like(at)
        for number in np.unique(numbers):
            found, here = self._pass(int(number)), numbers == number
            within = (at[here] - number * n + found.turn) % n
            places[here] = within if found.stories is None else found.stories.places(within)
        return places

    def _pass(self, number: int) -> Pass:
        if number not in self._passes:
            rng = np.random.default_rng([self.seed, 1, number])
            found = ORDERS[self.order](self.tokens.size, self.seq_len, number, rng)
            if self._story_starts is not None:
                found = replace(found, stories=Stories(self._story_starts, self.tokens.size, rng))
            self._passes = {other: one for other, one in self._passes.items()
                            if abs(other - number) == 1} | {number: found}
        return self._passes[number]
