"""Which of an axis's round values are written under it: as many as do not touch each other.

On a logarithmic axis they lie at uneven distances, and the names of choices are of any length.
"""

import math
from collections.abc import Callable, Sequence

from agent.show.page.scale import Scale

LETTER, FONT = 6.6, 12  # width of a letter at the size of the text, which is this high
BOLD = 7.4  # width of a letter of a line's name, at most
TICK_ROOM = (62.0, 32.0)  # between ticks of x and of y
GAP = 8.0  # between words under the axis

Ticks = list[tuple[float, str]]


def n_ticks(length: float, axis: int) -> int:
    """How many ticks an axis has room for at most: 0 is x, 1 is y."""
    return max(2, int(length / TICK_ROOM[axis]))


def x_ticks(scale: Scale, length: float) -> Ticks:
    """Values and words along an axis that is so many pixels long."""
    return _apart(scale, length, n_ticks(length, 0), lambda words: (LETTER * len(words) + GAP) / 2)


def y_ticks(scale: Scale, length: float) -> Ticks:
    """The same of an axis that goes up."""
    return _apart(scale, length, n_ticks(length, 1), lambda _: FONT / 2 + 1)


def _apart(scale: Scale, length: float, most: int, reach: Callable[[str], float]) -> Ticks:
    """The most ticks whose words, which reach so far to either side, stay apart."""
    kept: Ticks = []
    for n in range(most, 1, -1):
        ticks = scale.ticks(n)
        kept = _untouched(scale, length, ticks, reach)
        if len(kept) == len(ticks):
            break
    return kept


def _untouched(scale: Scale, length: float, ticks: Sequence[tuple[float, str]],
               reach: Callable[[str], float]) -> Ticks:
    """Of ticks those that do not touch the one before."""
    kept: Ticks = []
    end = -math.inf
    for value, words in ticks:
        at = length * scale.at(value)
        if at - reach(words) >= end:
            kept.append((value, words))
            end = at + reach(words)
    return kept
