"""Rows on one axis: bars from zero, points with intervals, names over them."""

import re
import xml.etree.ElementTree as ET

from agent.show.page.ranked import Row, Rows, svg
from agent.show.page.style import FILE_STYLE

NS = "{http://www.w3.org/2000/svg}"


def drawn(*rows: Row, width: int = 340) -> ET.Element:
    return ET.fromstring(svg(Rows(title="t", text="d", label="gain", rows=rows), width, "p",
                             FILE_STYLE))


def bars(tree: ET.Element) -> list[list[float]]:
    return [[float(x) for x in re.findall(r"-?[\d.]+", one.attrib["d"])]
            for one in tree.iter(f"{NS}path") if "fill" in one.attrib["class"].split()]


def test_bars_begin_at_zero_and_are_as_long_as_their_values() -> None:
    (a, b, c) = bars(drawn(*(Row(name="n", value=value) for value in (1.0, 2.0, -1.0))))
    lengths = [abs(one[2] - one[0]) for one in (a, b, c)]
    assert lengths[1] / lengths[0] == 2.0 or abs(lengths[1] / lengths[0] - 2) < 0.02
    assert a[0] == b[0] == c[2]


def test_an_endless_interval_does_not_press_the_values_together() -> None:
    endless = Row(name="m", value=0.5, low=-900, high=900, shape="dot")
    tree = drawn(Row(name="n", value=1.0), endless)
    (bar,) = bars(tree)
    assert bar[2] - bar[0] > 100


def test_long_names_are_cut_and_the_value_stays() -> None:
    said = [one.text or "" for one in drawn(Row(name="x" * 500, value=1.0, told="+1.0",
                                                lead="E1")).iter(f"{NS}text")]
    assert "E1" in said
    assert "+1.0" in said
    assert max(map(len, said)) < 60


def test_rows_without_values_are_told() -> None:
    assert "n" in [one.text for one in drawn(Row(name="n", value=None)).iter(f"{NS}text")]
