"""How a pass is cut into blocks, and how much memory a training so takes: what the model computes
by, and what a Config foresees of its own run.

Without numpy, so that a Config can be read without it.
"""

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from engine.config import Config

QUERIES = 64  # in a block: fewer waste less of the square, more feed BLAS better
SCORES = 1 << 17  # in a block: 512 kB, half of a common level-2 cache
CHUNK = 16  # times that RWKV's recurrence takes at once: a power of two, measured from 8 to 64
EVAL_TOKENS = 1024  # rows of one evaluation pass: decides memory, not the score's meaning
EVAL_LOGITS = 1 << 20  # evaluation computes the head in row blocks of at most so many logits
SCHULZ_STEPS = 5  # of Newton and Schulz's iteration that makes Muon's update orthogonal
ENTRY = 100  # multiply-adds in whose time one entry is updated: agent/search/feasible.py's COSTS


def attention_blocks(n_batch: int, n_head: int, n_time: int,
                     before: int) -> list[tuple[slice, slice]]:
    """(sequences, query times) of each block: so many scores as stay in the level-2 cache."""
    n_queries = min(n_time, QUERIES)
    n_rows = max(1, SCORES // (n_head * n_queries * (before + n_time)))
    return [(slice(row, min(row + n_rows, n_batch)), slice(time, min(time + n_queries, n_time)))
            for row in range(0, n_batch, n_rows) for time in range(0, n_time, n_queries)]


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


# --- memory ----------------------------------------------------------------------------------


def workspace_floats(config: "Config", n_rows: int) -> int:
    """Entries of every buffer that a step on n_rows sequences and an evaluation take.

    Counts what engine/model asks a Workspace for; a test holds the two equal.
    """
    c, f, v, time = config.n_embd, config.hidden, config.vocab_size, config.seq_len
    n_eval_rows = max(1, EVAL_TOKENS // time)
    n, n_eval = n_rows * time, n_eval_rows * time
    both = max(n, n_eval)  # what evaluation shares with training
    kept = ((config.n_layer - 1) * n + both) * (2 * (2 * c + 1) + 3 * f)
    passing = both * (4 * c + 1 + f)  # stream, final norm, a branch, h
    logits = n * v + min(n_eval, max(1, EVAL_LOGITS // v)) * v
    backward = n * (2 * c + 1) + c  # of the stream, of a norm
    mixer = _attention if config.mixer == "attention" else _rwkv
    product = 0  # that is added to a gradient
    if config.grad_accum > 1:
        product = max(math.prod(shape) for name, shape in config.shapes().items()
                      if len(shape) == 2 and name != "bigram")
    if config.residual_scalars:  # the stream before each block; the input's norm, its gradient
        kept += ((config.n_layer - 1) * n + both) * c + both * (c + 1)
        backward += n * c
    return kept + passing + logits + backward + mixer(config, n_rows, n_eval_rows, product)


def _attention(config: "Config", n_rows: int, n_eval_rows: int, product: int) -> int:
    """What attention.py takes, with `wide` and `product`, which all of a block shares."""
    c, time = config.n_embd, config.seq_len
    n, both = n_rows * time, max(n_rows, n_eval_rows) * time
    rotated = c + config.kv_width
    kept = ((config.n_layer - 1) * n + both) * (rotated + config.kv_width + c + config.n_head)
    # The halves of a rotation, one of which backward uses.
    rows = max(n * c, both * rotated // 2)
    if config.qk_norm:  # normed heads, their factors; in backward products of both, and means
        n_heads = config.n_head + config.kv_heads
        kept += ((config.n_layer - 1) * n + both) * (rotated + n_heads)
        rows = max(rows, n * rotated) + n * n_heads
    halves = both * rotated // 2 + rows
    backward = n * (config.kv_width + max(rotated + config.kv_width, 2 * config.hidden)
                    + config.head_size + config.n_head)
    scores, mixed, sums = _scores(config, n_rows)
    eval_scores, eval_mixed, _ = _scores(config, n_eval_rows)
    return (kept + halves + backward + scores + max(scores, eval_scores)
            + max(mixed, eval_mixed) + max(sums, product))


def _scores(config: "Config", n_rows: int) -> tuple[int, int, int]:
    """Largest scores, outputs and sums over earlier keys of any block of queries."""
    time = config.seq_len
    sizes = [(rows.stop - rows.start, times.stop - times.start, times.stop)
             for rows, times in attention_blocks(n_rows, config.n_head, time, 0)]
    is_added = config.n_head != config.kv_heads  # what the queries of a group say of their key
    return (max(rows * config.n_head * queries * keys for rows, queries, keys in sizes),
            max(rows * config.n_embd * queries for rows, queries, _ in sizes),
            max(rows * config.kv_width * keys * (keys < time or is_added)
                for rows, _, keys in sizes))


def _rwkv(config: "Config", n_rows: int, n_eval_rows: int, product: int) -> int:
    """What rwkv.py and wkv.py take, likewise."""
    c, h, d, time = config.n_embd, config.n_head, config.head_size, config.seq_len
    rows, chunk, filled = max(n_rows, n_eval_rows), time_chunk(time), padded(time)
    n_halvings = max(0, chunk.bit_length() - 2)  # with decays between the halves
    ranks = rwkv_ranks(c)
    states = (filled // chunk + 1) * c * d
    cut = time * c if filled > time else 0  # what is filled up to whole chunks, and cut again
    fill = filled * c if filled > time else 0
    kept = (filled * ((23 + n_halvings) * c + 5 * ranks[0] + ranks[1] + h + h * chunk)
            + filled // chunk * c + states + cut + fill)
    blocks = (chunk - 2) * filled // chunk * c if chunk > 2 else 0  # of 2 times, of 4, …
    forward = filled * (3 * c + h) + blocks + filled // chunk * c * d + c * d
    backward = (filled * (16 * c + h * chunk + ranks[1] + max(ranks[1], 5 * ranks[0])
                          + 5 * ranks[0])
                + filled // chunk * ((n_halvings + 2) * chunk + 1) * c + states + cut + fill
                + max(4 * filled * c, 2 * time * config.hidden))
    return (((config.n_layer - 1) * n_rows + rows) * kept + rows * forward + n_rows * backward
            + product)


# --- Muon ------------------------------------------------------------------------------------


class Matrix(NamedTuple):
    """A linear map of a block, as it lies in the flat buffer: rows × columns from start on."""

    start: int
    rows: int
    columns: int
    has_inputs_first: bool  # lies as (in, out), the transpose of how papers write it

    @property
    def size(self) -> int:
        return self.rows * self.columns

    @property
    def stop(self) -> int:
        return self.start + self.size

    @property
    def scale(self) -> float:
        """√max(1, out / in): a wider output takes the larger step."""
        out = self.rows / self.columns
        return math.sqrt(max(1.0, 1 / out if self.has_inputs_first else out))

    @property
    def products(self) -> int:
        """Multiply-adds of Newton and Schulz's steps: X Xᵀ, its square, and their sum times X."""
        n, m = sorted((self.rows, self.columns))
        return SCHULZ_STEPS * (2 * m * n * n + n**3)


INPUTS_FIRST = ("proj", "down", "mix_out", "decay_out")
FUSED = {"gate_up": 2, "rkvg": 4, "mix_in": 5, "mix_out": 5}  # maps of one size below each other


@functools.lru_cache(maxsize=1 << 8)
def matrices(config: "Config") -> tuple[Matrix, ...]:
    """The blocks' linear maps in the order of the flat buffer, what is fused taken apart.

    Queries, keys and values, gate and up are separate maps that only lie together: each is made
    orthogonal by itself.
    """
    found, start = [], 0
    for name, shape in config.shapes().items():
        last = name.rpartition(".")[2]
        if name.startswith("block") and len(shape) == 2:
            n, at = FUSED.get(last, 1), start
            rows = ([config.n_embd, config.kv_width, config.kv_width] if last == "qkv"
                    else [shape[0] // n] * n)
            for own in rows:
                found.append(Matrix(at, own, shape[1], last in INPUTS_FIRST))
                at = found[-1].stop
        start += math.prod(shape)
    return tuple(found)


def muon_shares(config: "Config", n_parts: int) -> list[tuple[int, int]]:
    """Start and stop of what each of n_parts processes updates: whole matrices, like work."""
    pieces = []  # start, stop, multiply-adds, whether it stays whole
    at = 0
    for one in matrices(config):
        pieces.append((at, one.start, ENTRY * (one.start - at), False))
        pieces.append((one.start, one.stop, one.products + ENTRY * one.size, True))
        at = one.stop
    pieces.append((at, config.n_params, ENTRY * (config.n_params - at), False))
    share = sum(work for _, _, work, _ in pieces) / n_parts
    edges, done = [0], 0
    for start, stop, work, is_whole in pieces:
        while len(edges) < n_parts and work and done + work >= share * len(edges):
            part = (share * len(edges) - done) / work
            edges.append(start + round((round(part) if is_whole else part) * (stop - start)))
        done += work
    edges.append(config.n_params)
    return list(zip(edges, edges[1:], strict=False))


def muon_floats(config: "Config", share: tuple[int, int]) -> int:
    """Entries of the buffers in which one process makes its matrices orthogonal."""
    own = [one for one in matrices(config) if share[0] <= one.start < share[1]]
    return 2 * max((one.size for one in own), default=0) + 2 * max(
        (min(one.rows, one.columns) ** 2 for one in own), default=0)
