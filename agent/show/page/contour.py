"""Lines of equal height over a rectangle of places, by marching squares."""

import itertools
from collections.abc import Sequence

from agent.show.page.marks import Point

Segment = tuple[Point, Point]
Pairs = tuple[tuple[int, int], ...]
# Corners counted from the lower left, against the clock; between which sides a line goes for each
# set of corners above the level. A side has the number of the corner it begins at.
SIDES: dict[int, Pairs] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 6: ((0, 2),), 7: ((3, 2),)}
SADDLES: dict[int, tuple[Pairs, Pairs]] = {
    5: (((3, 2), (1, 0)), ((3, 0), (1, 2))), 10: (((0, 3), (2, 1)), ((0, 1), (2, 3)))}


def segments(xs: Sequence[float], ys: Sequence[float],
             heights: Sequence[Sequence[float | None]], level: float) -> list[Segment]:
    """Pieces of the line at one level: heights[i][j] at (xs[j], ys[i]), linear along each side.

    A cell with an unknown corner has none. Of a saddle the mean decides which corners join.
    Source: Maple 2003, Geometric design and space planning using the marching squares
    and marching cube algorithms.
    """
    found = []
    for i, j in itertools.product(range(len(ys) - 1), range(len(xs) - 1)):
        corners = [(xs[j], ys[i], heights[i][j]), (xs[j + 1], ys[i], heights[i][j + 1]),
                   (xs[j + 1], ys[i + 1], heights[i + 1][j + 1]), (xs[j], ys[i + 1],
                                                                   heights[i + 1][j])]
        known = [(x, y, height) for x, y, height in corners if height is not None]
        if len(known) == 4:
            found += _cell(known, level)
    return found


def _cell(corners: Sequence[tuple[float, float, float]], level: float) -> list[Segment]:
    above = sum(1 << k for k, corner in enumerate(corners) if corner[2] > level)
    if above in SADDLES:
        is_high = sum(corner[2] for corner in corners) / 4 > level
        pairs = SADDLES[above][0 if is_high else 1]
    else:
        pairs = SIDES.get(above) or SIDES.get(15 - above, ())
    return [(_crossing(corners, a, level), _crossing(corners, b, level)) for a, b in pairs]


def _crossing(corners: Sequence[tuple[float, float, float]], side: int, level: float) -> Point:
    (x, y, from_height), (x2, y2, to_height) = corners[side], corners[(side + 1) % 4]
    part = (level - from_height) / (to_height - from_height)
    return x + part * (x2 - x), y + part * (y2 - y)
