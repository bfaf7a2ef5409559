"""What one watched pass computed, and what each tensor of it should be by the tensors before it."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engine.config import Config
from engine.model import Array, Flat
from engine.native import exponential
from engine.trace import plain
from engine.trace.compare import Others, size

Rule = Callable[["Kept", int], Array]
NATS = exponential.NATS
SUMS = 1e20  # of powers that a softmax may divide by without distance from the largest
ROWS = 2048  # of the matrix of logits, in double at once


class Kept:
    """The tensors of one sequence by block (−1: of none) and name, lent in double, or in another
    dtype that is set: what float32 cannot hold tells itself so from what is wrong.
    """

    def __init__(self, config: Config, params: Flat, ids: Array, targets: Array) -> None:
        self.config, self.params, self.ids, self.targets = config, params, ids, targets
        self.tensors: dict[tuple[int, str], Array] = {}
        self.dtype: type[np.floating[Any]] = np.float64

    def of(self, block: int, tensor: str) -> Array:
        return self.tensors[block, tensor].astype(self.dtype)

    def own(self, block: int, name: str) -> Array:
        """A parameter, of a block or of none."""
        return self.params.views[f"block{block}.{name}" if block >= 0 else name].astype(self.dtype)

    def head(self) -> Iterator[tuple[slice, Array]]:
        """The matrix of logits in parts of its rows: whole, it may be the half of a model."""
        view = self.params.views["embed" if self.config.tied else "head"]
        for start in range(0, len(view), ROWS):
            rows = slice(start, start + ROWS)
            yield rows, view[rows].astype(self.dtype)

    @property
    def tokens(self) -> Array:
        """The rows of a table of tokens that this sequence is about."""
        return np.unique(np.concatenate([self.ids, self.targets]))

    def before(self, block: int) -> Array:
        """The residual stream that a block's norm is given; of −1, what leaves the last."""
        if block >= 0 and self.config.residual_scalars:
            return self.of(block, "stream")
        return self.above(block)

    def above(self, block: int) -> Array:
        """What the block before puts out, before it is reweighed; of −1, the last."""
        block = self.config.n_layer if block < 0 else block
        return self.of(block - 1, "residual2") if block else self.of(-1, "embed")

    def from_above(self, block: int) -> Array:
        """The gradient of what a block puts out."""
        if block == self.config.n_layer - 1:
            return self.of(-1, "dresidual")
        return self.of(block + 1, "dstream" if self.config.residual_scalars else "dresidual0")

    def to_embedding(self) -> Array:
        """The gradient of what enters the first block."""
        return self.of(-1, "dembed") if self.config.residual_scalars else self.of(0, "dresidual0")

    @property
    def pairs(self) -> Array:
        """The bucket of each token and the one before it, (T,)."""
        return np.array(plain.buckets(self.ids, self.config.bigram_buckets))

    @property
    def given(self) -> str:
        """The tensor whose queries and keys are turned and multiplied."""
        return "attn.normed" if self.config.qk_norm else "attn.qkv"

    def gains(self, block: int) -> tuple[Array, Array]:
        return self.own(block, "attn.q_gain"), self.own(block, "attn.k_gain")

    def mixer(self, block: int) -> dict[str, Array]:
        start = f"block{block}.rwkv."
        return {name.removeprefix(start): view.astype(self.dtype)
                for name, view in self.params.views.items() if name.startswith(start)}


def _dlogits(kept: Kept, _block: int) -> Array:
    p = np.exp(plain.log_softmax(kept.of(-1, "logits") * NATS))
    p[kept.targets, np.arange(p.shape[1])] -= 1.0
    return np.asarray(p * NATS / p.shape[1])


def _normed_back(kept: Kept, block: int, which: int) -> Array:
    x = kept.before(block) if which == 1 else kept.of(block, "residual1")
    return plain.norm_backward(x, kept.own(block, f"norm{which}.gain"),
                               kept.of(block, f"dnorm{which}"))


def _own_scores(kept: Kept, block: int) -> Array:
    return plain.attention(kept.of(block, "attn.scores"),
                           plain.heads(kept.of(block, "attn.qkv"), kept.config)[2])


def _entered(kept: Kept, _block: int) -> Array:
    x = kept.params.views["embed"][kept.ids].astype(kept.dtype)
    return x + kept.own(-1, "bigram")[kept.pairs] if kept.config.bigram_buckets else x


def _stream(kept: Kept, i: int) -> Array:
    shares = kept.own(i, "residual")
    return np.asarray(shares[0] * kept.above(i) + shares[1] * plain.unit(kept.of(-1, "embed")))


def _dembed(kept: Kept, _block: int) -> Array:
    """Through the first block's share, and through every block's of the embedded input."""
    x, gain = kept.of(-1, "embed"), np.ones(kept.config.n_embd)
    shared = sum((kept.own(i, "residual")[1] * kept.of(i, "dresidual0")
                  for i in range(kept.config.n_layer)), np.zeros_like(x))
    return np.asarray(kept.of(0, "dstream") + plain.norm_backward(x, gain, shared))


def _dshares(kept: Kept, i: int) -> Array:
    given, x0 = kept.of(i, "dresidual0"), plain.unit(kept.of(-1, "embed"))
    return np.stack([(given * kept.above(i)).reshape(-1), (given * x0).reshape(-1)], axis=1)


def _dgain(which: int) -> Rule:
    """Of queries' or keys' norm, by head and time."""
    def rule(kept: Kept, i: int) -> Array:
        config, ones = kept.config, np.ones(kept.config.head_size)
        normed = plain.normed_heads(kept.of(i, "attn.qkv"), (ones, ones), config)
        dy = kept.of(i, "dattn.normed")
        found = plain.heads(normed, config)[which] * plain.heads(dy, config)[which]
        return found.swapaxes(1, 2).reshape(-1, config.head_size)
    return rule


def _nats(kept: Kept, _block: int) -> Array:
    told = plain.log_softmax(kept.of(-1, "logits") * NATS)
    return np.asarray(-told[kept.targets, np.arange(told.shape[1])])


def _product(which: int) -> Rule:
    return lambda kept, i: plain.rwkv_product(kept.of(i, "rwkv.mix")[which], kept.mixer(i), which)


def _gate(kept: Kept, i: int) -> Array:
    gate = plain.rwkv_product(kept.of(i, "rwkv.mix")[3], kept.mixer(i), 3)
    return np.asarray(gate * plain.sigmoid(gate))


def _wkv(kept: Kept, i: int) -> Array:
    r, k, v, w = (kept.of(i, f"rwkv.{name}") for name in ("r", "k", "v", "decay"))
    return plain.wkv(r, k, v, w, kept.own(i, "rwkv.bonus"), kept.config.n_head)


EXPECTED: dict[str, Rule] = {
    "embed": _entered, "stream": _stream,
    "norm1": lambda kept, i: plain.norm(kept.before(i), kept.own(i, "norm1.gain")),
    "attn.qkv": lambda kept, i: kept.own(i, "attn.qkv") @ kept.of(i, "norm1").T,
    "attn.normed": lambda kept, i: plain.normed_heads(
        kept.of(i, "attn.qkv"), kept.gains(i), kept.config),
    "attn.scores": lambda kept, i: plain.scores(kept.of(i, kept.given), kept.config),
    "attn.mixed": _own_scores,
    "attn.proj": lambda kept, i: kept.of(i, "attn.mixed").T @ kept.own(i, "attn.proj"),
    "rwkv.mix": lambda kept, i: plain.rwkv_mix(kept.of(i, "norm1"), kept.mixer(i)),
    "rwkv.r": _product(0), "rwkv.k": _product(1), "rwkv.v": _product(2), "rwkv.gate": _gate,
    "rwkv.decay": lambda kept, i: plain.rwkv_decay(kept.of(i, "rwkv.mix")[4], kept.mixer(i)),
    "rwkv.norm": _wkv,
    "rwkv.out": lambda kept, i: kept.of(i, "rwkv.norm") * kept.own(i, "rwkv.gain") * kept.of(
        i, "rwkv.gate"),
    "rwkv.proj": lambda kept, i: kept.of(i, "rwkv.out") @ kept.own(i, "rwkv.proj"),
    "residual1": lambda kept, i: kept.before(i) + kept.of(i, branch(kept)),
    "norm2": lambda kept, i: plain.norm(kept.of(i, "residual1"), kept.own(i, "norm2.gain")),
    "mlp.gate_up": lambda kept, i: kept.own(i, "mlp.gate_up") @ kept.of(i, "norm2").T,
    "mlp.swiglu": lambda kept, i: plain.swiglu(kept.of(i, "mlp.gate_up")),
    "mlp.down": lambda kept, i: kept.of(i, "mlp.swiglu").T @ kept.own(i, "mlp.down"),
    "residual2": lambda kept, i: kept.of(i, "residual1") + kept.of(i, "mlp.down"),
    "norm": lambda kept, _: plain.norm(kept.before(-1), kept.own(-1, "norm.gain")) / NATS,
    "logits": lambda kept, _: np.concatenate(
        [part @ kept.of(-1, "norm").T for _, part in kept.head()]),
    "loss": _nats,
    "dlogits": _dlogits,
    "dnorm": lambda kept, _: sum(
        (kept.tensors[-1, "dlogits"][rows].astype(kept.dtype).T @ part
         for rows, part in kept.head()), np.zeros((kept.ids.size, kept.config.n_embd))),
    "dresidual": lambda kept, _: plain.norm_backward(
        kept.before(-1), kept.own(-1, "norm.gain") / NATS, kept.of(-1, "dnorm")),
    "dmlp.swiglu": lambda kept, i: kept.own(i, "mlp.down") @ kept.from_above(i).T,
    "dmlp.gate_up": lambda kept, i: plain.swiglu_backward(
        kept.of(i, "mlp.gate_up"), kept.of(i, "dmlp.swiglu")),
    "dnorm2": lambda kept, i: kept.of(i, "dmlp.gate_up").T @ kept.own(i, "mlp.gate_up"),
    "dresidual1": lambda kept, i: kept.from_above(i) + _normed_back(kept, i, 2),
    "dattn.mixed": lambda kept, i: kept.own(i, "attn.proj") @ kept.of(i, "dresidual1").T,
    "dattn.normed": lambda kept, i: plain.attention_backward(
        kept.of(i, "attn.normed"), kept.of(i, "dattn.mixed"), kept.config),
    "dattn.qkv": lambda kept, i: plain.normed_heads_backward(
        kept.of(i, "attn.qkv"), kept.gains(i), kept.of(i, "dattn.normed"), kept.config,
    ) if kept.config.qk_norm else plain.attention_backward(
        kept.of(i, "attn.qkv"), kept.of(i, "dattn.mixed"), kept.config),
    "dnorm1": lambda kept, i: kept.of(i, "dattn.qkv").T @ kept.own(i, "attn.qkv"),
    "dresidual0": lambda kept, i: kept.of(i, "dresidual1") + _normed_back(kept, i, 1),
    "dstream": lambda kept, i: kept.own(i, "residual")[0] * kept.of(i, "dresidual0"),
    "dembed": _dembed,
}

# Gradients of the parameters by the last part of their names; of head and embed the rows `tokens`.
GRADIENTS: dict[str, Rule] = {
    "head": lambda kept, _: kept.tensors[-1, "dlogits"][kept.tokens].astype(
        kept.dtype) @ kept.of(-1, "norm"),
    "mlp.down": lambda kept, i: kept.of(i, "mlp.swiglu") @ kept.from_above(i),
    "mlp.gate_up": lambda kept, i: kept.of(i, "dmlp.gate_up") @ kept.of(i, "norm2"),
    "attn.proj": lambda kept, i: kept.of(i, "attn.mixed") @ kept.of(i, "dresidual1"),
    "attn.qkv": lambda kept, i: kept.of(i, "dattn.qkv") @ kept.of(i, "norm1"),
    "rwkv.proj": lambda kept, i: kept.of(i, "rwkv.out").T @ kept.of(i, "dresidual1"),
    "embed": lambda kept, _: _table(kept),
    "bigram": lambda kept, _: _summed(np.unique(kept.pairs), kept.pairs, kept.to_embedding()),
}

# Of what is a sum over the whole sequence, the terms (n, entries): where they cancel, as those of a
# share do whose stream a norm makes small again, float32 leaves the rounding of the terms alone.
TERMS: dict[str, Rule] = {
    "norm.gain": lambda kept, _: _gain(kept.before(-1), kept.of(-1, "dnorm")) / NATS,
    "norm1.gain": lambda kept, i: _gain(kept.before(i), kept.of(i, "dnorm1")),
    "norm2.gain": lambda kept, i: _gain(kept.of(i, "residual1"), kept.of(i, "dnorm2")),
    "residual": _dshares, "attn.q_gain": _dgain(0), "attn.k_gain": _dgain(1),
}


def _sum_of(terms: Rule) -> Rule:
    return lambda kept, i: np.asarray(np.sum(terms(kept, i), axis=0))


GRADIENTS |= {name: _sum_of(terms) for name, terms in TERMS.items()}


def cancelled(kept: Kept, block: int, name: str) -> float:
    """How large the terms are whose sum is the gradient of a parameter; 0 of what is no such."""
    terms = TERMS.get(name)
    return size(np.sum(np.abs(terms(kept, block)), axis=0)) if terms else 0.0


def rounded(kept: Kept, block: int) -> float:
    """How large products are of whose differences float32 makes the gradient of attention.

    ds = p (dp − Σ p dp): where one key has it all, what is left is the rounding of dp.
    """
    do = kept.of(block, "dattn.mixed")
    c, e = kept.config.n_embd, kept.config.kv_width
    qkv = kept.of(block, kept.given)
    q, k, v = (np.sqrt(np.max(np.sum(x * x, axis=0))) for x in (
        qkv[:c], qkv[c : c + e], qkv[c + e :]))
    largest = np.sqrt(np.max(np.sum(do * do, axis=0)))
    return float(largest * v * max(q, k) * np.sqrt(do.shape[1] / kept.config.head_size))


def squashed(kept: Kept, block: int, tensor: str) -> float:
    """How large that is which a sigmoid squashes: one that is shut may be rounded as if open.

    0 of what has none.
    """
    if tensor == "rwkv.gate":
        return size(plain.rwkv_product(kept.of(block, "rwkv.mix")[3], kept.mixer(block), 3))
    if tensor not in ("mlp.swiglu", "dmlp.gate_up"):
        return 0.0
    gate, up = np.split(kept.of(block, "mlp.gate_up"), 2)
    if tensor == "mlp.swiglu":
        return size(gate * up)
    dh = kept.of(block, "dmlp.swiglu")
    return math.hypot(size(dh * up * (1 + np.abs(gate))), size(dh * gate))


def undivided(kept: Kept, block: int) -> Array:
    """What attention has before it divides by the sum of powers: Σ e |v| (C, T).

    Powers of the scores as they are, but where their sum is beyond SUMS: there of their distance
    from the largest.
    """
    s, v = kept.of(block, "attn.scores"), np.abs(plain.heads(
        kept.of(block, "attn.qkv"), kept.config)[2])
    s = np.where(np.tri(s.shape[-1], dtype=bool), s, -np.inf)
    peak = np.max(s, axis=-1, keepdims=True)
    total = peak + np.log(np.sum(np.exp(s - peak), axis=-1, keepdims=True))
    e = np.exp(s - np.where(np.abs(total) < math.log(SUMS), 0.0, peak))
    mixed = np.matmul(np.repeat(v, s.shape[0] // v.shape[0], axis=0), e.swapaxes(1, 2))
    return np.asarray(mixed.reshape(-1, s.shape[1]))


def _gain(x: Array, dy: Array) -> Array:
    return np.asarray(plain.norm(x, np.ones(x.shape[1])) * dy)


def _table(kept: Kept) -> Array:
    dtable = _summed(kept.tokens, kept.ids, kept.to_embedding())
    return dtable + GRADIENTS["head"](kept, -1) if kept.config.tied else dtable


def _summed(rows: Array, at: Array, dx: Array) -> Array:
    """dx (T, C) added up by `at` (T,), in the rows of a table that are named, rising."""
    dtable = np.zeros((rows.size, dx.shape[1]))
    np.add.at(dtable, np.searchsorted(rows, at), dx)
    return dtable


def rows_of(kept: Kept, name: str) -> Array | slice:
    """The rows of a parameter's gradient that one sequence is about."""
    tables = {"embed": kept.tokens, "head": kept.tokens}
    return np.unique(kept.pairs) if name == "bigram" else tables.get(name, slice(None))


def branch(kept: Kept) -> str:
    """What the mixer of a block puts out."""
    return "rwkv.proj" if kept.config.mixer == "rwkv" else "attn.proj"


def others(kept: Kept, block: int, tensor: str) -> Others:
    """What else a tensor may have become: by an operation made twice, or not at all."""
    if tensor in ("norm1", "norm2", "norm"):
        return _other_norms(kept, block, tensor)
    if tensor in ("dresidual", "dresidual0", "dresidual1"):
        return _other_norms_back(kept, block, tensor)
    if tensor in ("residual1", "residual2"):
        x = kept.before(block) if tensor == "residual1" else kept.of(block, "residual1")
        added = kept.of(block, branch(kept) if tensor == "residual1" else "mlp.down")
        return {"left out: what the block adds is not added": lambda: x,
                "twice: what the block adds is added twice": lambda: x + 2 * added,
                "left out: the residual stream is not added to, but replaced": lambda: added}
    if tensor == "mlp.swiglu":
        gate, up = np.split(kept.of(block, "mlp.gate_up"), 2)
        return {"left out: the gate is not squashed": lambda: gate * up,
                "left out: the gate is left out": lambda: up,
                "left out: the gated half is left out": lambda: gate * plain.sigmoid(gate)}
    if tensor == "attn.mixed":
        return {"left out: the values pass unmixed": lambda: np.repeat(
            plain.heads(kept.of(block, "attn.qkv"), kept.config)[2],
            kept.config.n_head // kept.config.kv_heads, axis=0).reshape(
                kept.config.n_embd, -1)}
    return {}


def _other_norms(kept: Kept, block: int, tensor: str) -> Others:
    unit = 1.0 if block >= 0 else 1 / NATS
    x = kept.of(block, "residual1") if tensor == "norm2" else kept.before(block)
    gain = kept.own(block, f"{tensor}.gain") * unit
    plainly = np.ones_like(gain) * unit
    return {"twice: it is the norm of its own norm": lambda: plain.norm(plain.norm(x, gain), gain),
            "twice: its gain is applied twice": lambda: plain.norm(x, gain * gain),
            "left out: it is not normed": lambda: x * gain,
            "left out: it is not normed, and without its gain": lambda: x * unit,
            "left out: its gain is left out": lambda: plain.norm(x, plainly)}


def _other_norms_back(kept: Kept, block: int, tensor: str) -> Others:
    which = {"dresidual": "norm", "dresidual0": "norm1", "dresidual1": "norm2"}[tensor]
    x = kept.of(block, "residual1") if which == "norm2" else kept.before(block)
    gain = kept.own(block, f"{which}.gain") / (1.0 if block >= 0 else NATS)
    dy = kept.of(block, f"d{which}")
    above = {"norm": 0.0, "norm1": kept.tensors.get((block, "dresidual1"), 0.0)}.get(which)
    above = kept.from_above(block) if above is None else above
    once = plain.norm_backward
    y = plain.norm(x, gain)
    return {"twice: it is the gradient of a norm of a norm": lambda: above + once(y, gain, dy),
            "twice: it is the gradient of a norm of a norm, both passed": lambda: above + once(
                x, gain, once(y, gain, dy)),
            "left out: the gradient of the norm is not added": lambda: above + 0.0 * x,
            "left out: the gradient passes the norm as it is": lambda: above + dy,
            "left out: the gradient passes the gain alone": lambda: above + dy * gain,
            "twice: the gradient passes the norm twice": lambda: above + once(
                x, gain, once(x, gain, dy))}


def factors(config: Config, n_time: int) -> dict[str, float]:
    """Numbers that a scale may have lost."""
    return {"√head size": math.sqrt(config.head_size), "√width": math.sqrt(config.n_embd),
            "head size": config.head_size, "√2L, layers L": math.sqrt(2 * config.n_layer),
            "ln 2": math.log(2), "width": config.n_embd, "tokens": n_time,
            "heads": config.n_head, "batch": config.batch_size,
            "passes of a step": config.grad_accum}
