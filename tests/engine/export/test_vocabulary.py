"""The vocabulary in GPT-2's spelling."""

import pytest

from engine.errors import TokenizerError
from engine.export.vocabulary import SIGN_OF, visible_merges, visible_tokens
from engine.text.tokenizer import ALPHABET, Tokenizer


def test_each_byte_has_a_visible_sign_of_its_own() -> None:
    assert len(set(SIGN_OF.values())) == 256
    assert all(sign.isprintable() and not sign.isspace() for sign in SIGN_OF.values())
    assert (SIGN_OF[ord("A")], SIGN_OF[ord(" ")], SIGN_OF[ord("\n")]) == ("A", "Ġ", "Ċ")
    assert (SIGN_OF[0xAD], SIGN_OF[0xA0], SIGN_OF[0x7F]) == ("Ń", "ł", "ġ")


def test_tokens_stand_in_the_order_of_their_ids() -> None:
    tokenizer = Tokenizer([(1 + ALPHABET.index(b" "), 1 + ALPHABET.index(b"a")),
                           (257, 1 + ALPHABET.index(b"n"))])
    tokens = visible_tokens(tokenizer)
    assert tokens[0] == "<|endoftext|>"
    assert tokens[1:257] == [SIGN_OF[byte] for byte in ALPHABET]
    assert tokens[257:] == ["Ġa", "Ġan"]
    assert visible_merges(tokenizer, tokens) == ["Ġ a", "Ġa n"]


def test_two_tokens_that_are_spelt_alike_are_refused() -> None:
    with pytest.raises(TokenizerError, match=r"two tokens of the vocabulary are spelt '!!!'"):
        visible_tokens(Tokenizer([(1, 1), (257, 1), (1, 257)]))
