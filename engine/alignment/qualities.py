"""What can be measured of a story without anybody's opinion, and the pairs made of it.

A continuation has up to four faults: it does not end (no end-of-text, or no sign that ends a
sentence before it); it has a word that the training text does not; it repeats REPEATED tokens in a
row that it had before; it copies more than COPIED tokens in a row from the training text. Of
several continuations of one beginning the one with the fewest faults is preferred to the one with
the most.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from engine.alignment.measure import Measure, mean_of
from engine.alignment.pairs import Pair
from engine.alignment.writer import Leave, Writer
from engine.model import Array
from engine.sampling import Sampling
from engine.text import Tokenizer, quality

BEGUN, TOKENS = 8, 112  # tokens of a beginning, and at most of its continuation
COPIED, REPEATED = 12, 6  # tokens in a row
CHOICES = 4  # continuations of one beginning
BEGINNINGS = 16  # continued at once
AT_ONCE = CHOICES * BEGINNINGS
ENDS = tuple(".!?\"'")
Spoken = tuple[list[int], bool]  # the ids of a continuation, and whether it ended the text
AS_IT_IS = Sampling(temperature=1.0, top_k=None)  # nothing of the model is left out


class Judge:
    """Counts the faults of continuations, against one training text in tokens."""

    def __init__(self, tokens: Array, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._words = quality.words_in(tokens, tokenizer)
        self._copied = quality.hashes_of_runs(tokens, COPIED + 1)
        self._copied.sort()

    def faults(self, ids: Sequence[int], has_ended: bool) -> int:
        """How many of the four kinds of fault a continuation has."""
        text, row = self.tokenizer.decode(ids), np.array(ids, np.uint16)
        runs, copies = (quality.hashes_of_runs(row, n) for n in (REPEATED, COPIED + 1))
        at = np.searchsorted(self._copied, copies).clip(max=max(0, self._copied.size - 1))
        return sum((not (has_ended and text.rstrip().endswith(ENDS)),
                    not set(quality.words(text)) <= self._words,
                    np.unique(runs).size < runs.size,
                    bool(self._copied.size and np.any(self._copied[at] == copies))))


def beginnings(tokens: Array, eot_id: int, n: int, rng: np.random.Generator,
               n_more: int = 0) -> list[list[int]]:
    """The first BEGUN + n_more tokens of n stories drawn of a text, without its end-of-text."""
    starts = np.flatnonzero(tokens[: -BEGUN - 1] == eot_id) + 1
    found = []
    for start in rng.choice(starts, n):
        story = tokens[start : start + BEGUN + n_more].tolist()
        found.append(story[: story.index(eot_id)] if eot_id in story else story)
    return [story for story in found if len(story) >= BEGUN]


def continued(writer: Writer, prompts: Sequence[Sequence[int]],
              rng: np.random.Generator) -> list[Spoken]:
    """What the model writes after each beginning."""
    return [(ids, len(ids) < TOKENS) for ids in writer.after(prompts, TOKENS, rng, AS_IT_IS)]


def made_pairs(writer: Writer, judge: Judge, tokens: Array, seed: int, i: int) -> list[Pair]:
    """The i-th batch of pairs of the model's own continuations of stories of the training text."""
    rng = np.random.default_rng([seed, 8, i])
    prompts = beginnings(tokens, writer.tokenizer.eot_id, BEGINNINGS, rng)
    written = continued(writer, [one for one in prompts for _ in range(CHOICES)], rng)
    found: list[Pair] = []
    for k, prompt in enumerate(prompts):
        own = written[k * CHOICES : (k + 1) * CHOICES]
        faults = [judge.faults(*one) for one in own]
        best, worst = own[int(np.argmin(faults))], own[int(np.argmax(faults))]
        if min(faults) < max(faults):
            found += _pair(writer, prompt, best, worst)
    return found


def _pair(writer: Writer, prompt: Sequence[int], chosen: Spoken, rejected: Spoken) -> list[Pair]:
    """The pair of two continuations; nothing where they are the same."""
    text = writer.tokenizer.decode
    one = Pair(text(prompt), text(chosen[0]), text(rejected[0]), chosen[1], rejected[1])
    return [one] if one.chosen and one.chosen != one.rejected else []


def spin_pairs(writer: Writer, tokens: Array, seed: int, i: int) -> list[Pair]:
    """The i-th batch of pairs of the text's own continuation and the model's.

    Chen et al. 2024, arXiv:2401.01335 (SPIN): the model that writes is the last iterate. Unlike in
    the paper both are cut to as many tokens: else the shorter one is likelier, whatever it says.
    """
    rng = np.random.default_rng([seed, 9, i])
    stories = beginnings(tokens, writer.tokenizer.eot_id, AT_ONCE, rng, TOKENS)
    written = continued(writer, [one[:BEGUN] for one in stories], rng)
    tokenizer, found = writer.tokenizer, list[Pair]()
    for story, (own, _) in zip(stories, written, strict=True):
        again = tokenizer.encode(tokenizer.decode(own))  # as it will be spelt
        n = BEGUN + min(len(story) - BEGUN, len(again))
        found += _pair(writer, story[:BEGUN], (story[BEGUN:n], False), (again[: n - BEGUN], False))
    return found


def stories_exam(writer: Writer, step: int, leave: Leave, *, judge: Judge, tokens: Array,
                 n: int) -> list[Measure]:
    """The share of faultless continuations of n beginnings of held-out stories, and their length.

    The same beginnings and the same draws every time.
    """
    faults, lengths, different = [], [], set()
    for i in range(0, n, AT_ONCE):
        leave(i, n, "stories")
        rng = np.random.default_rng([10, i])
        prompts = beginnings(tokens, writer.tokenizer.eot_id, min(AT_ONCE, n - i), rng)
        for ids, has_ended in continued(writer, prompts, rng):
            faults.append(float(judge.faults(ids, has_ended)))
            lengths.append(float(len(ids)))
            different |= set(itertools.pairwise(ids))
    means = {"faults a story": faults, "faultless stories": [float(not one) for one in faults],
             "tokens a story": lengths}
    return [*(mean_of(name, step, np.array(values)) for name, values in means.items()),
            Measure("distinct-2", step, len(different) / max(1.0, sum(lengths) - len(lengths)))]
