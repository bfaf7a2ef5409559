"""The passes that a run makes: how many sequences, how long, with a backward or without."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.config import EVAL_TOKENS, Config
from engine.training import parts

Window = tuple[int, int, int]  # first token, rows, tokens a row


@dataclass(frozen=True, slots=True)
class Pass:
    """One look at n_batch sequences of n_time tokens."""

    n_batch: int
    n_time: int
    learns: bool = False  # whether gradients are made
    before: int | None = None  # a text that is written: so many tokens came before


def passes_of(config: Config, n_replicas: int = 1,
              windows: Iterable[Sequence[Window]] = ()) -> list[Pass]:
    """Every pass of a run: of each replica, of its evaluations, and of the samples it writes.

    windows  of the slices that are scored; without them full ones are meant
    """
    rows = {part.stop - part.start for part in parts(config.batch_size, max(1, min(
        n_replicas, config.batch_size)))}
    found = [Pass(n, config.seq_len, learns=True) for n in sorted(rows, reverse=True)]
    scored = {(n, time) for one in windows for _, n, time in one} or {
        (max(1, EVAL_TOKENS // config.seq_len), config.seq_len)}
    found += [Pass(n, time) for n, time in sorted(scored, reverse=True)]
    last = config.seq_len - 1
    return [*found, Pass(1, min(4, last), before=0), Pass(1, 1, before=last)]
