"""Stories that are the same text: what a model is trained on must not be what judges it.

Two stories are copies where they differ in nothing but white space, line ends among it, a byte
order mark, or the form in which Unicode spells a letter and its accent.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

MOST_SHARED = 0.01  # of a validation file may stand in the training text, too

Key = bytes


def key(story: str) -> Key:
    """The same for copies, and for nothing else."""
    text = unicodedata.normalize("NFC", " ".join(story.replace("\ufeff", " ").split()))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def firsts(stories: Iterable[str]) -> list[str]:
    """The first of every set of copies, in their order."""
    known: dict[Key, str] = {}
    for story in stories:
        known.setdefault(key(story), story)
    return list(known.values())


def without(stories: Sequence[str], others: Iterable[str]) -> list[str]:
    """The stories that are no copy of one of the others."""
    keys = {key(story) for story in others}
    return [story for story in stories if key(story) not in keys]


def are_too_many(n_shared: int, n_valid: int) -> bool:
    """Whether a validation file rests on training text to more than the part that is borne."""
    return n_shared > MOST_SHARED * n_valid
