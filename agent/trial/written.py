"""What a finished model writes, measured beside real text: of each harvest, and when asked for.

Both go on from the same beginnings, in the half of the held-out text that the trigram was not
counted on, for as many tokens in sum, since the share of different n-grams falls with the amount.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from engine.alignment import Measure, mean_of
from engine.errors import CorpusError
from engine.model import GPT, Array, Flat
from engine.sampling import continuations
from engine.text import Tokenizer, quality

TEXTS, AT_ONCE = 64, 16
BEGUN, TOKENS = 8, 120  # of a beginning, and at most of what goes on from it

Texts = list[list[int]]


def measured(model: GPT, params: Flat, tokenizer: Tokenizer, train: Array, held_out: Array, *,
             step: int, seed: int = 0) -> list[Measure]:
    """Each figure of the model's texts and of real text, with its interval over the texts.

    train (N,), held_out (H,)  token ids; empty where held_out is too short for it
    """
    middle = held_out.size // 2
    prompts, real = _real(held_out[middle:], tokenizer.eot_id)
    try:
        yardstick = quality.Yardstick(train, held_out[:middle], tokenizer)
    except CorpusError:
        return []
    if not prompts:
        return []
    rng = np.random.default_rng([seed, 11])
    own = [text for start in range(0, len(prompts), AT_ONCE)
           for text in continuations(model, params, prompts[start : start + AT_ONCE], TOKENS, rng,
                                     eot_id=tokenizer.eot_id)]
    own, real = _as_much(own, real)
    return [*_measures(yardstick.measure(own), "", step),
            *_measures(yardstick.measure(real), quality.REAL, step)]


def _real(tokens: Array, eot_id: int) -> tuple[Texts, Texts]:
    """Beginnings at even distances, of stories where there are enough, and what follows them."""
    last = tokens.size - BEGUN - 2
    stories = np.flatnonzero(tokens[: max(0, last)] == eot_id)
    places = stories if stories.size >= TEXTS else np.arange(max(0, last))
    if not places.size:
        return [], []
    starts = places[np.linspace(0, places.size - 1, min(TEXTS, places.size)).astype(np.int64)]
    prompts = [tokens[i : i + BEGUN].tolist() for i in starts]
    rest = [tokens[i + BEGUN : i + BEGUN + TOKENS].tolist() for i in starts]
    return prompts, [text[: text.index(eot_id)] if eot_id in text else text for text in rest]


def _as_much(own: Texts, real: Texts) -> tuple[Texts, Texts]:
    """Both with as many tokens in sum, those of the longer one from its beginning on."""
    total = min(sum(map(len, own)), sum(map(len, real)))
    return list(_first(own, total)), list(_first(real, total))


def _first(texts: Sequence[list[int]], total: int) -> Iterator[list[int]]:
    for text in texts:
        yield text[:total]
        total -= min(total, len(text))


def _measures(its: quality.Quality, suffix: str, step: int) -> Iterator[Measure]:
    for name, values in its.of_texts().items():
        if values.size:
            yield mean_of(name + suffix, step, values)
    for n in quality.NGRAMS:
        yield Measure(f"distinct-{n}{suffix}", step, its.distinct[n])
