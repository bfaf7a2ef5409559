"""Columns of a list: one width each, and the least important go first."""

from agent.show.columns import GAP, Column, fitting, rows

COLUMNS: list[Column[str]] = [
    Column("word", lambda word: word, 0, is_text=True),
    Column("n", lambda word: str(len(word)), 1),
    Column("first", lambda word: word[0], 2, is_text=True)]
WORDS = ["a", "seventeen"]


def test_text_stands_to_the_left_and_numbers_to_the_right() -> None:
    assert rows(COLUMNS, WORDS) == [
        f"word     {GAP}n{GAP}first", f"a        {GAP}1{GAP}a    ", f"seventeen{GAP}9{GAP}s    "]


def test_the_highest_rank_goes_first_and_rank_zero_never() -> None:
    def titles(width: int) -> list[str]:
        return [column.title for column in fitting(
            COLUMNS, lambda left: len(rows(left, WORDS)[0]) > width)]

    assert [titles(width) for width in (99, 19, 18, 12, 3)] == [
        ["word", "n", "first"], ["word", "n", "first"], ["word", "n"], ["word", "n"], ["word"]]
