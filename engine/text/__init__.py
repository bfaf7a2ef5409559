"""From text to tokens and yardsticks: corpora, splits, the tokenizer, n-gram models.

In come a file, a folder, a download or the stories written here, out come token files by split,
vouched for hash by hash, and what uniform, unigram, bigram and trigram models score on them. It
uses no other wing.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.text.corpus import N_STORIES as N_STORIES
    from engine.text.corpus import TokenSet as TokenSet
    from engine.text.corpus import builtin as builtin
    from engine.text.corpus import prepare_tokens as prepare_tokens
    from engine.text.cut import Cut as Cut
    from engine.text.cut import cut_blocks as cut_blocks
    from engine.text.given import How as How
    from engine.text.jsontext import Broken as Broken
    from engine.text.jsontext import JsonText as JsonText
    from engine.text.ngram import Yardsticks as Yardsticks
    from engine.text.parquet import write_parquet as write_parquet
    from engine.text.textfile import decode as decode
    from engine.text.textfile import parse as parse
    from engine.text.textfile import read_bytes as read_bytes
    from engine.text.textfile import separate as separate
    from engine.text.tokenizer import Progress as Progress
    from engine.text.tokenizer import Tokenizer as Tokenizer

__all__, __getattr__ = doors(__name__, {
    "corpus": ("N_STORIES", "TokenSet", "builtin", "prepare_tokens"),
    "cut": ("Cut", "cut_blocks"),
    "given": ("How",),
    "jsontext": ("Broken", "JsonText"),
    "ngram": ("Yardsticks",),
    "parquet": ("write_parquet",),
    "textfile": ("decode", "parse", "read_bytes", "separate"),
    "tokenizer": ("Progress", "Tokenizer"),
}, modules=("copies", "corpus", "quality", "splits", "sums"))
