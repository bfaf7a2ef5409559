"""What a model writes beside real text, in half a line and as rows of a table."""

import numpy as np

from agent.analysis.written import SAID, rows_of_text, told_of_text, written_in
from engine.text.quality import NGRAMS, Quality


def row(name: str, value: float, low: float | None = None, high: float | None = None
        ) -> dict[str, object]:
    return {"name": name, "step": 9, "value": value, "low": low, "high": high, "n": 64}


ROWS = [row("known words", 0.8712, 0.85, 0.9), row("known words of real text", 0.99, 0.98, 1.0),
        row("distinct-2", 0.411), row("distinct-2 of real text", 0.565),
        row("accuracy", 0.5), row("longest copy", 5.0)]


def test_only_what_stands_beside_real_text_is_told() -> None:
    assert [one.name for one in written_in(ROWS)] == ["known words", "distinct-2"]
    assert written_in([]) == []


def test_lines_are_short_and_have_both_values() -> None:
    assert told_of_text(written_in(ROWS)) == [
        "its text (real text): known words 87% (99%), different pairs 41% (56%)"]
    every = [row(name + suffix, 0.987) for name in SAID for suffix in ("", " of real text")]
    lines = told_of_text(written_in(every))
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80
    assert told_of_text([]) == []


def test_a_table_has_intervals_where_there_are_any() -> None:
    assert rows_of_text(written_in(ROWS)) == [
        ("known words", "87.1% (85.0% to 90.0%)",
         "99.0% (98.0% to 100.0%)"),
        ("different pairs", "41.1%", "56.5%")]


def test_every_figure_that_is_measured_has_its_words() -> None:
    nothing = np.zeros(0)
    its = Quality(nothing, nothing, nothing.astype(np.int64), {})
    assert {*its.of_texts(), *(f"distinct-{n}" for n in NGRAMS)} == set(SAID)
