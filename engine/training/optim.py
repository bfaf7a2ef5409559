"""Optimizers over one flat buffer, global-norm clipping and learning-rate schedules.

Every update walks the buffer in blocks that stay in cache, so that its dozen elementwise passes
cost the memory traffic of one.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from engine.blocks import Matrix, matrices, muon_shares
from engine.config import Config
from engine.model import Array, Flat, Workspace
from engine.native import Kernels, updates
from engine.training.muon import MOMENTUM, orthogonal
from engine.training.parallel import parts

BLOCK = 32 * 1024  # floats: parameter, gradient and two moments of a block fit in 512 kB of L2
EPS = 1e-8  # AdamW's ε; Kingma and Ba 2015, section 2
# Muon's learning rate for matrices in units of lr. Measured on TinyStories, 64d/2L, 400k tokens:
# with 1, 2, 3 its best lr are 0.02, 6e-3, 3e-3 and give 3.067, 3.067, 3.141 nats a token; 3.068
# with Liu's 0.2 √max(out, in) at 6e-3; AdamW 3.272. Of equals that with its lr nearest AdamW's.
RATE = 2.0


def learning_rate(config: Config, step: int, n_steps: int) -> float:
    """Learning rate of update `step` (0-based) of n_steps.

    Linear warm-up over warmup_frac; then constant, or cosine to min_lr_frac (Loshchilov and
    Hutter 2017, arXiv:1608.03983), or constant and a linear decay over the last decay_frac
    (wsd: Hu et al. 2024, arXiv:2404.06395, section 4).
    """
    n_warm = round(config.warmup_frac * n_steps)
    if step < n_warm:
        return config.lr * (step + 1) / n_warm
    schedule, low = config.effective_schedule, config.min_lr_frac
    if schedule == "cosine":
        done = (step - n_warm) / max(1, n_steps - 1 - n_warm)
        return config.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
    if schedule == "wsd":
        n_decay = max(1, round(config.decay_frac * n_steps))
        left = min(1.0, (n_steps - 1 - step) / n_decay)
        return config.lr * (low + (1 - low) * max(0.0, left))
    return config.lr


def decay_rate(config: Config, lr: float) -> float:
    """Weight decay λ of an update at this learning rate, which multiplies lr · λ · p.

    With scheduled_decay λ follows the schedule as well: λ lr / lr_max, so that lr · λ falls as lr²
    and weights stay in balance with a rate that falls. Source: Defazio 2025, arXiv:2506.02285,
    section 3 (AdamC); here of every matrix, not of normalised layers alone.
    """
    falls = config.scheduled_decay and config.effective_schedule != "constant"
    return config.weight_decay * (lr / config.lr) if falls else config.weight_decay


def sum_gradients(own: Array, others: Sequence[Array], tmp: Workspace | None = None) -> float:
    """Add others to own (n,), in place; the sum of squares of what own is then.

    It is not finite where an entry is not.
    """
    if tmp is not None and tmp.kernels:
        return updates.sum_gradients(own, others, tmp.kernels)
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, own.size, BLOCK):
            part = own[start : start + BLOCK]
            for other in others:
                part += other[start : start + BLOCK]
            total += float(np.dot(part, part))  # summed in double across blocks
    return total


class Optimizer(Protocol):
    """What the training loop needs of an optimizer."""

    slots: dict[str, Array]  # what a checkpoint must hold beside the parameters

    def update(self, params: Flat, grads: Array, lr: float, grad_scale: float,
               part: slice) -> None:
        """Apply one step to a part of the flat buffer, in place.

        grads is flat; grad_scale (clipping) multiplies it first. Every process that shares the
        slots calls this once a step, each with its own part.
        """
        ...

    def evaluation_point(self, params: Flat, out: Array) -> Array:
        """The flat parameters to evaluate and sample with; `out` may be used to hold them."""
        ...

    def scalars(self) -> dict[str, float]:
        """Numbers a checkpoint must hold."""
        ...

    def restore(self, scalars: dict[str, float]) -> None:
        """Take up the numbers `scalars` gave; the slots are filled by the caller."""
        ...


def make_optimizer(config: Config, zeros: Callable[[int], Array] | None = None,
                   kernels: Kernels | None = None) -> Optimizer:
    """The optimizer a Config names, its slots made by `zeros`: n → (n,) float32."""
    kinds: dict[str, Callable[[Config, Callable[[int], Array], Kernels | None], Optimizer]] = {
        "adamw": AdamW, "lion": Lion, "schedule_free": ScheduleFree, "muon": Muon}
    return kinds[config.optimizer](config, zeros or partial(np.zeros, dtype=np.float32), kernels)


def shares(config: Config, n: int) -> list[slice]:
    """The part of the flat buffer that each of n processes updates."""
    if config.optimizer == "muon":
        return [slice(*share) for share in muon_shares(config, n)]
    return parts(config.n_params, n)


class AdamW:
    """Adam with decoupled weight decay.

        m ← β₁m + g        v ← β₂v + g²
        p ← p − lr · (m̂ / (√v̂ + ε) + λp)      m̂ = m (1−β₁) / (1−β₁ᵗ), v̂ likewise

    The slots are sums, not averages: the factors 1−β are in the correction, two passes less.
    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
    """

    def __init__(self, config: Config, zeros: Callable[[int], Array],
                 kernels: Kernels | None = None) -> None:
        self.config, self.n_updates = config, 0
        self.slots = {name: zeros(config.n_params) for name in ("m", "v")}
        self.scratch = Workspace(self.slots["m"].dtype, kernels)

    def update(self, params: Flat, grads: Array, lr: float, grad_scale: float,
               part: slice) -> None:
        self.n_updates += 1
        self._move(params, grads, lr, grad_scale, part)

    def _move(self, params: Flat, grads: Array, lr: float, grad_scale: float, part: slice,
              n_without: int = 0) -> None:
        """One step of a part; v has no place for n_without entries before it."""
        beta1, beta2 = self.config.beta1, self.config.beta2
        correct1 = (1 - beta1**self.n_updates) / (1 - beta1)
        correct2 = math.sqrt((1 - beta2**self.n_updates) / (1 - beta2))
        for rows, decay in _blocks(params, part, lr * decay_rate(self.config, lr), self.scratch):
            v = self.slots["v"][rows.start - n_without : rows.stop - n_without]
            updates.adamw((params.buffer[rows], grads[rows], self.slots["m"][rows], v),
                          (grad_scale, beta1, beta2, EPS * correct2, lr * correct2 / correct1,
                           decay), self.config.cautious_decay, self.scratch)

    def evaluation_point(self, params: Flat, out: Array) -> Array:
        return params.buffer

    def scalars(self) -> dict[str, float]:
        return {"n_updates": self.n_updates}

    def restore(self, scalars: dict[str, float]) -> None:
        self.n_updates = int(scalars["n_updates"])


class Lion:
    """Sign of an interpolated momentum, with decoupled weight decay.

        p ← p − lr · (sign(β₁m + (1−β₁)g) + λp)        m ← β₂m + (1−β₂)g

    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
    """

    def __init__(self, config: Config, zeros: Callable[[int], Array],
                 kernels: Kernels | None = None) -> None:
        self.config, self.slots = config, {"m": zeros(config.n_params)}
        self.scratch = Workspace(self.slots["m"].dtype, kernels)

    def update(self, params: Flat, grads: Array, lr: float, grad_scale: float,
               part: slice) -> None:
        mix = self.config.beta1 / (1 - self.config.beta1)
        for rows, decay in _blocks(params, part, lr * decay_rate(self.config, lr), self.scratch):
            updates.lion((params.buffer[rows], grads[rows], self.slots["m"][rows]),
                         (grad_scale, mix, self.config.beta2, lr, decay),
                         self.config.cautious_decay, self.scratch)

    def evaluation_point(self, params: Flat, out: Array) -> Array:
        return params.buffer

    def scalars(self) -> dict[str, float]:
        return {}

    def restore(self, scalars: dict[str, float]) -> None:
        pass


class ScheduleFree:
    """AdamW whose iterate is averaged instead of its learning rate decayed.

    The parameters in training are y, where the gradient is taken; z takes the plain steps and
    the average x is what is evaluated:

        y = (1−β₁)z + β₁x        v ← β₂v + (1−β₂)g(y)²        u = g / (√v̂ + ε) + λy
        z ← z − lr · u           x ← (1−c)x + cz              c = lr² / Σ lr²

    x is not stored: x = (y − (1−β₁)z) / β₁. Source: Defazio et al. 2024, arXiv:2405.15682,
    algorithm 1 with the weighting of its section 4.1 (weights follow the squared warm-up).
    """

    def __init__(self, config: Config, zeros: Callable[[int], Array],
                 kernels: Kernels | None = None) -> None:
        self.config, self.n_updates, self.weight_sum = config, 0, 0.0
        self.slots = {name: zeros(config.n_params) for name in ("z", "v")}
        self.scratch = Workspace(self.slots["z"].dtype, kernels)

    def update(self, params: Flat, grads: Array, lr: float, grad_scale: float,
               part: slice) -> None:
        if self.n_updates == 0:
            self.slots["z"][part] = params.buffer[part]  # x = y = z at the start
        self.n_updates += 1
        beta1, beta2 = self.config.beta1, self.config.beta2
        correct2 = math.sqrt(1 - beta2**self.n_updates)
        self.weight_sum += lr * lr
        c = lr * lr / self.weight_sum if self.weight_sum else 1.0
        for rows, decay in _blocks(params, part, decay_rate(self.config, lr), self.scratch):
            z, v = self.slots["z"][rows], self.slots["v"][rows]
            updates.schedule_free((params.buffer[rows], grads[rows], z, v),
                                  (grad_scale, beta2, 1 / correct2, EPS, decay, c,
                                   lr * (beta1 * (1 - c) - 1), lr),
                                  self.config.cautious_decay, self.scratch)

    def evaluation_point(self, params: Flat, out: Array) -> Array:
        """x = (y − (1−β₁)z) / β₁, written to out."""
        if self.n_updates == 0:
            return params.buffer
        beta1 = self.config.beta1
        np.multiply(self.slots["z"], -(1 - beta1) / beta1, out=out)
        for start in range(0, out.size, BLOCK):
            rows = slice(start, start + BLOCK)
            out[rows] += params.buffer[rows] * np.float32(1 / beta1)
        return out

    def scalars(self) -> dict[str, float]:
        return {"n_updates": self.n_updates, "weight_sum": self.weight_sum}

    def restore(self, scalars: dict[str, float]) -> None:
        self.n_updates = int(scalars["n_updates"])
        self.weight_sum = float(scalars["weight_sum"])


class Muon(AdamW):
    """Orthogonal momentum for the matrices of the blocks, AdamW for all else.

        M ← μM + G        W ← W − lr · (ρ √max(1, out / in) · NS₅(G + μM) + λW)

    μ is MOMENTUM, ρ is RATE: one learning rate serves both. Every linear map is a matrix of its
    own, also where several lie together (engine/blocks.py). The part that a matrix begins in
    updates the whole of it.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; decay of Liu et al. 2025,
    arXiv:2502.16982, section 2.2, at the common rate.
    """

    def __init__(self, config: Config, zeros: Callable[[int], Array],
                 kernels: Kernels | None = None) -> None:
        self.config, self.n_updates, self.matrices = config, 0, matrices(config)
        self.slots = {"m": zeros(config.n_params), "v": zeros(
            config.n_params - sum(one.size for one in self.matrices))}
        self.workspace, self.scratch = (Workspace(self.slots["m"].dtype, kernels) for _ in "ab")

    def update(self, params: Flat, grads: Array, lr: float, grad_scale: float,
               part: slice) -> None:
        self.n_updates += 1
        at, n_without, n = 0, 0, self.config.n_params
        for one in [*self.matrices, Matrix(n, 0, 0, False)]:
            between = slice(max(at, part.start), min(one.start, part.stop))
            if between.start < between.stop:
                self._move(params, grads, lr, grad_scale, between, n_without)
            if part.start <= one.start < part.stop:
                self._turn(one, params, grads, lr, grad_scale)
            at, n_without = one.stop, n_without + one.size

    def _turn(self, one: Matrix, params: Flat, grads: Array, lr: float, grad_scale: float) -> None:
        """One step of one matrix."""
        p, g, m = (flat[one.start : one.stop].reshape(one.rows, one.columns)
                   for flat in (params.buffer, grads, self.slots["m"]))
        x, y = (self.workspace(name, *p.shape) for name in "xy")
        updates.gather((x, g, m, y), (grad_scale, MOMENTUM), self.workspace)
        u, y = orthogonal(x, y, self.workspace)
        updates.descend((p, u, y), (lr * RATE * one.scale, lr * decay_rate(self.config, lr)),
                        self.config.cautious_decay, self.workspace)


def _blocks(params: Flat, part: slice, decay: float,
            space: Workspace) -> Iterator[tuple[slice, float]]:
    """Slices of a part of the flat buffer with their decay, which is none for norm gains.

    They stay in cache, but for kernels, which make one pass of it all.
    """
    block = part.stop if space.kernels else BLOCK
    for first, last, rate in ((part.start, min(part.stop, params.n_decay), decay),
                              (max(part.start, params.n_decay), part.stop, 0.0)):
        for start in range(first, last, block):
            yield slice(start, min(start + block, last)), rate
