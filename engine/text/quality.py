"""What can be measured of written texts without anybody's opinion; none of it says they are good.

    nats under a trigram   a token, of a trigram counted on held-out text: lower is likelier text
    known words            share of the words that stand in the training text
    distinct-n             different n-grams among all of them: lower is more of the same
    longest copy           tokens in a row that stand so in the training text, the most of each

Each means something beside the same figure of real text of the same lengths. Distinct-n: Li et al.
2016, arXiv:1510.03055, section 5.2, of all the texts together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorpusError
from engine.text.ngram import KneserNey, Tokens, count_ngrams, count_predecessors
from engine.text.tokenizer import Tokenizer

WORD = re.compile(r"[^\W\d_]+")
REAL = " of real text"  # behind a figure's name where it is that of real text
NGRAMS = (2, 3)  # of which distinct-n is told
PIECE = 1 << 20  # tokens of the training text at once
STORIES = 64  # decoded at once
LEAST = 3  # tokens, of which a trigram can be counted


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of some texts, one a text where it can be told of one."""

    nats: NDArray[np.float64]  # (n,) a token, of texts of two tokens or more
    known_words: NDArray[np.float64]  # (n,) of texts that have words
    copied: NDArray[np.int64]  # (n,) tokens
    distinct: dict[int, float]  # by n

    def of_texts(self) -> dict[str, NDArray[np.float64]]:
        """The figures of each text by their names."""
        return {"nats under a trigram": self.nats, "known words": self.known_words,
                "longest copy": self.copied.astype(np.float64)}


class Yardstick:
    """Counts of a training and a held-out text, to hold written texts against.

    train (N,), held_out (H,)  token ids; CorpusError where held_out is too short to count.
    """

    def __init__(self, train: Tokens, held_out: Tokens, tokenizer: Tokenizer) -> None:
        if len(held_out) < LEAST:
            raise CorpusError(f"the held-out text is too short to count, n_tokens={len(held_out)}; "
                              f"give at least {LEAST}")
        self.train, self.tokenizer = train, tokenizer
        size = tokenizer.vocab_size
        counts = [count_ngrams(held_out, order, size) for order in (1, 2, 3)]
        self._trigram = KneserNey([*(count_predecessors(counts[order], order, size)
                                     for order in (1, 2)), counts[2]], size)
        self._words = words_in(train, tokenizer)

    def measure(self, texts: Sequence[Sequence[int]]) -> Quality:
        """The figures of texts in token ids; a text of no tokens has none."""
        rows = [np.array(text, np.uint16) for text in texts if len(text)]
        said = [words(self.tokenizer.decode(row.tolist())) for row in rows]
        return Quality(
            np.array([-np.mean(np.log(self._trigram.probabilities(row)))
                      for row in rows if row.size > 1]),
            np.array([np.mean([one in self._words for one in its]) for its in said if its]),
            longest_copies(rows, self.train), {n: distinct(rows, n) for n in NGRAMS})


def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return WORD.findall(text.lower())


def words_in(tokens: Tokens, tokenizer: Tokenizer) -> set[str]:
    """The words of a text in tokens, which is decoded some stories at a time."""
    ends = np.flatnonzero(tokens == tokenizer.eot_id)[::STORIES].tolist()
    return {word for start, end in zip([0, *ends], [*ends, tokens.size], strict=True)
            for word in words(tokenizer.decode(tokens[start:end].tolist()))}


def distinct(texts: Sequence[Tokens], n: int) -> float:
    """Different n-grams among all n-grams of the texts; 0 where there are none."""
    grams = [tuple(row[i : i + n].tolist()) for row in texts for i in range(row.size - n + 1)]
    return len(set(grams)) / max(1, len(grams))


def longest_copies(texts: Sequence[Tokens], train: Tokens) -> NDArray[np.int64]:
    """The most tokens in a row of each text (n,) that stand so in train (N,).

    Both sides keep the places that still agree as the runs grow, which soon are few. Runs are
    compared by a hash: two that differ share one by a chance of one in 2⁶⁴.
    """
    longest = np.zeros(len(texts), np.int64)
    overlap = max((row.size for row in texts), default=0)
    for start in range(0, train.size, PIECE):
        _extend(longest, texts, train[start : start + PIECE + overlap])
    return longest


def _extend(longest: NDArray[np.int64], texts: Sequence[Tokens], train: Tokens) -> None:
    own, other = _Runs(np.concatenate([*texts, np.zeros(0, np.uint16)])), _Runs(train)
    ends = np.cumsum([row.size for row in texts])
    of_text = np.repeat(np.arange(len(texts)), [row.size for row in texts])
    here, there = np.arange(of_text.size), np.arange(train.size)
    n = 1
    while here.size and there.size:
        here, there = here[here + n <= ends[of_text[here]]], there[there + n <= train.size]
        mine, theirs = own.hashes(here, n), other.hashes(there, n)
        here, there = here[np.isin(mine, theirs)], there[np.isin(theirs, mine)]
        found = of_text[here]
        longest[found] = np.maximum(longest[found], n)
        n += 1


def hashes_of_runs(tokens: Tokens, n: int) -> NDArray[np.uint64]:
    """Of each n tokens in a row, (N − n + 1,); the same run has the same in every text."""
    pieces = [tokens[start : start + PIECE + n - 1] for start in range(0, tokens.size, PIECE)]
    return np.concatenate([np.zeros(0, np.uint64), *(
        _Runs(piece).hashes(np.arange(max(0, piece.size - n + 1)), n) for piece in pieces)])


class _Runs:
    """Hashes of any run of a text: sums of mixed tokens times powers of an odd number mod 2⁶⁴."""

    BASE, MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)

    def __init__(self, tokens: Tokens) -> None:
        mixed = (tokens.astype(np.uint64) + np.uint64(1)) * self.MIX
        mixed ^= mixed >> np.uint64(29)
        base = np.full(tokens.size, self.BASE)
        powers = np.cumprod(base, dtype=np.uint64)
        inverse = np.uint64(pow(int(self.BASE), -1, 1 << 64))
        self._back = np.cumprod(np.full(tokens.size, inverse), dtype=np.uint64)
        self._sums = np.concatenate((np.zeros(1, np.uint64),
                                     np.cumsum(mixed * powers, dtype=np.uint64)))

    def hashes(self, starts: NDArray[np.int64], n: int) -> NDArray[np.uint64]:
        """Of the n tokens from each start on."""
        return (self._sums[starts + n] - self._sums[starts]) * self._back[starts]
