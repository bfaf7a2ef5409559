"""The failing step once more from the very numbers it failed with, each sequence by itself, and
where none breaks, as a whole.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.config import Config
from engine.model import Array, Flat
from engine.trace.compare import Deviation, size
from engine.trace.finding import TENSORS
from engine.trace.replay import checksum, slots_of
from engine.trace.state import Odd, odd_weights
from engine.trace.watch import CALM, Seen, in_order, look
from engine.trace.whole import strayed, summed
from engine.training import Trainer, parts

LONGEST = 512  # tokens watched at once: scores are kept whole
MOST_SCORES = 1 << 23  # of a window that is watched because none of its pieces breaks


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed, as it stands in memory and as it goes again."""

    step: int  # 1 for the first
    odd: list[Odd]  # in parameters and optimizer
    left: list[tuple[int | None, str]]  # not finite in what the failing pass left behind, in order
    window: tuple[Array, Array]  # ids and targets (T,) of the worst sequence
    seen: list[Seen]  # of it
    common: list[int]  # tokens in all sequences that break and in no other
    checksum: int
    weights_rms: float  # root mean square of all matrices
    norm_is_over: bool  # every gradient is finite, and the sum of their squares is not
    whole: str = ""  # where alone the step breaks again, if in none of its sequences
    strayed: str = ""  # how targets are not the tokens that follow
    total: Deviation | None = None  # how the gradient is not the mean of its sequences' ones


def failure_of(trainer: Trainer, window: tuple[Array, Array] | None = None, *,
               sums: bool = True) -> Failure:
    """Look at the step that a trainer could not make; it is left as it was, but for gradients.

    window  ids and targets (T,) to look at in place of those of that step
    sums    whether to see that the step's gradient is the mean of its sequences' ones, which takes
            as long as two steps
    """
    left, whole = remains(trainer), ""
    odd = odd_weights(trainer.params) + slots_of(trainer)
    common: list[int] = []
    is_step = window is None
    if window is None:
        window, common = worst(trainer)
    seen = look(trainer.model, trainer.params, trainer.grads[0], *window)
    is_finite = all(one.is_finite for one in seen)
    is_over = not left and is_finite and not _is_summable(trainer.grads[0])
    if is_step and left and is_finite:
        whole, left = _again(trainer, left)
    taken, rms = _taken(trainer), _rms(trainer.params)
    total = summed(trainer, *taken, rms < CALM) if sums and is_finite and not left else None
    return Failure(trainer.step + 1, odd, left, window, seen, common, checksum(trainer.params),
                   rms, is_over, whole,
                   strayed(*(taken if is_step else (x[None] for x in window))), total)


def sequences(trainer: Trainer, step: int) -> list[tuple[Array, Array]]:
    """Ids and targets (T,) of every sequence of the batch of a step, in pieces of LONGEST."""
    found = []
    for row, wanted in zip(*_taken(trainer, step), strict=True):
        found += [(row[i : i + LONGEST], wanted[i : i + LONGEST])
                  for i in range(0, row.size, LONGEST)]
    return found


def worst(trainer: Trainer) -> tuple[tuple[Array, Array], list[int]]:
    """The first sequence that breaks, or that with the largest gradient; and the tokens of all
    that break, where some do not. Sequences are pieces, but where only a whole one breaks.
    """
    found = sequences(trainer, trainer.step)
    scores = [_square(trainer, ids[None], targets[None]) for ids, targets in found]
    bad = [i for i, one in enumerate(scores) if not math.isfinite(one)]
    if not bad:
        return _long(trainer) or found[int(np.argmax(scores))], []
    common = set.intersection(*(set(found[i][0].tolist()) for i in bad))
    for i, (ids, _) in enumerate(found):
        if i not in bad:
            common -= set(ids.tolist())
    return found[bad[0]], sorted(common) if len(bad) < len(found) else []


def _long(trainer: Trainer) -> tuple[Array, Array] | None:
    """The first whole sequence that breaks, where its pieces were shorter and it can be watched."""
    if trainer.config.seq_len <= LONGEST or not is_watchable(trainer.config):
        return None
    return next((one for one in zip(*_taken(trainer), strict=True) if not math.isfinite(
        _square(trainer, *(x[None] for x in one)))), None)


def is_watchable(config: Config) -> bool:
    """Whether what a whole sequence computes can be kept."""
    return config.mixer != "attention" or config.n_head * config.seq_len**2 <= MOST_SCORES


def _taken(trainer: Trainer, step: int | None = None) -> tuple[Array, Array]:
    """Ids and targets (n, T) of all passes of a step; of the next, if none is said."""
    n = trainer.config.grad_accum * trainer.config.batch_size
    return trainer.batches.take((trainer.step if step is None else step) * n, n)


def _square(trainer: Trainer, ids: Array, targets: Array, *, adds: bool = False) -> float:
    """Of the gradient's size by the leader alone; not finite where the loss is not."""
    grads, share = trainer.grads[0], len(ids) / trainer.config.batch_size
    with np.errstate(all="ignore"):
        loss = trainer.model.loss_and_gradient(trainer.params, grads, ids, targets, share=share,
                                               accumulate=adds)
        square = float(np.dot(grads.buffer, grads.buffer))
    return square if math.isfinite(loss) else math.nan


# --- the step as a whole ---------------------------------------------------------------------


def _again(trainer: Trainer,
           left: list[tuple[int | None, str]]) -> tuple[str, list[tuple[int | None, str]]]:
    """Where alone the whole step breaks again, in words, and what the smallest such pass left.

    As it was made: all sequences of a pass at once, passes added up, replicas. Where all of it is
    finite now, no words, and what was left before.
    """
    if all(map(math.isfinite, trainer.gradient())):
        return "", left
    left = remains(trainer) or left
    bad = [rank for rank, grads in enumerate(trainer.grads) if rank and not _is_finite(grads)]
    for words, square in _wholes(trainer):
        if not math.isfinite(square):
            return words, remains(trainer) or left
    if bad:
        return f"in what replica {bad[0]} computes", left
    return ("in the sum over all replicas" if trainer.n_replicas > 1
            else "in the step as a whole"), left


def _wholes(trainer: Trainer) -> Iterator[tuple[str, float]]:
    """Ever larger parts of the step, in words, and what the leader alone makes of each."""
    config, (ids, targets) = trainer.config, _taken(trainer)
    if config.seq_len > LONGEST:
        for one in range(len(ids)):
            yield (f"in windows of more than {LONGEST} tokens",
                   _square(trainer, ids[one, None], targets[one, None]))
    ids, targets = (x.reshape(config.grad_accum, config.batch_size, -1) for x in (ids, targets))
    rows_of = parts(config.batch_size, trainer.n_replicas)
    for rows in rows_of:
        n = rows.stop - rows.start
        for one, wanted in zip(ids[:, rows], targets[:, rows], strict=True):
            yield f"in passes over {n} sequences at once", _square(trainer, one, wanted)
    for rows in rows_of:
        for i in range(config.grad_accum):
            yield ("where the gradients of several passes are added up",
                   _square(trainer, ids[i, rows], targets[i, rows], adds=i > 0))


def _is_finite(grads: Flat) -> bool:
    return bool(np.all(np.isfinite(grads.buffer)))


def remains(trainer: Trainer) -> list[tuple[int | None, str]]:
    """Tensors of the leader's last pass that are not finite, in the order of computation.

    What its buffers still hold: the only trace of what does not happen again.
    """
    found: list[tuple[int | None, str]] = []
    for name, flat in trainer.model.workspace.held().items():
        place, dot, own = name.partition(".")
        if dot and place.startswith("block") and own in TENSORS and not np.all(np.isfinite(flat)):
            found.append((int(place[5:]), TENSORS[own]))
    views = trainer.grads[0].views
    found = [_source(*one, trainer.config.mixer) for one in found]
    for block, name in reversed(in_order(list(views))):
        view = views[f"block{block}.{name}" if block >= 0 else name]
        if not np.all(np.isfinite(view)):
            found.append((None if block < 0 else block, f"gradient of {name}"))
    return found


def _source(block: int | None, tensor: str, mixer: str) -> tuple[int | None, str]:
    """What a norm was given: what a branch puts out is not kept, so that its norm shows it first.
    """
    if tensor == "norm2":
        return block, "rwkv.proj" if mixer == "rwkv" else "attn.proj"
    if tensor == "norm1":
        return (block - 1, "mlp.down") if block else (None, "embed")
    return block, tensor


def _rms(params: Flat) -> float:
    with np.errstate(all="ignore"):
        return size(params.buffer[: params.n_decay]) / math.sqrt(params.n_decay)


def _is_summable(grads: Flat) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.dot(grads.buffer, grads.buffer)))
