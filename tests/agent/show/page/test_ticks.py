"""Words under an axis never touch, however its values lie."""

import itertools

import pytest

from agent.show.page.scale import Kind, Scale, scale_of
from agent.show.page.ticks import FONT, LETTER, x_ticks, y_ticks

# Of real fields: rates, widths, batch sizes, a share, and what nearly stands still.
VALUES = [(3e-4, 1.2e-2), (1.5e-3, 6e-3), (32, 256), (2, 14), (0.02, 0.3), (1e-8, 1e2), (100, 104),
          (0.0009, 0.0011), (9, 128), (1, 5), (1.2e5, 4.4e6)]


@pytest.mark.parametrize("kind", ["linear", "log"])
@pytest.mark.parametrize("ends", VALUES)
@pytest.mark.parametrize("length", [90, 140, 250, 700])
def test_words_of_an_axis_do_not_touch(ends: tuple[float, float], kind: Kind, length: int) -> None:
    scale = scale_of(ends, kind=kind)
    assert scale is not None
    boxes = [(length * scale.at(value), LETTER * len(words) / 2)
             for value, words in x_ticks(scale, length)]
    assert boxes
    assert all(left + its + 4 <= right - other
               for (left, its), (right, other) in itertools.pairwise(boxes))
    heights = [length * scale.at(value) for value, _ in y_ticks(scale, length)]
    assert all(up - low >= FONT for low, up in itertools.pairwise(heights))


def test_choices_with_long_names_leave_some_out_in_place_of_covering_each_other() -> None:
    scale = Scale(-0.5, 3.5, names=("adamw", "schedule_free", "lion", "muon"))
    assert len(x_ticks(scale, 120)) < 4 == len(x_ticks(scale, 400))
