"""Pictures: every mark lies where its values say, in words too, at every size."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from agent.show.page.draw import Plot, apart, legend_rows, number, svg
from agent.show.page.marks import (
    Band,
    Bars,
    Contours,
    Dots,
    Errors,
    Line,
    Mark,
    Rule,
)
from agent.show.page.scale import Scale
from agent.show.page.style import FILE_STYLE
from tests.support import hostile

NS = "{http://www.w3.org/2000/svg}"
EVERY: list[Mark] = [
    Line(points=[(0, 0), (5, 5), (10, 10)], name="a line", end="its end"),
    Line(points=[(0, 0), (5, 5)], is_step=True, is_dashed=True),
    Dots(points=[(1, 2), (3, 4)], shape="diamond", titles=["one", "two"], labels=["1", "2"],
         name="dots"),
    Dots(points=[(1, 2)] * 50), Band(points=[(0, 1, 2), (10, 3, 4)], name="a band"),
    Bars(points=[(2, 8)], width=1, name="bars"), Errors(points=[(2, 3, 5)], name="errors"),
    Contours(xs=[0, 10], ys=[0, 10], heights=[[0, 1], [0, 1]], levels=[0.5], name="contours"),
    Rule(at=5, label="five", name="rule"), Rule(at=5, axis="x", label="x five")]


def drawn(marks: list[Mark], width: int = 720, x: Scale | None = None, **how: bool) -> ET.Element:
    plot = Plot(title="t", text="d", x=x or Scale(0, 10, "x"), y=Scale(0, 10, "y"), marks=marks,
                **how)
    return ET.fromstring(svg(plot, width, 300, "p", FILE_STYLE))


def paths(tree: ET.Element, kind: str) -> list[str]:
    return [one.attrib["d"] for one in tree.iter(f"{NS}path")
            if kind in one.attrib["class"].split()]


def numbers(d: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?[\d.]+", d)]


@pytest.mark.parametrize("width", [170, 340, 720, 1600])
def test_all_marks_stay_inside_whatever_the_width(width: int) -> None:
    tree = drawn(EVERY, width)
    assert tree.attrib["viewBox"] == f"0 0 {width} 300"
    for text in tree.iter(f"{NS}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= 300


def test_a_line_goes_through_its_points_as_the_axes_say() -> None:
    straight = numbers(paths(drawn([Line(points=[(0, 0), (5, 5), (10, 10)])]), "line")[0])
    (x0, y0), (x1, y1), (x2, y2) = zip(straight[::2], straight[1::2], strict=True)
    assert (x1, y1) == pytest.approx(((x0 + x2) / 2, (y0 + y2) / 2), abs=0.1)
    assert x0 < x2
    assert y0 > y2  # upward is larger
    logs = numbers(paths(drawn([Line(points=[(1, 0), (10, 5), (100, 9)])],
                               x=Scale(1, 100, "x", "log")), "line")[0])
    assert logs[2] == pytest.approx((logs[0] + logs[4]) / 2, abs=0.1)


def test_values_without_a_place_are_left_out() -> None:
    tree = drawn([Line(points=[(0, 0), (math.nan, 1), (1, math.inf), (10, 10)])])
    assert len(numbers(paths(tree, "line")[0])) == 4
    assert paths(drawn([Line(points=[]), Dots(points=[]), Band(points=[])]), "line") == []


def test_dots_that_cannot_be_told_apart_are_drawn_once() -> None:
    tree = drawn([Dots(points=[(1 + i * 1e-6, 2) for i in range(10_000)] + [(9, 9)])])
    assert paths(tree, "dot")[0].count("M") == 2


def test_each_name_stands_once_in_the_legend_and_each_title_on_its_dot() -> None:
    tree = drawn([*EVERY, *EVERY])
    said = [one.text for one in tree.iter(f"{NS}text")]
    for name in ("a line", "dots", "a band", "bars", "errors", "contours", "rule"):
        assert said.count(name) == 1
    titles = [one.text for one in tree.iter(f"{NS}title")]
    assert titles == ["t", "one", "two", "one", "two"]


def test_a_small_picture_says_its_title_and_has_no_legend() -> None:
    said = [one.text for one in drawn(EVERY, 170, is_small=True).iter(f"{NS}text")]
    assert "t" in said
    assert "a line" not in said


def test_foreign_words_stay_words() -> None:
    marks: list[Mark] = [Line(points=[(0, 0), (1, 1)], name=hostile.SCRIPT, end=hostile.CLOSING),
                         Dots(points=[(1, 1)], titles=[hostile.IMAGE], labels=[hostile.HEBREW])]
    tree = drawn(marks)
    assert {str(one.tag) for one in tree.iter()} == {
        f"{NS}{tag}" for tag in ("svg", "title", "desc", "style", "clipPath", "rect", "g", "path",
                                 "text")}


def test_labels_are_moved_apart_and_legends_break_their_rows() -> None:
    heights = sorted(apart({"a": 100, "b": 101, "c": 102}, 200).values())
    assert min(b - a for a, b in zip(heights, heights[1:], strict=False)) >= 15
    rows = legend_rows([(EVERY[0], "a long name indeed")] * 5, 340)
    assert [len(row) for row in rows] == [2, 2, 1]


@pytest.mark.parametrize(("value", "told"), [(0.04, "0"), (-0.04, "-0"), (12.0, "12"), (0.0, "0"),
                                             (3.14159, "3.1")])
def test_coordinates_are_short(value: float, told: str) -> None:
    assert number(value) == told
