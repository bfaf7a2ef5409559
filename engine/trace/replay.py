"""The steps before a failure once more, from where a run was saved or from its start."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.errors import Diverged
from engine.model import Array, Flat
from engine.trace.state import Odd, odd_slots, odd_start, odd_weights
from engine.trace.update import Moved, moved, sampled
from engine.trace.watch import Seen, look
from engine.training import Trainer

Saved = tuple[dict[str, Array], dict[str, Any]]
POINTS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)  # steps before the failure at which sizes are noted
Go = Callable[[int, int], bool]  # told how many steps are done of how many; whether to go on


@dataclass(slots=True)
class Past:
    """What the steps before a failure were like."""

    began_at: int
    odd: list[Odd] = field(default_factory=list)  # in the state from which it was repeated
    moves: list[Moved] = field(default_factory=list)
    sizes: list[tuple[int, list[Seen]]] = field(default_factory=list)  # by updates made
    made: tuple[int, list[Odd], list[Odd]] | None = None  # update that left odd weights and slots
    is_same: bool | None = None  # whether it led to the same parameters; None: not that far

    def sizes_of(self, seen: Seen) -> tuple[tuple[int, float], ...]:
        """The root mean squares of one tensor, by updates made."""
        return tuple((step, one.rms) for step, all_seen in self.sizes for one in all_seen
                     if (one.block, one.tensor) == (seen.block, seen.tensor))


def begin(trainer: Trainer, saved: Saved | None) -> Past:
    """Put a trainer back to a checkpoint, or to before its first step."""
    if saved:
        trainer.restore(*saved)
        found: list[Odd] = []
    else:
        trainer.begin_again()
        found = odd_start(trainer.config, trainer.params)
    return Past(trainer.step, found + odd_weights(trainer.params) + slots_of(trainer))


def slots_of(trainer: Trainer) -> list[Odd]:
    n = trainer.optimizer.scalars().get("n_updates")
    return odd_slots(trainer.config, trainer.optimizer.slots, None if n is None else int(n))


def checksum(params: Flat) -> int:
    return zlib.crc32(params.buffer.view(np.uint8).data)


def replay(trainer: Trainer, saved: Saved | None, until: int, after: int,
           window: tuple[Array, Array], go: Go, asked: Sequence[int] = ()) -> Past:
    """The past of a run up to `until` updates, whose parameters then had the checksum `after`.

    window  ids and targets (T,) on which the sizes of all tensors are noted
    asked   entries of the parameters whose changes are looked at, too
    """
    past = begin(trainer, saved)
    points = {until - back for back in POINTS} | {past.began_at}
    n = until - past.began_at
    try:
        while trainer.step < until:
            if trainer.step in points:
                _note(trainer, past, window)
            if not go(trainer.step - past.began_at, n):
                return past
            before = sampled(trainer, asked)
            event = trainer.advance()
            past.moves.append(moved(trainer, before, event.grad_norm, event.lr))
            if not _is_finite(trainer.params.buffer):
                past.made = trainer.step, odd_weights(trainer.params), slots_of(trainer)
                break
    except Diverged:  # earlier than before: it was something that no longer is
        past.is_same = False
        return past
    past.is_same = checksum(trainer.params) == after
    _note(trainer, past, window)
    return past


def _is_finite(buffer: Array) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.dot(buffer, buffer))) or bool(np.all(np.isfinite(buffer)))


def _note(trainer: Trainer, past: Past, window: tuple[Array, Array]) -> None:
    # The gradient of the last update is spent.
    past.sizes.append((trainer.step, look(
        trainer.model, trainer.params, trainer.grads[0], *window, compares=False)))
