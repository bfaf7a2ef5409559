"""A few numbers a block of a training step, from what it computes anyhow."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.config import Config
from engine.model import Array, Flat
from engine.native import exponential

N_QUERIES = 24  # a head, whose scores are made again
DEAD = 1e-3  # of the hidden channels' size: one of less, over all tokens, is shut


@dataclass(slots=True)
class Gauge:
    """What a model tells of one pass, kept as a few numbers a block; of its first sequence alone.

    act_rms     of the residual stream behind the block
    max_score   largest score of attention, without sign; of RWKV the largest entry of a state
    entropy     of attention, as a share of what it could be; of RWKV nothing
    dead_gates  share of the feed-forward's channels that no token opened
    """

    config: Config
    act_rms: dict[int, float] = field(default_factory=dict)
    max_score: dict[int, float] = field(default_factory=dict)
    entropy: dict[int, float] = field(default_factory=dict)
    dead_gates: dict[int, float] = field(default_factory=dict)
    _queries: Array = field(default_factory=lambda: np.empty(0))

    def __call__(self, place: str, tensor: str, values: Array) -> None:
        if not place:
            return
        block, n = int(place[5:]), self.config.seq_len
        with np.errstate(all="ignore"):
            if tensor == "residual2":
                self.act_rms[block] = _rms(values[:n])
            elif tensor == "attn.q":
                self._queries = values[0]
            elif tensor == "attn.k":
                self._scores(block, self._queries, values[0])
            elif tensor == "rwkv.state":
                self.max_score[block] = _largest(values[0])
            elif tensor == "mlp.swiglu":
                squares = np.vecdot(values[:, :n], values[:, :n])
                self.dead_gates[block] = float(np.mean(squares < DEAD**2 * np.mean(squares)))

    def _scores(self, block: int, q: Array, k: Array) -> None:
        """Of queries (H, D, T) spread over the sequence and all keys (K, D, T) before them."""
        at, visible, hidden = _sampled(q.shape[2], q.dtype)
        q = q[:, :, at].reshape(k.shape[0], -1, *q.shape[1:2], at.size)
        s = np.matmul(q.swapaxes(2, 3), k[:, None])  # (K, G, queries, T)
        s *= visible
        self.max_score[block] = _largest(s) * exponential.NATS
        s += hidden
        s -= np.max(s, axis=-1, keepdims=True)
        e = exponential.POWER(s)
        total = np.sum(e, axis=-1)
        # Σ p ln 1/p with p = e / Σ e, of which the first query has none.
        nats = np.log(total) - exponential.NATS * np.vecdot(e, s) / total
        self.entropy[block] = float(np.mean(nats[..., 1:] / np.log(at[1:] + 1)))

    def rows(self, grads: Flat) -> dict[str, list[float | None]]:
        """The numbers of the pass by block, with the root mean square of each block's gradient.

        What is not finite is None.
        """
        squares, sizes = [0.0] * self.config.n_layer, [0] * self.config.n_layer
        with np.errstate(all="ignore"):
            for name, view in grads.views.items():
                if name.startswith("block"):
                    block = int(name.partition(".")[0][5:])
                    flat = view.reshape(-1)
                    squares[block] += float(np.dot(flat, flat))
                    sizes[block] += flat.size
        grad = {i: math.sqrt(s / n) if s >= 0 else s for i, (s, n) in enumerate(
            zip(squares, sizes, strict=True))}
        told = {"act_rms": self.act_rms, "grad_rms": grad, "max_score": self.max_score,
                "entropy": self.entropy, "dead_gates": self.dead_gates}
        return {name: [_finite(values.get(i)) for i in range(self.config.n_layer)]
                for name, values in told.items()}


@functools.lru_cache(maxsize=4)
def _sampled(n_time: int, dtype: Any) -> tuple[Array, Array, Array]:
    """Times of the queries, what each may see (queries, T), and what takes the rest away."""
    at = np.unique(np.linspace(0, n_time - 1, N_QUERIES).astype(int))
    visible = (np.arange(n_time) <= at[:, None]).astype(dtype)
    return at, visible, np.asarray((visible - 1) * 1e30, dtype)


def _rms(x: Array) -> float:
    flat = x.reshape(-1) if x.flags.c_contiguous else x.ravel()
    return math.sqrt(float(np.dot(flat, flat)) / flat.size) if flat.size else 0.0


def _largest(x: Array) -> float:
    return float(max(np.max(x), -np.min(x)))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
