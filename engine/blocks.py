"""How attention is cut into blocks: what it computes by and what a Config foresees of its memory.

Without numpy, so that a Config can be read without it.
"""

QUERIES = 64  # in a block: fewer waste less of the square, more feed BLAS better
SCORES = 1 << 17  # in a block: 512 kB, half of a common level-2 cache


def attention_blocks(n_batch: int, n_head: int, n_time: int,
                     before: int) -> list[tuple[slice, slice]]:
    """(sequences, query times) of each block: so many scores as stay in the level-2 cache."""
    n_queries = min(n_time, QUERIES)
    n_rows = max(1, SCORES // (n_head * n_queries * (before + n_time)))
    return [(slice(row, min(row + n_rows, n_batch)), slice(time, min(time + n_queries, n_time)))
            for row in range(0, n_batch, n_rows) for time in range(0, n_time, n_queries)]

CHUNK = 16  # times that RWKV's recurrence takes at once: a power of two, measured from 8 to 64


def time_chunk(n_time: int) -> int:
    """Times in a chunk: the whole of a short text, in a power of two."""
    return min(CHUNK, 1 << (n_time - 1).bit_length())


def padded(n_time: int) -> int:
    """Times of a sequence that fills its last chunk."""
    chunk = time_chunk(n_time)
    return -(-n_time // chunk) * chunk


def rwkv_ranks(n_embd: int) -> tuple[int, int]:
    """Ranks of what chooses mixtures and decays: up to the published ones."""
    return min(32, max(4, n_embd // 16)), min(64, max(4, n_embd // 8))
