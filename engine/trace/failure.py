"""The failing step once more from the very numbers it failed with, each sequence by itself."""

import math
from dataclasses import dataclass

import numpy as np

from engine.model import Array, Flat
from engine.trace.compare import size
from engine.trace.finding import TENSORS
from engine.trace.replay import checksum, slots_of
from engine.trace.state import Odd, odd_weights
from engine.trace.watch import Seen, in_order, look
from engine.training import Trainer

LONGEST = 512  # tokens watched at once: scores are kept whole


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


def failure_of(trainer: Trainer, window: tuple[Array, Array] | None = None) -> Failure:
    """Look at the step that a trainer could not make; it is left as it was, but for gradients."""
    left = remains(trainer)
    odd = odd_weights(trainer.params) + slots_of(trainer)
    common: list[int] = []
    if window is None:
        window, common = worst(trainer)
    seen = look(trainer.model, trainer.params, trainer.grads[0], *window)
    return Failure(trainer.step + 1, odd, left, window, seen, common, checksum(trainer.params),
                   _rms(trainer.params),
                   not left and all(one.is_finite for one in seen) and not _is_summable(
                       trainer.grads[0]))


def sequences(trainer: Trainer, step: int) -> list[tuple[Array, Array]]:
    """Ids and targets (T,) of every sequence of the batch of a step, in pieces of LONGEST."""
    config, found = trainer.config, []
    n = config.grad_accum * config.batch_size
    ids, targets = trainer.batches.take(step * n, n)
    for row, wanted in zip(ids, targets, strict=True):
        found += [(row[i : i + LONGEST], wanted[i : i + LONGEST])
                  for i in range(0, row.size, LONGEST)]
    return found


def worst(trainer: Trainer) -> tuple[tuple[Array, Array], list[int]]:
    """The first sequence that breaks, or that with the largest gradient; and the tokens of all
    that break, where some do not.
    """
    found, scores = sequences(trainer, trainer.step), []
    with np.errstate(all="ignore"):
        for ids, targets in found:
            loss = trainer.model.loss_and_gradient(trainer.params, trainer.grads[0], ids[None],
                                                   targets[None])
            square = float(np.dot(trainer.grads[0].buffer, trainer.grads[0].buffer))
            scores.append(square if math.isfinite(loss) else math.nan)
    bad = [i for i, one in enumerate(scores) if not math.isfinite(one)]
    if not bad:
        return found[int(np.argmax(scores))], []
    common = set.intersection(*(set(found[i][0].tolist()) for i in bad))
    for i, (ids, _) in enumerate(found):
        if i not in bad:
            common -= set(ids.tolist())
    return found[bad[0]], sorted(common) if len(bad) < len(found) else []


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
