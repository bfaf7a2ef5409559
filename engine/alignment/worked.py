"""STaR's data: what a model works out right, and what it can explain once the answer is given.

Zelikman et al. 2022, arXiv:2203.14465: right answers are kept with the steps that led to them,
whatever those are; of the wrong ones those that come out right when the answer stands in the
question, which is left out again of what is learnt.
"""

from collections.abc import Callable, Sequence

import numpy as np

from engine.alignment.measure import Measure, mean_of
from engine.alignment.pairs import Pair
from engine.errors import Left
from engine.model import GPT, Flat
from engine.sampling import Sampling, continuations
from engine.text import Tokenizer
from engine.text import sums as sums_text

AT_ONCE = 64  # texts that are written side by side
TOKENS = 120  # that a solution has at most
GREEDY = Sampling(temperature=0.0, top_k=None)


def written(model: GPT, params: Flat, tokenizer: Tokenizer, prompts: Sequence[str]) -> list[str]:
    """What the model finds likeliest after each prompt, token by token."""
    starts = [[tokenizer.eot_id, *tokenizer.encode(prompt)] for prompt in prompts]
    found = continuations(model, params, starts, TOKENS, np.random.default_rng(0),
                          eot_id=tokenizer.eot_id, sampling=GREEDY)
    return [tokenizer.decode(ids) for ids in found]


def right_answers(model: GPT, params: Flat, tokenizer: Tokenizer, n: int, seed: int,
                  i: int) -> list[Pair]:
    """Examples from the i-th AT_ONCE of n problems that texts may have."""
    rng = np.random.default_rng([seed, 5, i])
    left = sums_text.problems(min(AT_ONCE, n - i * AT_ONCE), rng, range(1, sums_text.DIGITS + 1))
    found: list[Pair] = []
    for hinted in (False, True):
        prompts = [one.with_hint if hinted else one.question for one in left]
        texts = written(model, params, tokenizer, prompts) if left else []
        wrong = []
        for one, text in zip(left, texts, strict=True):
            if one.is_right(text):
                found.append(Pair(one.question, text))
            else:
                wrong.append(one)
        left = wrong
    return found


def plain_answers(n: int, seed: int) -> list[Pair]:
    """As many examples as the text itself would have them: what STaR is compared with."""
    some = sums_text.problems(n, np.random.default_rng([seed, 6]), range(1, sums_text.DIGITS + 1))
    return [Pair(one.question, one.solution) for one in some]


def sums_exam(model: GPT, params: Flat, step: int, leave: Callable[[int, int], bool], *,
              tokenizer: Tokenizer, n: int, most_digits: int) -> list[Measure]:
    """The share of right answers to n held-out problems of each number of digits.

    The same problems every time; those above sums.DIGITS are longer than any text has.
    """
    found = []
    for digits in range(1, most_digits + 1):
        if leave(digits - 1, most_digits):
            raise Left(f"the problems at step {step} were left, as asked")
        rng = np.random.default_rng([7, digits])
        asked = sums_text.problems(n, rng, range(digits, digits + 1), held_out=True)
        texts = [text for i in range(0, n, AT_ONCE) for text in written(
            model, params, tokenizer, [one.question for one in asked[i : i + AT_ONCE]])]
        right = [one.is_right(text) for one, text in zip(asked, texts, strict=True)]
        found.append(mean_of(f"right of {digits} digits", step, np.array(right, float)))
    return found
