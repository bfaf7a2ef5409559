"""Rows under each other on one axis: a bar or a point a row, with its interval, its name above.

Names stand over their rows and not beside them, so that a phone has room for both.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import words
from agent.show.page.draw import LETTER, SHAPES, element, n_ticks, number, said
from agent.show.page.marks import BLUE, Shape
from agent.show.page.scale import Scale, scale_of

PITCH, TOP = 38, 8  # height of a row, and above the first
MARGIN = 6  # left and right of the axis
BAR = 7  # height of a bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value in the units of the axis; None where only the name is told."""

    name: str
    value: float | None
    told: str = ""  # the value in words
    low: float | None = None  # interval
    high: float | None = None
    kind: int = BLUE
    shape: Shape | None = None  # None: a bar from zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A picture of rows; `label` says the quantity of their axis."""

    title: str
    text: str
    label: str
    rows: Sequence[Row]

    def height(self) -> int:
        return TOP + PITCH * len(self.rows) + 44


def svg(picture: Rows, width: int, name: str, style: str = "") -> str:
    """The picture as one element; its height follows from its rows."""
    scale = _scale(picture)
    left, right = MARGIN, width - MARGIN
    bottom = TOP + PITCH * len(picture.rows) + 6

    def x(value: float) -> float:
        return left + (right - left) * scale.at(value)

    ticks = scale.ticks(n_ticks(right - left, 0))
    grid = "".join(f"M{number(x(value))} {TOP}V{bottom}" for value, _ in ticks)
    parts = [f'<path class="grid" d="{grid}"/>']
    if scale.low < 0 < scale.high:
        parts.append(f'<path class="k0 rule" d="M{number(x(0))} {TOP}V{bottom}"/>')
    for i, row in enumerate(picture.rows):
        parts += _row(row, TOP + PITCH * i, width, x)
    parts += [said(_inside(x(value), told, width), bottom + 16, told, "tick", "middle")
              for value, told in ticks]
    parts.append(said(right, bottom + 33, picture.label, "axis", "end"))
    return element(width, picture.height(), name, picture.title, picture.text, "".join(parts),
                   style)


def _scale(picture: Rows) -> Scale:
    """From zero, or below it, to the largest value or end of an interval."""
    values = itertools.chain.from_iterable((row.value, row.low, row.high) for row in picture.rows)
    found = scale_of([0.0, *(value for value in values if value is not None)], picture.label,
                     margin=0.0)
    assert found is not None  # it has the zero
    reach = 0.04 * (found.high - found.low)
    return Scale(found.low - (reach if found.low < 0 else 0.0), found.high + reach, found.label)


def _inside(x: float, told: str, width: int) -> float:
    half = LETTER * len(told) / 2
    return min(max(x, half), width - half)


def _row(row: Row, top: float, width: int, x: Callable[[float], float]) -> list[str]:
    room = int((width - 2 * MARGIN) / LETTER) - len(row.told) - 2
    y = top + 25
    found = [said(MARGIN, top + 14, words.cut(row.name, max(8, room)), "halo"),
             said(width - MARGIN, top + 14, row.told, "halo strong", "end")]
    if row.value is None:
        return found
    if row.shape is None:
        start, end = sorted((x(0), x(row.value)))
        found.append(f'<path class="k{row.kind} fill" d="M{number(start)} {number(y - BAR / 2)}'
                     f'H{number(max(end, start + 1))}v{BAR}H{number(start)}z"/>')
    if row.low is not None and row.high is not None:
        how = "line" if row.shape else "over"
        found.append(f'<path class="k{row.kind} {how}" d="M{number(x(row.low))} {number(y)}'
                     f'H{number(x(row.high))}M{number(x(row.low))} {number(y - 4)}v8'
                     f'M{number(x(row.high))} {number(y - 4)}v8"/>')
    if row.shape is not None:
        how = {"ring": "hollow", "dot": "dot", "cross": "line"}.get(row.shape, "fill")
        found.append(f'<path class="k{row.kind} {how}" d="M{number(x(row.value))} {number(y)}'
                     f'{SHAPES[row.shape]}"/>')
    return found
