"""An update of the parameters beside its formula, on a sample of the entries."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.blocks import matrices
from engine.config import Config
from engine.model import Array
from engine.trace import plain
from engine.trace.compare import evenly
from engine.trace.state import MOMENTUM, Spread
from engine.trace.watch import split, strange
from engine.training import Trainer

EPS = 1e-8
FASTER = 2.0  # the rate of Muon's matrices by that of the others
FOLLOWS = 1e-3  # of a momentum's size, as float32 has it
CERTAIN = 8.0  # standard errors of a weight decay
ROUNDED = 1e-5  # of a step, what rounding may leave of it in any direction
OTHER_DECAY, LEAST_DECAY = 0.2, 1e-3  # of the weight decay, and at all


@dataclass(frozen=True, slots=True)
class Before:
    """What a sample of the entries was before an update."""

    at: Array  # indices into the flat buffer, rising
    asked: Array  # of them, whether each was asked for
    params: Array
    slots: Mapping[str, Array]
    scalars: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Moved:
    """What an update did to the sample."""

    step: int
    share: float  # root mean square of the change of matrices over theirs
    factor: float  # of the change over what the formula gives; 1 where there is none
    gap: float  # of what no factor explains, over the change
    lr_factor: float  # of the rate that was used over that of the configuration's schedule
    is_foreign: bool  # whether an entry that was asked for changed by more than it should
    block: int | None  # where the change is largest beside its formula
    tensor: str
    # Of matrices and of all else: the weight decay that the update shows less that which it should
    # have; 0 where that is too little to be told.
    decay_off: tuple[float, float] = (0.0, 0.0)


def rate(config: Config, step: int, n_steps: int) -> float:
    """The rate of update `step`, counted from 0: warm-up, then the schedule of engine/config."""
    n_warm = round(config.warmup_frac * n_steps)
    if step < n_warm:
        return config.lr * (step + 1) / n_warm
    low, left = config.min_lr_frac, 1.0
    if config.effective_schedule == "cosine":
        done = min(1.0, (step - n_warm) / max(1, n_steps - 1 - n_warm))
        left = 0.5 + 0.5 * math.cos(math.pi * done)
    elif config.effective_schedule == "wsd":
        last = max(1, round(config.decay_frac * n_steps))
        left = max(0.0, min(1.0, (n_steps - 1 - step) / last))
    else:
        return config.lr
    return config.lr * (low + (1 - low) * left)


def sampled(trainer: Trainer, asked: Sequence[int] = ()) -> Before:
    """A sample spread over all parameters, the same each time, and the entries asked for."""
    at = np.unique(np.concatenate([
        evenly(trainer.params.buffer.size), np.array(asked, np.int64)]))
    return Before(at, np.isin(at, asked), trainer.params.buffer[at].astype(np.float64),
                  {name: Spread(trainer.config, slot)[at].astype(np.float64)
                   for name, slot in trainer.optimizer.slots.items()},
                  dict(trainer.optimizer.scalars()))


def moved(trainer: Trainer, before: Before, norm: float, lr: float) -> Moved:
    """What the update that was just made did; norm is of the whole gradient, lr what was used."""
    config, step = trainer.config, trainer.step - 1
    after, grads = trainer.params.buffer[before.at].astype(np.float64), trainer.grads[0].buffer
    wanted_lr = rate(config, step, trainer.n_steps)
    change = after - before.params
    with np.errstate(all="ignore"):
        scale = min(1.0, config.clip / norm) if norm > 0 else 1.0
        plain_change, of_decay = _change(config, before, grads, scale, wanted_lr,
                                         trainer.optimizer.slots)
        is_matrix = before.at < trainer.params.n_decay
        wanted = plain_change + of_decay * config.weight_decay * is_matrix
        share = _rms(change[is_matrix]) / (_rms(before.params[is_matrix]) or 1.0)
        factor, gap, worst, is_foreign, decay_off = 1.0, 0.0, 0, False, (0.0, 0.0)
        if np.all(np.isfinite(wanted)) and np.any(wanted):
            # What float32 keeps of a large parameter's small change.
            blur = np.spacing(np.abs(before.params).astype(np.float32)).astype(np.float64)
            off = np.maximum(np.abs(change - wanted) - 2 * blur, 0.0)
            is_foreign = bool(np.any(off[before.asked] > 0.5 * np.abs(change[before.asked])))
            if _rms(off) > 0.02 * _rms(wanted):
                factor = float(np.vdot(wanted, change) / np.vdot(wanted, wanted))
                gap = _rms(change - factor * wanted) / (_rms(change) or 1.0)
            worst = int(np.nanargmax(np.where(np.isnan(off), np.inf, off)))
            matrices_off, others_off = (
                _decay_off(plain_change[which], of_decay[which], change[which], blur[which],
                           weight_decay)
                for which, weight_decay in ((is_matrix, config.weight_decay), (~is_matrix, 0.0)))
            decay_off = matrices_off, others_off
    block, tensor = _name(trainer, int(before.at[worst]))
    return Moved(trainer.step, share, factor, gap, lr / wanted_lr if wanted_lr else 1.0,
                 is_foreign, block, tensor, decay_off)


def _decay_off(plain_change: Array, of_decay: Array, change: Array, blur: Array,
               weight_decay: float) -> float:
    """Least squares: by how much the weight decay differs; 0 where that is no more than rounding.

    of_decay  what a weight decay of 1 would add to plain_change, where there is none
    blur      what rounding may leave of a parameter; of gains that are alike in one direction
    """
    below = float(np.vdot(of_decay, of_decay))
    if not below:
        return 0.0
    rest = change - plain_change
    found = float(np.vdot(of_decay, rest)) / below
    n, unit = change.size, _rms(of_decay)
    unsure = (CERTAIN * _rms(rest - found * of_decay) / math.sqrt(n) + _rms(blur)
              + ROUNDED * _rms(plain_change)) / unit
    return found - weight_decay if abs(found - weight_decay) > max(
        unsure, OTHER_DECAY * weight_decay, LEAST_DECAY) else 0.0


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x * x))) if x.size else 0.0


def _name(trainer: Trainer, index: int) -> tuple[int | None, str]:
    start = 0
    for name, view in trainer.params.views.items():
        start += view.size
        if index < start:
            block, own = split(name)
            return None if block < 0 else block, own
    return None, ""


def _change(config: Config, before: Before, grads: Array, scale: float, lr: float,
            after: Mapping[str, Array]) -> tuple[Array, Array]:
    """What the optimizer's formula adds to the sample without weight decay, and what a decay of 1
    of every entry would add to that; not finite where no formula is known here.

    after  slots as the update left them
    """
    unknown = np.full(before.at.size, np.nan), np.zeros(before.at.size)
    if strange(config):
        return unknown
    g = _clipped(grads[before.at], scale)
    p, slots = before.params, before.slots
    n, b1, b2 = before.scalars.get("n_updates", 0) + 1, config.beta1, config.beta2
    if config.optimizer in ("adamw", "muon"):  # slots are sums, Loshchilov and Hutter 2019
        m, v = b1 * slots["m"] + g, b2 * slots["v"] + g * g
        m, v = m * (1 - b1) / (1 - b1**n), v * (1 - b2) / (1 - b2**n)
        u = m / (np.sqrt(v) + EPS)
        if config.optimizer == "muon":
            _turn(config, before, grads, scale, u, after["m"])
    elif config.optimizer == "lion":  # Chen et al. 2023
        u = np.sign(b1 * slots["m"] + (1 - b1) * g)
    elif config.optimizer == "schedule_free":
        return _averaged(config, before, g, lr)
    else:
        return unknown
    return -lr * u, -lr * _decayed(config, p, u, lr)


def _clipped(grads: Array, scale: float) -> Array:
    """As float32 has them: what it rounds to 0 goes neither way."""
    return (grads.astype(np.float64) * scale).astype(np.float32).astype(np.float64)


def _decayed(config: Config, p: Array, u: Array, lr: float) -> Array:
    """What a decay of 1 adds to a step u, by the rate: with scheduled_decay as the rate falls,
    with cautious_decay only where the step goes towards zero, too.
    """
    falls = config.scheduled_decay and config.effective_schedule != "constant"
    is_there = (u * p).astype(np.float32) >= 0 if config.cautious_decay else 1
    return np.asarray((lr / config.lr if falls else 1.0) * p * is_there)


def _turn(config: Config, before: Before, grads: Array, scale: float, u: Array,
          momentum: Array) -> None:
    """Muon's step of the blocks' matrices, over what u has there: Jordan et al. 2024.

    momentum  as the update left it: all of it as it was would be a copy as large as the model. Its
              sample is seen to follow from the one before, or the step is said to be none.
    """
    for one in matrices(config):
        inside = slice(*np.searchsorted(before.at, (one.start, one.stop)))
        m, g = (flat.astype(np.float64) for flat in (
            momentum[one.start : one.stop], _clipped(grads[one.start : one.stop], scale)))
        step = plain.orthogonal((g + MOMENTUM * m).reshape(one.rows, one.columns)).reshape(-1)
        sample = before.at[inside] - one.start
        follows = MOMENTUM * before.slots["m"][inside] + g[sample]
        is_right = _rms(m[sample] - follows) <= FOLLOWS * _rms(follows)
        u[inside] = FASTER * one.scale * step[sample] if is_right else 0.0


def _averaged(config: Config, before: Before, g: Array, lr: float) -> tuple[Array, Array]:
    """The same of a schedule-free average: Defazio et al. 2024."""
    p, slots, n = before.params, before.slots, before.scalars.get("n_updates", 0) + 1
    b1, b2 = config.beta1, config.beta2
    z, v = slots["z"] if n > 1 else p, b2 * slots["v"] + (1 - b2) * g * g
    u = g / (np.sqrt(v / (1 - b2**n)) + EPS)
    total = before.scalars.get("weight_sum", 0.0) + lr * lr
    c = lr * lr / total if total else 1.0
    x = (p - (1 - b1) * z) / b1
    share = 1 - b1 + b1 * c  # of a change of z, in what lies between it and the average
    return ((1 - b1) * z + b1 * ((1 - c) * x + c * z) - p - lr * share * u,
            -lr * share * _decayed(config, p, u, lr))
