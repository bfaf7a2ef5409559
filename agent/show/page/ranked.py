"""Rows under each other on one axis: a bar or a point a row, with its interval, its name above.

Names stand over their rows and not beside them, so that a phone has room for both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import words
from agent.show.page.draw import SHAPES, element, number, said
from agent.show.page.marks import BLUE, Shape
from agent.show.page.scale import Scale
from agent.show.page.ticks import LETTER, x_ticks

PITCH, TOP = 38, 8  # height of a row, and above the first
MARGIN_PART, LONGEST = 0.04, 0.5  # beyond values and intervals; beyond values, of those
MARGIN = 6  # left and right of the axis
BOLD = 7.6  # width of a bold letter
BAR, LEAD = 7, 12  # height of a bar; letters of a row's lead


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value in the units of the axis; None where only the name is told."""

    name: str
    value: float | None
    lead: str = ""  # a word before the name that stands out
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

    ticks = x_ticks(scale, right - left)
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
    """From zero, or below it, to the largest value or end of an interval.

    An interval that reaches much farther than the values would press them together: it leaves the
    picture at the side.
    """
    values = [0.0, *(row.value for row in picture.rows if row.value is not None)]
    reach = LONGEST * (max(values) - min(values))
    least, most = min(values) - reach, max(values) + reach
    for row in picture.rows:
        values += [min(max(end, least), most) for end in (row.low, row.high) if end is not None]
    low, high = min(values), max(values)
    beyond = MARGIN_PART * (high - low) or 1.0
    return Scale(low - (beyond if low < 0 else 0.0), high + beyond, picture.label)


def _inside(x: float, told: str, width: int) -> float:
    half = LETTER * len(told) / 2
    return min(max(x, half), width - half)


def _row(row: Row, top: float, width: int, x: Callable[[float], float]) -> list[str]:
    y, lead = top + 25, words.cut(row.lead, LEAD)
    room = int((width - 2 * MARGIN) / LETTER) - len(row.told) - 3 - len(lead)
    at = MARGIN + (BOLD * len(lead) + 8 if lead else 0.0)
    found = [said(MARGIN, top + 14, lead, "halo strong")] if lead else []
    found += [said(at, top + 14, words.cut(row.name, max(8, room)), "halo"),
             said(width - MARGIN, top + 14, row.told, "halo strong", "end")]
    if row.value is None:
        return found
    if row.shape is None:
        start, end = sorted((x(0), x(row.value)))
        found.append(f'<path class="k{row.kind} fill" d="M{number(start)} {number(y - BAR / 2)}'
                     f'H{number(max(end, start + 1))}v{BAR}H{number(start)}z"/>')
    if row.low is not None and row.high is not None:
        how = "line" if row.shape else "over"
        ends = [x(row.low), x(row.high)]
        inside = [min(max(end, 0.0), float(width)) for end in ends]
        caps = "".join(f"M{number(end)} {number(y - 4)}v8" for end, kept
                       in zip(ends, inside, strict=True) if end == kept)
        found.append(f'<path class="k{row.kind} {how}" d="M{number(inside[0])} {number(y)}'
                     f'H{number(inside[1])}{caps}"/>')
    if row.shape is not None:
        how = {"ring": "hollow", "dot": "dot", "cross": "line"}.get(row.shape, "fill")
        found.append(f'<path class="k{row.kind} {how}" d="M{number(x(row.value))} {number(y)}'
                     f'{SHAPES[row.shape]}"/>')
    return found
