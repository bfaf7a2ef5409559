"""Facts with their names before them."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from agent.show.rows import WIDE, facts


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_fact_is_broken_at_words_behind_its_name(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(facts({"best": "batch size and learning rate " * 5, "next": Text("none")},
                        width, WIDE))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("best      batch size")
    assert {line[:WIDE].strip() for line in lines} == {"best", "", "next"}
    assert set(" ".join(lines).split()) == {"best", "batch", "size", "and", "learning", "rate",
                                            "next", "none"}
