"""The matrix products of a pass: shapes and layouts exactly as the engine hands them to BLAS.

Letters as in engine/model: B, T, N = B·T, C, H, D, F, V. A test records what the engine calls and
holds this list against it. All layers are alike, so one stands for them.
"""

from collections.abc import Iterator

from engine.config import EVAL_LOGITS, Config
from engine.proof.attention import of_attention
from engine.proof.muon import of_muon
from engine.proof.operands import Pool, Product, cut, flat
from engine.proof.passes import Pass
from engine.proof.rwkv import of_rwkv

MIXERS = {"attention": of_attention, "rwkv": of_rwkv}


def products(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """What one pass multiplies, larger products first."""
    yield from _of_weights(config, one, pool)
    yield from MIXERS[config.mixer](config, one, pool)
    if one.learns and config.optimizer == "muon":
        yield from of_muon(config, pool)


def _of_weights(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """Products outside of the mixer: by a weight, for its gradient, sums as products by ones."""
    n, c, f, v = one.n_batch * one.n_time, config.n_embd, config.hidden, config.vocab_size
    n_logits = n if one.learns else min(n, max(1, EVAL_LOGITS // v))
    forward = [(2 * f, c, n, "nt"), (n, f, c, "tn")]
    if one.before is None:
        tails = {n_logits, n % n_logits or n_logits}
        forward += [(v, c, rows, "nt") for rows in tails] + [(1, v, rows, "1-") for rows in tails]
    else:
        forward += [(one.n_batch, c, v, "nt-")]
    backward = [(v, n, c, "nn"), (n, v, c, "tn"), (1, n, c, "1"), (f, c, n, "nt"),
                (f, n, c, "nn"), (2 * f, n, c, "nn"), (n, 2 * f, c, "tn")]
    for m, k, columns, how in forward + backward * one.learns:
        yield flat(pool, *cut(m, k, columns), how)
    if one.learns:  # the mean of rms_norm's backward: a matrix by a vector
        rows = cut(n, c, 1)[0]
        yield Product(pool.operand(rows, c), pool.operand(c), pool.result(rows))
