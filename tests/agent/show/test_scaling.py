"""A study of size and data on a terminal of any width."""

import pytest

from agent.show.scaling import lines, threshold_rows
from tests.support.example_grids import SHAPES, studied


@pytest.mark.parametrize("width", [60, 100])
def test_the_answer_comes_first_and_nothing_is_too_long(width: int) -> None:
    found = lines(*studied(), width)
    assert max(map(len, found)) <= width
    assert found[0].startswith("On tales, models of ")
    assert any(line.startswith("L = E + A/N^α") for line in found)


def test_the_table_has_a_row_a_size_with_bracket_and_law() -> None:
    heads, *rows = threshold_rows(studied()[0], "tokens", is_short=False)
    assert heads == ["parameters", "unigram", "bigram", "trigram"]
    assert len(rows) == len(SHAPES)
    assert rows[-1][0] == "786k"
    assert " to " in rows[-1][3]
    assert "95 %: " in rows[-1][3]
