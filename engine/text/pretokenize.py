r"""Cuts text into the words that byte-pair encoding never merges across, as GPT-2 does.

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

Source: the encoder published with Radford et al. 2019, "Language Models are Unsupervised
Multitask Learners". \p{L}, \p{N} and \s are Unicode's letters, numbers and White_Space, which
Python's `re` cannot name; its nearest classes differ from them in three ways:

    \w   is exactly \p{L}, \p{N} and the underscore
    \d   lacks the numbers that are no decimal digits: ², Ⅷ, ㊿
    \s   has \x1c to \x1f besides White_Space

A character newer than the interpreter's Unicode tables counts as a symbol, so a text with
letters of the last few years can fall into other words under another version of Python.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
BLOCK_CHARS = 1 << 18  # bounds the memory of a text that is one long story

_WORD = (r"'(?:[stmd]|re|ve|ll)| ?{letter}+| ?{number}+| ?{symbol}+"
         r"|[{space}]+(?![^{space}])|[{space}]+")
_ASCII_WORDS = re.compile(_WORD.format(
    letter="[A-Za-z]", number="[0-9]", symbol="[^\t-\r 0-9A-Za-z]", space="\t-\r ")).findall
# No word reaches from a visible character into the whitespace behind it.
_SAFE_CUT = re.compile(f"(?<=[^{WHITE_SPACE}])[{WHITE_SPACE}]")


def split_words(text: str, block_chars: int = BLOCK_CHARS) -> Iterator[list[str]]:
    """The words of text in order, in lists of about block_chars characters; joined, they are text.

    Pure ASCII blocks take a pattern that is twice as fast.
    """
    for block in _blocks(text, block_chars):
        yield _ASCII_WORDS(block) if block.isascii() else _unicode_words()(block)


def _blocks(text: str, size: int) -> Iterator[str]:
    start = 0
    while len(text) - start > size and (cut := _SAFE_CUT.search(text, start + size)):
        yield text[start:cut.start()]
        start = cut.start()
    yield text[start:]


@cache
def _unicode_words() -> Callable[[str], list[str]]:
    # Numbers live in the first two planes; the ones above are ideographs, tags and private use.
    numerals = "".join(char for char in map(chr, range(0x80, 0x20000))
                       if unicodedata.category(char) in ("Nl", "No"))
    numerals = _ranges(numerals)
    return re.compile(_WORD.format(
        letter=rf"[^\W\d_{numerals}]", number=rf"[\d{numerals}]",
        symbol=rf"(?:[^{WHITE_SPACE}\w]|_)", space=WHITE_SPACE)).findall


def _ranges(chars: str) -> str:
    """Sorted characters as the inside of a character class: runs written as first-last."""
    runs: list[list[str]] = []
    for char in chars:
        if runs and ord(char) == ord(runs[-1][1]) + 1:
            runs[-1][1] = char
        else:
            runs.append([char, char])
    return "".join(f"{first}-{last}" for first, last in runs)
