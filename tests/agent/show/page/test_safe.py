"""Foreign text on its way into a page."""

from agent.show.page import safe
from tests.support import hostile


def test_nothing_is_left_that_markup_is_made_of() -> None:
    told = safe.text(hostile.all_of_it(), 20_000)
    assert not set(told) & set("<>\"'")
    assert all(sign.isprintable() or sign == "\n" for sign in told)


def test_what_is_long_is_cut_and_one_line_stays_one() -> None:
    assert safe.text("a" * 10_000) == "a" * 199 + "…"
    assert safe.line("a\n\n b\tc") == "a b c"


def test_letters_from_right_to_left_are_set_apart_with_what_is_between_them() -> None:
    assert safe.isolated("E1 שלום, עולם!") == "E1 \u2068שלום, עולם\u2069!"
    assert safe.isolated("width → 128") == "width → 128"
    assert safe.bdi("<ש>") == "<bdi>&lt;ש&gt;</bdi>"
    assert safe.turns("عربي")
    assert not safe.turns("plain ✓ 中文")
