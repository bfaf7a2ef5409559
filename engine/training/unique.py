"""A beginning of a training text: the first stories of one fixed shuffle of them.

The shuffle depends on nothing but the number of stories, so that every run of a text, on whatever
machine, means the same five stories by "5 stories", and a longer beginning holds a shorter one.
"""

import numpy as np

from engine.errors import CorpusError
from engine.model import Array
from engine.training.data import Stories, story_starts

SEED = 20_240_305  # of the shuffle, for good: another one would be another text


def beginning(tokens: Array, separator: int, n_tokens: int | None) -> Array:
    """The first n_tokens of the shuffled text, (n_tokens,) uint16; a story may be cut at its end.

    tokens     (n,) as in a token file: each story behind a separator, and one behind the last
    separator  the token that stories begin with
    n_tokens   None: the text as it lies
    CorpusError where the text has no more tokens than that: then it is the whole of it
    """
    if n_tokens is None:
        return tokens
    text, starts = _stories(tokens, separator)
    if not 0 < n_tokens < tokens.size:
        raise CorpusError(f"{n_tokens:,} of {tokens.size:,} training tokens are no part of the "
                          "text; queue the grid again")
    n = min(n_tokens, text.size)
    shuffled: Array = text[_shuffled(text, starts).places(np.arange(n))]
    return shuffled


def n_tokens_of(tokens: Array, separator: int, n_stories: int) -> int:
    """How many tokens the first n_stories of the shuffled text are; all of it where it has no
    more."""
    text, starts = _stories(tokens, separator)
    if n_stories >= starts.size:
        return int(tokens.size)
    sizes = np.diff(starts, append=text.size)[_rng().permutation(starts.size)]
    return int(sizes[:n_stories].sum())


def _stories(tokens: Array, separator: int) -> tuple[Array, Array]:
    """The text without the separator behind its last story, and where its stories start."""
    text = tokens[:-1] if tokens.size > 1 and tokens[-1] == separator else tokens
    return text, story_starts(text, separator)


def _shuffled(text: Array, starts: Array) -> Stories:
    return Stories(starts, text.size, _rng())


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)
