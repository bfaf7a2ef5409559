"""The GPT: parameters as named views into one flat buffer, forward, loss and backward.

Pre-norm blocks with RMSNorm, rotary positions, fused qkv, causal attention and SwiGLU; no biases.
What a Config may add: rwkv.py for attention, pairs of tokens and scalars of the residual stream
(stream.py), and a norm of queries and keys (attention.py).
Axes as in layers.py. Rows N are B sequences of T tokens, one after the other.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from engine.config import EVAL_LOGITS, Config
from engine.model import attention, layers, rwkv, stream
from engine.model.workspace import Array, Workspace
from engine.native import Kernels, exponential

# Weights that ran away overflow somewhere; what comes out is not finite, and whoever asked for it
# says so in words. A warning of numpy's would say it to nobody.
QUIET = np.errstate(over="ignore", invalid="ignore", divide="ignore")
INIT_STD = 0.02  # GPT-2's; projections back into the residual stream are scaled by 1/√(2L)
# Told a place (block0, or none), a tensor's name and its values, in the order of computation. The
# array is lent: what follows overwrites it.
Watch = Callable[[str, str, Array], None]


@dataclass(frozen=True, slots=True)
class Flat:
    """One contiguous buffer and its named views; parameters and gradients have the same layout."""

    buffer: Array
    views: dict[str, Array]
    n_decay: int  # the first so many entries are matrices; the rest are norm gains

    @classmethod
    def empty(cls, config: Config, dtype: DTypeLike = np.float32) -> "Flat":
        return cls.over(config, np.zeros(config.n_params, dtype))

    @classmethod
    def over(cls, config: Config, buffer: Array) -> "Flat":
        """Named views into a given buffer of config.n_params entries."""
        views, start = {}, 0
        n_decay = 0
        for name, shape in config.shapes().items():
            size = math.prod(shape)
            views[name] = buffer[start : start + size].reshape(shape)
            start += size
            if len(shape) == 2:
                n_decay = start
        return cls(buffer, views, n_decay)


def init_params(config: Config, seed: int, dtype: DTypeLike = np.float32,
                params: Flat | None = None) -> Flat:
    """Normal(0, 0.02) matrices, residual projections scaled by 1/√(2L), gains of 1.

    What is beside the plain model starts where it changes nothing, and draws nothing from chance:
    the table of pairs at 0, the scalars of the residual stream at 1 and 0.

    Source: Radford et al. 2019 (GPT-2), section 2.3.
    """
    params = params or Flat.empty(config, dtype)
    rng = np.random.default_rng([seed, 0])  # stream 0: initialisation; 1: data; 2: samples
    for name, view in params.views.items():
        if view.ndim == 1:
            view[...] = 1.0
            if ".rwkv." in name:
                layer, last = int(name.split(".")[0].removeprefix("block")), name.split(".")[-1]
                view[...] = rwkv.initial(last, config.n_embd, layer, config.n_layer)
            if name.endswith(".residual"):
                view[...] = 1.0, 0.0
            continue
        if name == "bigram":
            view[...] = 0.0
            continue
        std = INIT_STD
        if name.endswith((".proj", "mlp.down")):
            std /= math.sqrt(2 * config.n_layer)
        view[...] = rng.standard_normal(view.shape) * std
    return params


class Past:
    """What sampling keeps of the tokens a batch of texts has so far.

    Of attention keys and values, with room for seq_len tokens; of RWKV a state and the last token
    of each block, however many tokens there were. `token` (B,) is the last one's id, None where
    there is none.
    """

    def __init__(self, config: Config, n_batch: int, dtype: DTypeLike = np.float32) -> None:
        lead, d, self.length = (config.n_layer, n_batch), config.head_size, 0
        self.room: int | None = None  # tokens it has room for; None: any number
        self.token: Array | None = None
        if config.mixer == "rwkv":
            self.states = np.zeros((*lead, config.n_head, d, d), dtype)
            self.last = np.zeros((*lead, config.n_embd), dtype)
            self._kept = (self.states, self.last)
        else:
            self.room = config.seq_len
            self.keys, self.values = np.empty((2, *lead, config.kv_heads, d, self.room), dtype)
            self._kept = (self.keys, self.values)

    def of_block(self, i: int) -> tuple[Any, ...]:
        """What block i reads and writes."""
        own = tuple(kept[i] for kept in self._kept)
        return own if self.room is None else (*own, self.length)

    def forget(self) -> None:
        """Start again with no tokens."""
        self.length, self.token = 0, None
        if self.room is None:
            self.states[...] = 0.0
            self.last[...] = 0.0

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for kept in self._kept)


class GPT:
    """A configuration with the workspace it computes in; parameters are handed to every call."""

    def __init__(self, config: Config, dtype: DTypeLike = np.float32,
                 kernels: Kernels | None = None) -> None:
        self.config = config
        self.workspace = Workspace(dtype, kernels)
        self.watch: Watch | None = None  # where set, told every intermediate: engine/trace
        self._tiled: tuple[tuple[int, int, int], Array, Array] | None = None
        self._tables = attention.rope_tables(config.seq_len, config.head_size, config.rope_base,
                                             dtype)

    def _tell(self, place: str, tensor: str, values: Array) -> None:
        if self.watch:
            self.watch(place, tensor, values)

    def loss_and_gradient(self, params: Flat, grads: Flat, ids: Array, targets: Array, *,
                          share: float = 1.0, accumulate: bool = False) -> float:
        """Mean nats a token; grads receive the gradient of share · loss.

        ids, targets (B, T) integers; accumulate adds to grads instead of overwriting them.
        """
        nats, cache = self.loss(params, ids, targets, share)
        self.backward(params, grads, cache, accumulate)
        return nats

    @QUIET
    def loss(self, params: Flat, ids: Array, targets: Array,
             share: float = 1.0) -> tuple[float, Any]:
        """Mean nats a token and the cache from which backward gives the gradient of share · it."""
        nats, cache = self.target_losses(params, ids, targets, share / ids.size)
        return float(np.mean(nats, dtype=np.float64)), cache

    @QUIET
    def target_losses(self, params: Flat, ids: Array, targets: Array,
                      scale: float = 1.0) -> tuple[Array, Any]:
        """Nats of every target (B·T,) and the cache of backward: the gradient of scale · their sum.

        `weigh` makes of it, once, that of any other sum of them.
        """
        hidden, caches = self._forward(params, ids, keep=True)
        head = params.views["embed" if self.config.tied else "head"]
        logits = np.matmul(head, hidden.T, out=self.workspace("logits", head.shape[0], ids.size))
        self._tell("", "logits", logits)
        nats = layers.cross_entropy(logits, targets.ravel(), scale, exponential.POWER,
                                    exponential.NATS, self.workspace)
        self._tell("", "loss", nats)
        return nats, (ids, hidden, logits, caches)

    def weigh(self, cache: Any, weights: Array) -> None:
        """Multiply the gradient of each target's nats by its weight (B·T,), before backward."""
        cache[2][...] *= weights

    @QUIET
    def token_losses(self, params: Flat, ids: Array, targets: Array) -> Array:
        """Nats of every target, without what backward would need: (B, T) → (B·T,)."""
        hidden, _ = self._forward(params, ids, keep=False)
        head = params.views["embed" if self.config.tied else "head"]
        flat, nats = targets.ravel(), np.empty(targets.size, hidden.dtype)
        block = max(1, EVAL_LOGITS // head.shape[0])
        for start in range(0, flat.size, block):
            rows = slice(start, min(start + block, flat.size))
            logits = self.workspace("eval_logits", head.shape[0], rows.stop - start)
            np.matmul(head, hidden[rows].T, out=logits)
            nats[rows] = layers.cross_entropy(logits, flat[rows], None, exponential.POWER,
                                              exponential.NATS, self.workspace)
        return nats

    @QUIET
    def logits(self, params: Flat, ids: Array) -> Array:
        """Logits (B, T, V), in nats, of the token after each of `ids` (B, T)."""
        hidden, _ = self._forward(params, ids, keep=False)
        return self._head(params, hidden).reshape(*ids.shape, -1)

    @QUIET
    def next_logits(self, params: Flat, ids: Array, past: "Past") -> Array:
        """Logits (B, V) of the token after `ids` (B, T), which follow what `past` holds.

        What later tokens need of ids is added to past, which must have room for T more.
        """
        hidden, _ = self._forward(params, ids, keep=False, past=past)
        past.length += ids.shape[1]
        past.token = ids[:, -1].copy()
        return self._head(params, hidden.reshape(*ids.shape, -1)[:, -1])

    def _head(self, params: Flat, hidden: Array) -> Array:
        head = params.views["embed" if self.config.tied else "head"]
        return np.asarray(np.matmul(hidden * exponential.NATS, head.T))

    def tables(self, n_batch: int, n_time: int, before: int) -> tuple[Array, Array]:
        """Cosines and sines (D/2, N) of the positions of N = n_batch · n_time rows."""
        key = (n_batch, n_time, before)
        if self._tiled is None or self._tiled[0] != key:
            cos, sin = (np.concatenate([table[:, before : before + n_time]] * n_batch, axis=1)
                        for table in self._tables)
            self._tiled = (key, cos, sin)
        return self._tiled[1], self._tiled[2]

    def _forward(self, params: Flat, ids: Array, keep: bool,
                 past: "Past | None" = None) -> tuple[Array, list[Any]]:
        """Final normalised hidden states (N, C) and, where kept, one cache a block.

        They are scaled so that logits have the unit of exponential.POWER: the gain carries it.
        """
        ws, p = self.workspace, params.views
        x = stream.embedded(ids, p, past.token if past else None, ws)
        self._tell("", "embed", x)
        x0 = stream.first(x, ws.at("x0")) if self.config.residual_scalars else None
        caches: list[Any] = []
        for i in range(self.config.n_layer):
            buf = ws.at(f"block{i if keep else 0}")  # without backward, over the one before
            own = past.of_block(i) if past else None
            share = None
            if x0:
                share = stream.reweighed(x, x0[0], p[f"block{i}.residual"], buf, ws.at("tmp"))
                self._tell(f"block{i}", "stream", x)
            cache = self._block(x, ids.shape[0], f"block{i}", p, buf, own)
            caches.append((share, *cache) if keep else None)
        hidden, norm = layers.rms_norm(x, p["norm.gain"] / exponential.NATS, ws.at("norm"))
        self._tell("", "norm", hidden)
        return hidden, [*caches, x0, norm]

    def _block(self, x: Array, n_batch: int, name: str, p: dict[str, Array],
               buf: Workspace, past: Any) -> Any:
        """One pre-norm block, added onto x (N, C) in place."""
        n, c = x.shape
        tmp = self.workspace.at("tmp")
        y1, norm1 = layers.rms_norm(x, p[f"{name}.norm1.gain"], buf.at("norm1"))
        self._tell(name, "norm1", y1)
        if self.config.mixer == "rwkv":
            own, n_head = _of_mixer(p, name), self.config.n_head
            if past and n == n_batch:
                branch, mixed = rwkv.time_step(y1, own, n_head, past), None
            else:
                branch, mixed = rwkv.time_mix(y1, own, n_batch, n_head, buf.at("rwkv"), tmp, past)
                for tensor, values in rwkv.named(mixed) if self.watch else ():
                    self._tell(name, tensor, values)
                self._tell(name, "rwkv.proj", branch)
        else:
            branch, mixed = self._attend(y1, n_batch, name, p, buf, past)
        x += branch
        self._tell(name, "residual1", x)
        y2, norm2 = layers.rms_norm(x, p[f"{name}.norm2.gain"], buf.at("norm2"))
        w_in = p[f"{name}.mlp.gate_up"]
        self._tell(name, "norm2", y2)
        gate_up = np.matmul(w_in, y2.T, out=buf("gate_up", w_in.shape[0], n))
        self._tell(name, "mlp.gate_up", gate_up)
        h, glu = layers.swiglu(gate_up, buf.at("glu"), tmp)
        self._tell(name, "mlp.swiglu", h)
        branch = np.matmul(h.T, p[f"{name}.mlp.down"], out=tmp("branch", n, c))
        self._tell(name, "mlp.down", branch)
        x += branch
        self._tell(name, "residual2", x)
        return norm1, mixed, norm2, y2, glu

    def _attend(self, y: Array, n_batch: int, name: str, p: dict[str, Array], buf: Workspace,
                past: tuple[Array, Array, int] | None) -> tuple[Array, Any]:
        """The branch of attention: y (N, C) → (N, C) and the backward's cache."""
        n, c = y.shape
        tmp, w_qkv = self.workspace.at("tmp"), p[f"{name}.attn.qkv"]
        qkv = np.matmul(w_qkv, y.T, out=buf("qkv", w_qkv.shape[0], n))
        self._tell(name, "attn.qkv", qkv)
        normed = None
        if self.config.qk_norm:
            normed = attention.norm_heads(qkv[: c + self.config.kv_width], _gains(p, name),
                                          self.config.n_head, buf)
            self._tell(name, "attn.normed", qkv)
        tables = self.tables(n_batch, n // n_batch, past[2] if past else 0)
        o, attn = attention.attention(qkv, (self.config.n_head, self.config.kv_heads), n_batch,
                                      tables, buf.at("attn"), tmp, past)
        for tensor, values in zip(("attn.q", "attn.k"), attn, strict=False):
            self._tell(name, tensor, values)
        self._tell(name, "attn.mixed", o)
        branch = np.matmul(o.T, p[f"{name}.attn.proj"], out=tmp("branch", n, c))
        self._tell(name, "attn.proj", branch)
        return branch, (y, normed, attn, o)

    @QUIET
    def backward(self, params: Flat, grads: Flat, cache: Any, accumulate: bool = False) -> None:
        """Write, or add, the gradient of every parameter; the cache is left as it was."""
        ids, hidden, dlogits, caches = cache
        p, g, tmp = params.views, grads.views, self.workspace.at("tmp")
        head = "embed" if self.config.tied else "head"
        self._tell("", "dlogits", dlogits)
        layers.product_into(g[head], dlogits, hidden, tmp, accumulate)
        dhidden = np.matmul(dlogits.T, p[head], out=tmp("branch", *hidden.shape))
        self._tell("", "dnorm", dhidden)
        dnorm, dgain = layers.rms_norm_backward(dhidden, caches[-1], tmp)
        layers.put(g["norm.gain"], dgain / exponential.NATS, accumulate)
        dx = self.workspace("dx", *hidden.shape)
        dx[...] = dnorm
        self._tell("", "dresidual", dx)
        x0, dx0 = caches[-2], None
        if x0:
            dx0 = self.workspace("dx0", *hidden.shape)
            dx0[...] = 0.0
        for i in reversed(range(self.config.n_layer)):
            share, *cache = caches[i]
            self._block_backward(dx, f"block{i}", p, g, cache, accumulate)
            if dx0 is not None:
                stream.reweighed_backward(dx, dx0, share, g[f"block{i}.residual"], tmp, accumulate)
                self._tell(f"block{i}", "dstream", dx)
        if dx0 is not None:
            dx += layers.rms_norm_backward(dx0, x0, tmp)[0]
            self._tell("", "dembed", dx)
        if "bigram" in g and not accumulate:
            g["bigram"][...] = 0.0
        stream.embedded_backward(dx, ids, g, tmp, self.config.tied or accumulate)

    def _block_backward(self, dx: Array, name: str, p: dict[str, Array], g: dict[str, Array],
                        cache: Any, accumulate: bool) -> None:
        """Gradient through one block, added onto dx (N, C) in place."""
        norm1, mixed, norm2, y2, glu = cache
        tmp = self.workspace.at("tmp")
        n, c = dx.shape
        down, w_in = p[f"{name}.mlp.down"], p[f"{name}.mlp.gate_up"]
        dgate_up = tmp("wide", w_in.shape[0], n)
        dh = np.matmul(down, dx.T, out=dgate_up[down.shape[0] :])
        self._tell(name, "dmlp.swiglu", dh)
        h = layers.swiglu_backward(dh, glu, dgate_up, tmp)
        self._tell(name, "dmlp.gate_up", dgate_up)
        layers.product_into(g[f"{name}.mlp.down"], h, dx, tmp, accumulate)
        layers.product_into(g[f"{name}.mlp.gate_up"], dgate_up, y2, tmp, accumulate)
        dy = np.matmul(dgate_up.T, w_in, out=tmp("branch", n, c))
        self._tell(name, "dnorm2", dy)
        dnorm, dgain = layers.rms_norm_backward(dy, norm2, tmp)
        layers.put(g[f"{name}.norm2.gain"], dgain, accumulate)
        dx += dnorm
        self._tell(name, "dresidual1", dx)
        if self.config.mixer == "rwkv":
            dy = rwkv.time_mix_backward(dx, mixed, _of_mixer(g, name), tmp, accumulate)
        else:
            dy = self._attend_backward(dx, name, p, g, mixed, accumulate)
        self._tell(name, "dnorm1", dy)
        dnorm, dgain = layers.rms_norm_backward(dy, norm1, tmp)
        layers.put(g[f"{name}.norm1.gain"], dgain, accumulate)
        dx += dnorm
        self._tell(name, "dresidual0", dx)

    def _attend_backward(self, dx: Array, name: str, p: dict[str, Array], g: dict[str, Array],
                         cache: Any, accumulate: bool) -> Array:
        """Gradient of _attend: dx (N, C) → dy (N, C)."""
        (y, normed, attn, o), (n, c), tmp = cache, dx.shape, self.workspace.at("tmp")
        layers.product_into(g[f"{name}.attn.proj"], o, dx, tmp, accumulate)
        do = np.matmul(p[f"{name}.attn.proj"], dx.T, out=tmp("branch", c, n))
        self._tell(name, "dattn.mixed", do)
        dqkv = attention.attention_backward(do, attn, tmp)
        if normed:
            self._tell(name, "dattn.normed", dqkv)
            attention.norm_heads_backward(dqkv[: c + self.config.kv_width], normed,
                                          _gains(g, name), tmp, accumulate)
        self._tell(name, "dattn.qkv", dqkv)
        layers.product_into(g[f"{name}.attn.qkv"], dqkv, y, tmp, accumulate)
        return np.matmul(dqkv.T, p[f"{name}.attn.qkv"], out=tmp("branch", n, c))


def _gains(views: dict[str, Array], block: str) -> tuple[Array, Array]:
    """Of a block's queries and of its keys."""
    return views[f"{block}.attn.q_gain"], views[f"{block}.attn.k_gain"]


def _of_mixer(views: dict[str, Array], block: str) -> dict[str, Array]:
    """The views of a block's mixer by their last names."""
    return {name: views[f"{block}.rwkv.{name}"] for name in rwkv.NAMES}
