"""A beginning of a text's fixed shuffle: whole stories, each once, the shorter in the longer."""

import hashlib

import numpy as np
import pytest

from engine.errors import CorpusError
from engine.training.unique import beginning, n_tokens_of

EOT = 0
SIZES = (3, 7, 2, 11, 5, 1, 4)
# EOT story EOT story … EOT, each story of tokens of its own.
TEXT = np.concatenate([*(np.r_[EOT, np.full(n, 10 + i)] for i, n in enumerate(SIZES)),
                       [EOT]]).astype(np.uint16)


def stories(tokens: np.ndarray) -> list[tuple[int, int]]:
    """(name, length) of each story."""
    parts = np.split(tokens, np.flatnonzero(tokens == EOT))
    return [(int(part[1]), len(part) - 1) for part in parts if len(part) > 1]


def test_so_many_stories_are_whole_and_different() -> None:
    n = n_tokens_of(TEXT, EOT, 3)
    found = stories(beginning(TEXT, EOT, n))
    assert len({name for name, _ in found}) == 3
    assert all(length == SIZES[name - 10] for name, length in found)


def test_a_longer_beginning_holds_the_shorter() -> None:
    few, many = (beginning(TEXT, EOT, n) for n in (9, 25))
    assert np.array_equal(many[:9], few)


def test_all_stories_are_in_the_longest() -> None:
    longest = beginning(TEXT, EOT, TEXT.size - 1)
    assert sorted(stories(longest)) == sorted(stories(TEXT))
    assert longest[0] == EOT


def test_the_shuffle_is_the_same_for_good() -> None:
    text = np.tile(np.r_[EOT, np.arange(1, 9)], 50).astype(np.uint16)
    text[text > 0] += np.repeat(np.arange(50), 8).astype(np.uint16)
    digest = hashlib.sha256(beginning(text, EOT, 300).tobytes()).hexdigest()
    assert digest[:16] == "b9500119ae01e30e"


def test_more_stories_than_there_are_are_all_of_the_text() -> None:
    assert n_tokens_of(TEXT, EOT, len(SIZES)) == n_tokens_of(TEXT, EOT, 99) == TEXT.size


def test_none_is_the_text_as_it_lies() -> None:
    assert beginning(TEXT, EOT, None) is TEXT


@pytest.mark.parametrize("n", [0, TEXT.size])
def test_what_is_no_part_is_refused(n: int) -> None:
    with pytest.raises(CorpusError, match="are no part of the text"):
        beginning(TEXT, EOT, n)
