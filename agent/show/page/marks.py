"""What can stand in a picture, in the units of its axes: values alone, no colours and no pixels.

A `kind` is the number of a colour, 0 the quiet one. A mark with a `name` stands in the legend.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Shape = Literal["dot", "ring", "diamond", "cross", "triangle", "square"]
QUIET, BLUE, ORANGE, GREEN, RED, PURPLE, SKY = range(7)
N_KINDS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points joined in their order, or as stairs that hold each value until the next."""

    points: Sequence[Point]
    kind: int = BLUE
    name: str = ""
    end: str = ""  # said behind its last point
    is_step: bool = False
    is_thin: bool = False
    is_dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Single points of one shape."""

    points: Sequence[Point]
    kind: int = QUIET
    name: str = ""
    shape: Shape = "dot"
    titles: Sequence[str] = ()  # what each is, for who points at it; as many as points, or none
    labels: Sequence[str] = ()  # said beside each, where there is room


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The area between a lower and an upper curve: x, low, high."""

    points: Sequence[tuple[float, float, float]]
    kind: int = BLUE
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Upright bars from a floor; `width` in units of x."""

    points: Sequence[Point]
    width: float
    floor: float = 0.0
    kind: int = BLUE
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Upright intervals: x, low, high."""

    points: Sequence[tuple[float, float, float]]
    kind: int = BLUE
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contours:
    """Lines of equal height over a rectangle of places: heights[i][j] at (xs[j], ys[i])."""

    xs: Sequence[float]
    ys: Sequence[float]
    heights: Sequence[Sequence[float | None]]  # None: unknown, and no line goes through there
    levels: Sequence[float]
    kind: int = BLUE
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line across the whole field at one value of an axis."""

    at: float
    label: str = ""
    axis: Literal["x", "y"] = "y"
    kind: int = QUIET
    name: str = ""


Mark = Line | Dots | Band | Bars | Errors | Contours | Rule
