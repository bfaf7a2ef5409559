"""A shard in blocks of text, which tell how far a score rests on the texts it was taken on.

Blocks are runs of whole stories, equal in number as far as they go, so that they hold the same text
in every vocabulary. A shard of few long stories is cut at even distances in tokens instead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.text.tokenizer import Tokenizer

N_BLOCKS = 64  # at most: twice as many would tell the spread of texts a tenth better
LEAST_STORIES = 16  # with fewer the spread over stories is too uncertain to be of use
LEAST_TOKENS = 64  # of a block that holds no whole story


@dataclass(frozen=True, slots=True)
class Cut:
    """Block i holds the predicted tokens[edges[i] + 1 : edges[i + 1] + 1]."""

    edges: tuple[int, ...]  # from 0 to all predicted tokens, one more than there are blocks
    n_bytes: tuple[int, ...]  # of the text of each block


def cut_blocks(tokens: NDArray[np.uint16], tokenizer: Tokenizer) -> Cut:
    """The blocks of EOT story EOT story … EOT, the first token only context."""
    n_tokens, ends = tokens.size - 1, np.flatnonzero(tokens == tokenizer.eot_id)
    n_stories = ends.size - 1
    if n_stories >= LEAST_STORIES:
        n_blocks = min(N_BLOCKS, n_stories)
        edges = [int(ends[i * n_stories // n_blocks]) for i in range(n_blocks + 1)]
    else:
        n_blocks = max(1, min(N_BLOCKS, n_tokens // LEAST_TOKENS))
        edges = [i * n_tokens // n_blocks for i in range(n_blocks + 1)]
    lengths = np.array([len(piece) for piece in tokenizer.token_bytes])
    lengths[tokenizer.eot_id] = 0  # it parts texts, and is none
    return Cut(tuple(edges), tuple(int(lengths[tokens[start + 1 : end + 1]].sum())
                                   for start, end in zip(edges, edges[1:], strict=False)))
