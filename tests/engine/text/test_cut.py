"""Blocks hold whole stories, the same in every vocabulary, and each token once."""

import numpy as np
import pytest

from engine.text.cut import LEAST_STORIES, LEAST_TOKENS, N_BLOCKS, cut_blocks
from engine.text.stories.write import write_stories
from engine.text.tokenizer import EOT_ID, Tokenizer

STORIES = list(write_stories(300, seed=1))
BYTES = Tokenizer([])


@pytest.fixture(scope="module")
def trained():
    return Tokenizer.train(STORIES, 400)


@pytest.mark.parametrize(("n_stories", "n_blocks"), [
    (LEAST_STORIES, LEAST_STORIES), (40, 40), (64, 64), (65, N_BLOCKS), (300, N_BLOCKS)])
def test_blocks_end_where_stories_do(n_stories, n_blocks, trained):
    tokens = trained.encode_stories(STORIES[:n_stories])
    found = cut_blocks(tokens, trained)

    assert len(found.n_bytes) == len(found.edges) - 1 == n_blocks
    assert (found.edges[0], found.edges[-1]) == (0, tokens.size - 1)
    assert set(tokens[list(found.edges)]) == {EOT_ID}


def test_a_block_holds_the_same_stories_in_every_vocabulary(trained):
    found = [cut_blocks(one.encode_stories(STORIES), one) for one in (BYTES, trained)]
    of_block = [STORIES[i * 300 // N_BLOCKS : (i + 1) * 300 // N_BLOCKS] for i in range(N_BLOCKS)]

    assert found[0].n_bytes == found[1].n_bytes == tuple(
        sum(len(story.encode()) for story in stories) for stories in of_block)
    assert found[0].edges != found[1].edges


@pytest.mark.parametrize(("length", "n_blocks"), [
    (10_000, N_BLOCKS), (LEAST_TOKENS * 3, 9), (10, 1), (1, 1)])
def test_few_long_stories_are_cut_at_even_distances(length, n_blocks):
    tokens = BYTES.encode_stories(["a" * length] * 3)
    found = cut_blocks(tokens, BYTES)

    assert len(found.n_bytes) == n_blocks
    assert sum(found.n_bytes) == 3 * length
    assert np.ptp(np.diff(found.edges)) <= 1


def test_one_story_more_than_few_is_not_cut_through():
    tokens = BYTES.encode_stories(["a" * 1000] * LEAST_STORIES)

    assert cut_blocks(tokens, BYTES).n_bytes == (1000,) * LEAST_STORIES
