"""A failed run traced to what broke it, and a whole one looked over."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from engine.model import Array
from engine.trace.failure import LONGEST, failure_of, is_watchable, sequences
from engine.trace.finding import Finding
from engine.trace.judge import judge, symptom
from engine.trace.replay import Go, Past, Saved, replay
from engine.trace.state import Odd
from engine.trace.update import Moved
from engine.training import Trainer

SHORT = 64  # tokens by which a whole run is looked over
LONG = 400  # steps of a run of which two more are next to nothing


def trace_failure(trainer: Trainer, load: Callable[[], Saved | None],
                  go: Go = lambda done, total: True, start: Sequence[Odd] = ()) -> Finding:
    """Do the step again that a trainer could not make, and say what broke it.

    load  gives the newest checkpoint, or None: then the way is begun at its very start
    go    is told how many steps of how many are done; where it says no, what is known has to do
    start what was wrong with the first values

    The trainer is of no further use: it is put back and led to the failure again.
    """
    now = failure_of(trainer)
    past = replay(trainer, load(), now.step - 1, now.checksum, now.window, go,
                  [one.index for one in now.odd if one.index is not None])
    if past.began_at:
        past.odd += start
    found = judge(trainer.config, now, past)
    if past.is_same is False:
        found = dataclasses.replace(found, is_repeated=False, notes=(
            *found.notes, "the same steps from the same state led to other numbers"))
    return found


def trace_evaluation(trainer: Trainer) -> Finding:
    """What broke where the last step was made and the validation loss is not finite."""
    point = trainer.evaluation_params()
    tokens, n_time = trainer.texts.valid, trainer.config.seq_len
    n = min(n_time, LONGEST)
    window = _pair(tokens[: n + 1])
    lengths = [n, n_time] if n < n_time and is_watchable(trainer.config) else [n]
    with np.errstate(all="ignore"):
        # As what is scored, the last one shorter; whole ones where no piece of them breaks.
        for ids, targets in (_pair(tokens[start : start + n + 1]) for n in lengths
                             for start in range(0, tokens.size - 1, n)):
            if not np.all(np.isfinite(trainer.model.token_losses(
                    point, ids[None], targets[None]))):
                window = ids, targets
                break
    trainer.params.buffer[...] = point.buffer
    now = failure_of(trainer, window, sums=False)
    return judge(trainer.config, dataclasses.replace(now, step=trainer.step), None)


def _pair(tokens: Array) -> tuple[Array, Array]:
    ids = tokens.astype(np.int32)
    return ids[:-1], ids[1:]


def look_over(trainer: Trainer, start: Sequence[Odd] = (),
              last: Moved | None = None) -> Finding | None:
    """What is wrong with a trainer that did not fail, by one short sequence; None: nothing.

    Of a long run the step that would be the next is summed up, too.

    start  what was wrong with the first values
    last   what the last update did

    Parameters and optimizer stay as they are; the gradient, which is spent, does not.
    """
    if trainer.step == 0:
        return None
    ids, targets = sequences(trainer, trainer.step - 1)[0]
    now = failure_of(trainer, (ids[:SHORT], targets[:SHORT]), sums=trainer.step >= LONG)
    past = Past(0, list(start), [last] if last else [])
    return symptom(trainer.config, dataclasses.replace(now, step=trainer.step), past)
