"""STaR's data: what a model works out right, and what it can explain once the answer is given.

Zelikman et al. 2022, arXiv:2203.14465: right answers are kept with the steps that led to them,
whatever those are; of the wrong ones those that come out right when the answer stands in the
question, which is left out again of what is learnt.
"""

from collections.abc import Sequence

import numpy as np

from engine.alignment.measure import Measure, mean_of
from engine.alignment.pairs import Pair
from engine.alignment.writer import Leave, Writer
from engine.sampling import Sampling
from engine.text import sums

AT_ONCE = 64  # texts that are written side by side
TOKENS = 120  # that a solution has at most
GREEDY = Sampling(temperature=0.0, top_k=None)
MOST_DIGITS = sums.DIGITS + 1  # that are asked: longer ones than any text has
IN_TEXTS = range(1, sums.DIGITS + 1)  # digits of the problems that texts have


def written(writer: Writer, prompts: Sequence[str]) -> list[str]:
    """What the model finds likeliest after each prompt, token by token."""
    found = writer.after([writer.tokenizer.encode(prompt) for prompt in prompts], TOKENS,
                         np.random.default_rng(0), GREEDY)
    return [writer.tokenizer.decode(ids) for ids in found]


def right_answers(writer: Writer, n: int, seed: int, i: int, *,
                  rationalises: bool = True) -> list[Pair]:
    """Examples from the i-th AT_ONCE of n problems that texts may have."""
    rng = np.random.default_rng([seed, 5, i])
    left = sums.problems(min(AT_ONCE, n - i * AT_ONCE), rng, IN_TEXTS)
    found: list[Pair] = []
    for is_hinted in (False, True)[: 1 + rationalises]:
        texts = written(writer, [one.with_hint if is_hinted else one.question for one in left])
        worked, left = list(zip(left, texts, strict=True)), list[sums.Problem]()
        for one, text in worked:
            if one.is_right(text):
                found.append(Pair(one.question, text))
            else:
                left.append(one)
    return found


def plain_answers(n: int, seed: int) -> list[Pair]:
    """As many examples as the text itself would have them: what STaR is compared with."""
    some = sums.problems(n, np.random.default_rng([seed, 6]), IN_TEXTS)
    return [Pair(one.question, one.solution) for one in some]


def sums_exam(writer: Writer, step: int, leave: Leave, *, n: int) -> list[Measure]:
    """The share of right answers to n held-out problems of each number of digits.

    The same problems every time.
    """
    found = []
    for digits in range(1, MOST_DIGITS + 1):
        leave(digits - 1, MOST_DIGITS, "problems")
        asked = sums.problems(n, np.random.default_rng([7, digits]), range(digits, digits + 1),
                         held_out=True)
        right = [one.is_right(text) for i in range(0, n, AT_ONCE) for one, text in zip(
            asked[i:], written(writer, [one.question for one in asked[i : i + AT_ONCE]]),
            strict=False)]
        found.append(mean_of(f"right of {digits} digits", step, np.array(right, float)))
    return found
