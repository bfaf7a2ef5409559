"""Words of the GPT-2 pattern, checked against the `tokenizers` package and Unicode's tables."""

import random
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from engine.text.pretokenize import WHITE_SPACE, split_words

REFEREE = ByteLevel(add_prefix_space=False, use_regex=True)
CHARS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
# The package and the interpreter may know different versions of Unicode; both know 3.2.
OLD_CHARS = [char for char in CHARS if unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Co")]


def words(text: str) -> list[str]:
    return sum(split_words(text), [])


def referee_words(text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in REFEREE.pre_tokenize_str(text)]


@pytest.mark.parametrize("text", [
    "",
    " ",
    "Once upon a time, there was a little girl named Lily.\n\nShe said: \"Hello!\"",
    "I'm we're you've he'll she'd it's don't 'tis I'M 'sun 'veil 'reach ''s ' s",
    "a  b   c    d     ",
    "   leading, trailing \t \n ",
    "one\n two \n  three\r\n\tfour\x0bfive\x0csix",
    "tab\x1cgroup\x1d \x1e record\x1f\x1f unit !\x1c\x1c x",
    "under_score __init__ snake_case_ _1_",
    "no\xa0break \xa0 word\xa0\xa0x next\x85line  wide\u3000space \u3000 thin\u2009\u200aspace",
    "ogham\u1680 line\u2028para\u2029 zero\u200bwidth\ufeff mongolian\u180e math\u205f",
    "Crème brûlée naïve façade Ångström ΑΒΓ абв Straße",
    "combining e\u0301 n\u0303o A\u030a \u0301alone अनुच्छेद ไทยแลนด์ עִבְרִית",
    "今日は天気がいいですね。東京に行きました！ 한국어 텍스트 中文,abc",
    "1234 3.14 ٣٤٥ ४५६ ２３ ² ³ ½ Ⅷ ㊿ 一二三 a1b2 x² 𝟘𝟙 𒐀",
    "😀🎉 🌍!🌎 👩‍👩‍👧 🇫🇮 ❤️ ✓ → € £5 ©2024",
    "<|endoftext|>inside<|endoftext|>",
    "\x00\x01\x7f\x80\x9f\xad",
])
def test_words_are_those_of_the_package(text):
    assert words(text) == referee_words(text)


def test_every_character_falls_in_the_class_the_package_gives_it():
    text = "".join(f"a{char}1{char}!{char}\n" for char in OLD_CHARS)
    assert words(text) == referee_words(text)


def test_seeded_mixtures_split_as_in_the_package():
    rng = random.Random(20240501)
    alphabet = [*"aZ09!_'-.  \n\t\r\x0b\x1c\x1f", "'s", "'ll", "\x85", "\xa0", "\u3000", "\u2028",
                "é", "e\u0301", "東", "ß", "²", "Ⅷ", "٣", "𝟘", "😀", "\u200d", "\u200b", "¿", "𐌰"]
    texts = ["".join(rng.choices(alphabet, k=rng.randrange(60))) for _ in range(2000)]
    assert [words(text) for text in texts] == [referee_words(text) for text in texts]


@settings(deadline=None)  # a slow phone is no failure
@given(st.text(st.characters(exclude_categories=["Cs", "Cn"], max_codepoint=0xFFFF)
               .filter(lambda char: unicodedata.ucd_3_2_0.category(char) != "Cn")))
def test_any_text_splits_as_in_the_package(text):
    assert words(text) == referee_words(text)


def test_python_word_class_is_letters_numbers_and_underscore():
    named = {char for char in CHARS if unicodedata.category(char)[0] in "LN"}
    assert set(re.findall(r"\w", "".join(CHARS))) == named | {"_"}


def test_every_number_is_a_number_and_no_letter():
    numbers = [char for char in CHARS if unicodedata.category(char)[0] == "N"]
    assert words("".join(f"a{char}1!" for char in numbers)) == sum(
        (["a", f"{char}1", "!"] for char in numbers), [])


def test_white_space_lacks_only_the_separators_python_adds():
    python = set(re.findall(r"\s", "".join(CHARS)))
    assert set(re.findall(f"[{WHITE_SPACE}]", "".join(CHARS))) == python - set("\x1c\x1d\x1e\x1f")


def test_ascii_text_splits_the_same_beside_other_text():
    text = "".join(map(chr, range(128))) * 2 + " it's  3 o'clock!\n\n Yes."
    assert words(text) + ["é"] == words(text + "é")


@settings(deadline=None)
@given(st.text(st.sampled_from("ab1!' \n\t\x1c\xa0é東😀")), st.integers(1, 8))
def test_blocks_never_cut_a_word(text, block_chars):
    assert sum(split_words(text, block_chars), []) == words(text)


def test_long_text_comes_in_blocks():
    text = "word " * 1000
    blocks = list(split_words(text, block_chars=100))
    assert max(len("".join(block)) for block in blocks) < 110
    assert sum(blocks, []) == words(text)


def test_undecodable_bytes_are_symbols():
    assert words("a\udcff\udc80 \udcff1") == ["a", "\udcff\udc80", " \udcff", "1"]
