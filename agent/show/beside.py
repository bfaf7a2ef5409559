"""The runs beside the one that the dashboard shows whole: a line each, or all of them in a few."""

import textwrap

from rich.text import Text

from agent import words
from agent.show.status import Beside, Status

MOST_LINES = 4  # with more runs than that, what is told of each is how far it is


def told(status: Status, width: int, *, is_short: bool = False) -> Text:
    """What to add below the first run; nothing where it runs alone.

    is_short  as few lines as there can be
    """
    if not status.beside:
        return Text("")
    n_more = status.n_running - 1 - len(status.beside)
    if not is_short and len(status.beside) <= MOST_LINES and not n_more:
        lines = [_line(one) for one in status.beside]
    else:
        parts = [_in_short(one) for one in status.beside]
        parts += [f"and {n_more} more"] if n_more else []
        lines = textwrap.wrap(f"beside it {', '.join(parts)}", width)
        if len(lines) > MOST_LINES:
            lines = [*lines[:MOST_LINES - 1], f"and others: {status.n_running} run in all"]
    return Text("".join(f"\n{line}" for line in lines), style="not bold")


def _line(one: Beside) -> str:
    progress = one.progress
    if progress.silent_s is not None:
        return f"{_in_short(one)}, no sign of life for {words.duration(progress.silent_s)}"
    left = ("evaluating" if progress.step == progress.n_steps
            else f"{words.duration(progress.left_s)} left")
    return (f"{_in_short(one)}, {one.run.strategy}, {words.count(progress.tok_per_s)} tok/s, "
            f"{left}")


def _in_short(one: Beside) -> str:
    return f"{one.run.label} {100 * one.progress.share:.0f} %"
