"""A text while it is written is, piece by piece, the text that is decoded at its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.door.spoken import Spoken
from engine.errors import ConfigError
from engine.text.tokenizer import Tokenizer
from tests.support.example_models import tokenizer

BYTES = Tokenizer([])


def said(spoken: Spoken, ids: list[int]) -> list[str]:
    return [*(spoken.add(token) for token in ids), spoken.end()]


@given(st.binary(max_size=30))
def test_pieces_of_any_bytes_are_what_decoding_them_at_once_gives(data: bytes) -> None:
    ids = BYTES.encode_bytes(data)
    spoken = Spoken(BYTES)
    assert "".join(said(spoken, ids)) == spoken.text == BYTES.decode(ids)


def test_a_character_is_said_once_it_is_whole() -> None:
    assert said(Spoken(BYTES), BYTES.encode("a你b")) == ["a", "", "", "你", "b", ""]


@given(st.text("ab", max_size=12), st.lists(st.text("ab", min_size=1, max_size=3), max_size=2))
def test_a_text_ends_before_the_first_stop_and_nowhere_else(text: str, stop: list[str]) -> None:
    spoken = Spoken(BYTES, stop)
    pieces = said(spoken, BYTES.encode(text))
    ends = [text.find(one) for one in stop if one in text]
    assert "".join(pieces) == spoken.text
    if len(stop) < 2:  # of two, the one that is whole first is met first
        assert spoken.text == text[: min(ends, default=len(text))]
    assert spoken.has_stopped == bool(ends)
    assert text.startswith(spoken.text)


def test_a_stop_within_one_token_and_over_several_is_met() -> None:
    words = tokenizer(900)
    ids = words.encode("Once upon a time there was")
    spoken = Spoken(words, ["n a ti"])
    assert "".join(said(spoken, ids)) == "Once upo"
    assert spoken.has_stopped


def test_what_may_be_a_stop_waits_and_is_said_when_it_is_none() -> None:
    assert said(Spoken(BYTES, ["abc"]), BYTES.encode("xabab")) == ["x", "", "", "ab", "", "ab"]


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(ConfigError, match="a text to stop at is empty"):
        Spoken(BYTES, ["."," ".strip()])
