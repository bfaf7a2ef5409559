"""Sums and comparisons with worked steps, a text whose answers can be checked.

    4 7 + 8 5 = 7 + 5 = 1 2 , 4 + 8 + 1 = 1 3 . So 1 3 2
    four one or three nine , more ? four > three . So four one
    ( 7 ) 3 + 4 = 3 + 4 = 7 . So 7                              its answer given, to be explained

Every digit stands alone, so that a vocabulary of any size reads them as they are. A fifth of all
pairs of operands is in no text, by a hash of them alone.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SUMS_VERSION = 1  # raise it when the text of a seed changes
DIGITS = 3  # of the longest operands in a text; longer ones tell how far what was learnt reaches
HELD_OUT = 0.2  # of all pairs of operands
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = {**{str(i): name for i, name in enumerate(NAMES)}, "+": "plus", "=": "is"}
ENDING = " . So "


@dataclass(frozen=True, slots=True)
class Problem:
    """A question, its worked steps and its answer; the steps end with the answer."""

    question: str
    solution: str
    answer: str
    digits: int

    @property
    def with_hint(self) -> str:
        """The question behind its answer, which is to be explained."""
        return f"( {self.answer} ) {self.question}"

    def is_right(self, text: str) -> bool:
        """Whether a text that follows the question ends in its answer, whatever its steps."""
        return text.rpartition(ENDING)[2].strip() == self.answer and ENDING in text


def write_sums(n: int, seed: int) -> Iterator[str]:
    """n problems with their solutions, one in five with its answer given in advance."""
    rng, hints = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    for problem in problems(n, rng, range(1, DIGITS + 1)):
        is_hinted = hints.random() < 0.2
        yield (problem.with_hint if is_hinted else problem.question) + problem.solution


def problems(n: int, rng: np.random.Generator, digits: range, *,
             held_out: bool = False) -> list[Problem]:
    """n problems of so many digits, seven in ten of them sums and a quarter in words.

    held_out  whether those with operands that no text has, or those that texts may have
    """
    found: list[Problem] = []
    while len(found) < n:
        size = int(rng.integers(digits.start, digits.stop))
        low = 10 ** (size - 1) if size > 1 else 0
        a, b = (int(x) for x in rng.integers(low, 10**size, 2))
        is_sum, in_words = rng.random() < 0.7, rng.random() < 0.25
        if (is_sum or a != b) and _is_held(a, b) == held_out:
            found.append((_sum if is_sum else _comparison)(str(a), str(b), in_words))
    return found


def _is_held(a: int, b: int) -> bool:
    digest = hashlib.sha256(f"{min(a, b)} {max(a, b)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


def _sum(a: str, b: str, in_words: bool) -> Problem:
    steps, carry = [], 0
    for x, y in zip(reversed(a), reversed(b), strict=True):
        total = int(x) + int(y) + carry
        steps.append(f"{x} + {y}{' + 1' if carry else ''} = {' '.join(str(total))}")
        carry = total // 10
    return _spelt(f"{' '.join(a)} + {' '.join(b)} =", " , ".join(steps), str(int(a) + int(b)),
                  len(a), in_words)


def _comparison(a: str, b: str, in_words: bool) -> Problem:
    steps = []
    for x, y in zip(a, b, strict=True):
        steps.append(f"{x} {'=' if x == y else '>' if x > y else '<'} {y}")
        if x != y:
            break
    return _spelt(f"{' '.join(a)} or {' '.join(b)} , more ?", " , ".join(steps), max(a, b), len(a),
                  in_words)


def _spelt(question: str, steps: str, answer: str, digits: int, in_words: bool) -> Problem:
    def spelt(text: str) -> str:
        return " ".join(WORDS.get(word, word) for word in text.split(" ")) if in_words else text

    told = " ".join(answer)
    return Problem(spelt(question), spelt(f" {steps}{ENDING}{told}"), spelt(told), digits)
