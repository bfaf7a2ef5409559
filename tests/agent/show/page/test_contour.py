"""Lines of equal height against planes and a saddle, whose lines are known."""

import itertools

import pytest

from agent.show.page.contour import segments

XS, YS = (0.0, 1.0, 2.0, 3.0), (0.0, 1.0, 2.0)


@pytest.mark.parametrize(("a", "b"), [(1, 0), (0, 1), (1, 1), (2, -1), (-1, -3)])
def test_the_line_of_a_plane_is_straight_and_crosses_every_cell_it_should(a: int, b: int) -> None:
    heights = [[a * x + b * y for x in XS] for y in YS]
    level = 0.01 + min(map(min, heights)) + 0.37 * (max(map(max, heights)) - min(map(min, heights)))
    found = segments(XS, YS, heights, level)
    cells = list(itertools.product(range(3), range(2)))
    crossed = [1 for j, i in cells if min(heights[i][j:j + 2] + heights[i + 1][j:j + 2]) < level
               < max(heights[i][j:j + 2] + heights[i + 1][j:j + 2])]
    assert len(found) == len(crossed) > 0
    assert all(a * x + b * y == pytest.approx(level) for piece in found for x, y in piece)


@pytest.mark.parametrize("middle", [0.9, -0.9])
def test_the_mean_decides_which_corners_of_a_saddle_join(middle: float) -> None:
    high, low = 1 + middle, -1 + middle
    for heights in ([[high, low], [low, high]], [[low, high], [high, low]]):
        found = segments((0, 1), (0, 1), heights, 0.0)
        assert len(found) == 2
        cut_off = {(round(sum(x for x, _ in piece) / 2), round(sum(y for _, y in piece) / 2))
                   for piece in found}  # the corner each line goes around
        lone = {(x, y) for y in (0, 1) for x in (0, 1)
                if (heights[y][x] > 0) == (sum(map(sum, heights)) < 0)}
        assert cut_off == lone


def test_no_line_goes_through_a_cell_with_an_unknown_corner() -> None:
    assert segments((0, 1, 2), (0, 1), [[0, None, 0], [1, 1, 1]], 0.5) == []
