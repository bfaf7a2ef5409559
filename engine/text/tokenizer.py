"""Byte-level byte-pair encoding: text to ids and back, any bytes, nothing unknown.

Id 0 ends a text, 1 to 256 are the bytes, and id 257 + k is the k-th merge: the pair of older
tokens that was most frequent when the vocabulary was trained. Merges and ids equal those of
the `tokenizers` package (BPE, ByteLevel with the GPT-2 pattern, EOT as its special token).

Inside, a token is the character chr(id) and a word the string of its tokens. Then merging is
split and join, pairs in the order of their ids are strings in the order of `<`, and the uint16
array of a word is its UTF-16 text: ids end below the surrogates.

Source: Sennrich, Haddow and Birch 2016, arXiv:1508.07909.
"""

import functools
import hashlib
import heapq
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from operator import add
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import TokenizerError, VocabularyTooLarge
from engine.files import write_atomically
from engine.text.pretokenize import split_words

Progress = Callable[[str, int, int], None]  # stage, done, total (0: not known beforehand)
Pair = tuple[int, int]

EOT = "<|endoftext|>"
EOT_ID = 0
FORMAT = "phi-auto tokenizer"
VERSION = 1
MIN_VOCAB, MAX_VOCAB = 257, 32768  # the end of text and the bytes; what int16 could index

# Limits that only a hostile file or a text of one endless word meets.
MAX_FILE_BYTES = 4 << 20
MAX_TOKEN_BYTES = 16 << 20  # of all tokens together; 15 merges of a pair with itself make 32 kB

CACHED_WORDS = 200_000
CACHED_WORD_CHARS = 64  # longer words hardly ever come back

# GPT-2 writes bytes as visible characters, and the package sorts its alphabet by them: first
# the bytes that are visible in Latin-1, then the others, each in numerical order.
_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
ALPHABET = bytes(_VISIBLE + sorted(set(range(0x100)) - set(_VISIBLE)))  # byte of id 1, 2, … 256
_TOKEN_OF_BYTE = {byte: 1 + index for index, byte in enumerate(ALPHABET)}


class Tokenizer:
    """A vocabulary and its merges; never changes once made.

    merges       the id pair behind token 257, 258, …
    token_bytes  what each id decodes to
    """

    eot_id = EOT_ID

    def __init__(self, merges: Iterable[Pair]) -> None:
        self.merges = list(merges)
        self.vocab_size = MIN_VOCAB + len(self.merges)
        self.token_bytes = _token_bytes(self.merges)
        self._words = _WordCache(self.merges)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int,
              progress: Progress | None = None) -> Self:
        """The vocabulary of vocab_size tokens that byte-pair encoding finds in texts.

        Raises TokenizerError where the size is out of range or more than the texts support.
        """
        if not MIN_VOCAB <= vocab_size <= MAX_VOCAB:
            raise TokenizerError(f"vocab_size={vocab_size} is out of range; "
                                 f"use {MIN_VOCAB} to {MAX_VOCAB}")
        counts = _count_words(texts, progress)
        if not counts:
            raise TokenizerError("the training text is empty, so it has no words to count; "
                                 "use a corpus with text in it")
        merges: list[Pair] = []
        n_merges = vocab_size - MIN_VOCAB
        for pair in itertools.islice(_find_merges(counts), n_merges):
            merges.append(pair)
            if progress and (len(merges) % 64 == 0 or len(merges) == n_merges):
                progress("merges", len(merges), n_merges)
        if len(merges) < n_merges:
            most = MIN_VOCAB + len(merges)
            raise VocabularyTooLarge(
                f"vocab_size={vocab_size} is too large for this text, which supports at most "
                f"{most}; use that or less, or more text", most)
        return cls(merges)

    # --- text to ids and back ----------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        """Ids of text; the characters of EOT in it are ordinary text.

        Bytes that were decoded with errors="surrogateescape" become those bytes again. Any
        other lone surrogate is no character, and raises TokenizerError.
        """
        ids: list[int] = np.frombuffer(self._encode(text), "<u2").tolist()
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """Ids of any bytes, be they UTF-8 or not."""
        return self.encode(data.decode("utf-8", "surrogateescape"))

    def encode_stories(self, stories: Iterable[str],
                       progress: Progress | None = None) -> NDArray[np.uint16]:
        """EOT story EOT story EOT … EOT: between, before and after the stories."""
        eot = EOT_ID.to_bytes(2, "little")
        ids = bytearray(eot)
        for story in _reported(stories, "encode", progress):
            ids += self._encode(story)
            ids += eot
        return np.frombuffer(ids, "<u2").astype(np.uint16, copy=False)

    def _encode(self, text: str) -> bytes:
        """Ids of text as little-endian uint16."""
        ids_of = self._words.__getitem__
        return b"".join(b"".join(map(ids_of, words)) for words in split_words(text))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that ids stand for; the end of text is written out as EOT."""
        ids = list(ids)
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise TokenizerError(f"id {i} is outside this vocabulary; "
                                     f"use 0 to {self.vocab_size - 1}")
        return b"".join(map(self.token_bytes.__getitem__, ids))

    def decode(self, ids: Iterable[int]) -> str:
        """The text that ids stand for; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    # --- the file ----------------------------------------------------------------------------

    @functools.cached_property
    def json(self) -> str:
        """The canonical text of the file that save writes."""
        content = {"format": FORMAT, "version": VERSION, "merges": self.merges}
        return json.dumps(content, separators=(",", ":")) + "\n"

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the canonical JSON, which is the file that save writes."""
        return hashlib.sha256(self.json.encode()).hexdigest()

    def save(self, path: Path | str) -> None:
        """Write one JSON file, whole or not at all; StorageError where that fails."""
        write_atomically(Path(path), self.json.encode())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """The tokenizer in a file that save wrote; the file is not trusted.

        Raises TokenizerError where it cannot be read or is not exactly such a file.
        """
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise TokenizerError(f"cannot read the tokenizer {path}: {error.strerror}; "
                                 "train it again") from error
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """The tokenizer in the bytes of such a file; TokenizerError, naming it, for any other."""
        try:
            tokenizer = cls(_parse(data))
            _refuse_twins(tokenizer.token_bytes)
        except TokenizerError as error:
            raise TokenizerError(f"{name} is not a tokenizer of this program: {error}; "
                                 "delete it and train again") from error
        return tokenizer


# --- training ------------------------------------------------------------------------------------


def _count_words(texts: Iterable[str], progress: Progress | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in _reported(texts, "words", progress):
        for words in split_words(text):
            counts.update(words)
    return counts


class _Pairs:
    """Every pair of neighbouring tokens in the words: how often, and in which words.

    A pair counts at each place it stands, overlapping ones too ("aaaa" holds "aa" three times),
    times the word's count.
    """

    def __init__(self, word_counts: Counter[str]) -> None:
        self.words = [_byte_tokens(word) for word in word_counts]
        self.weights = list(word_counts.values())
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.where: defaultdict[str, set[int]] = defaultdict(set)  # a pair is, or was, in these
        for index, (word, weight) in enumerate(zip(self.words, self.weights, strict=True)):
            for pair in map(add, word, word[1:]):
                self.counts[pair] += weight
                self.where[pair].add(index)

    def merge(self, pair: str, token: str) -> set[str]:
        """Put token wherever pair stands; returns the new pairs. Only neighbours are recounted."""
        new_pairs = set()
        for index in self.where.pop(pair):
            parts, weight = self.words[index].split(pair), self.weights[index]
            for gone, new in _neighbours(parts, pair, token):
                self.counts[gone] -= weight
                self.counts[new] += weight
                self.where[new].add(index)
                new_pairs.add(new)
            self.words[index] = token.join(parts)
        return new_pairs


def _neighbours(parts: Sequence[str], pair: str, token: str) -> Iterator[tuple[str, str]]:
    """Each pair that vanishes beside a merge, with the one that takes its place.

    parts is a word split at pair, about to be joined with token. An empty part between two
    others means that two merges touch: the pair between them vanishes once.
    """
    first, second = pair[0], pair[1]
    for i in range(1, len(parts)):
        left, right = parts[i - 1], parts[i]
        if left:
            yield left[-1] + first, left[-1] + token
        elif i > 1:
            yield second + first, token + token
        if right:
            yield second + right[0], token + right[0]


def _find_merges(word_counts: Counter[str]) -> Iterator[Pair]:
    """Pairs in the order they are merged: most frequent first, then the smallest ids.

    The heap's counts may be outdated; such an entry goes back with the true count when it
    comes up. That finds the maximum, for a count never grows after the merge that made the pair.
    """
    pairs = _Pairs(word_counts)
    heap = [(-count, pair) for pair, count in pairs.counts.items()]
    heapq.heapify(heap)
    token = MIN_VOCAB
    while heap:
        negative, pair = heapq.heappop(heap)
        count = pairs.counts[pair]
        if count == -negative:
            yield ord(pair[0]), ord(pair[1])
            for new in pairs.merge(pair, chr(token)):
                heapq.heappush(heap, (-pairs.counts[new], new))
            token += 1
        elif count > 0:
            heapq.heappush(heap, (-count, pair))


def _reported(texts: Iterable[str], stage: str, progress: Progress | None) -> Iterator[str]:
    """The texts, with every thousandth and the last one told to progress."""
    total = len(texts) if isinstance(texts, Sized) else 0
    done = 0
    for done, text in enumerate(texts, start=1):
        yield text
        if progress and done % 1000 == 0:
            progress(stage, done, total)
    if progress and done % 1000:
        progress(stage, done, total)


# --- words as strings of tokens ------------------------------------------------------------------


def _byte_tokens(word: str) -> str:
    """The tokens of the word's UTF-8 bytes."""
    try:
        data = word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"the text holds U+{ord(word[error.start]):04X}, half of a character, which UTF-8 "
            "cannot write; replace it with U+FFFD") from error
    return data.decode("latin-1").translate(_TOKEN_OF_BYTE)


class _WordCache(dict[str, bytes]):
    """Word → its ids as little-endian uint16, worked out when first asked for."""

    def __init__(self, merges: Sequence[Pair]) -> None:
        super().__init__()
        self._pairs = [chr(a) + chr(b) for a, b in merges]  # at id - MIN_VOCAB
        self._ids = {pair: MIN_VOCAB + rank for rank, pair in enumerate(self._pairs)}

    def __missing__(self, word: str) -> bytes:
        ids = self._merge(_byte_tokens(word)).encode("utf-16-le")
        if len(word) <= CACHED_WORD_CHARS:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[word] = ids
        return ids

    def _merge(self, word: str) -> str:
        """Apply the merges that have a pair in word, in the order they were learned.

        A merge is one pass in C, and none comes up twice, so that a word of any length costs
        at most its length times the vocabulary.
        """
        ids = self._ids
        queued = {ids[pair] for pair in map(add, word, word[1:]) if pair in ids}
        heap = list(queued)
        heapq.heapify(heap)
        while heap:
            token_id = heapq.heappop(heap)
            token = chr(token_id)
            word = word.replace(self._pairs[token_id - MIN_VOCAB], token)
            at = word.find(token)
            while at >= 0:  # -1 too where earlier merges took all places of the pair
                for pair in (word[max(at - 1, 0):at + 1], word[at:at + 2]):
                    if pair in ids and ids[pair] not in queued:
                        queued.add(ids[pair])
                        heapq.heappush(heap, ids[pair])
                at = word.find(token, at + 1)
        return word


# --- what a vocabulary must be -------------------------------------------------------------------


def _token_bytes(merges: Sequence[Pair]) -> list[bytes]:
    """Bytes of every id; TokenizerError where they are absurdly many."""
    tokens = [EOT.encode(), *(bytes([byte]) for byte in ALPHABET)]
    total = 0
    for left, right in merges:
        total += len(tokens[left]) + len(tokens[right])
        if total > MAX_TOKEN_BYTES:
            raise TokenizerError(
                f"the first {len(tokens)} tokens hold more than {MAX_TOKEN_BYTES >> 20} MiB; "
                "train on text without endless repeats of one letter")
        tokens.append(tokens[left] + tokens[right])
    return tokens


def _parse(data: bytes) -> list[Pair]:
    """The merges in the JSON text of a tokenizer file, checked in every respect."""
    if len(data) > MAX_FILE_BYTES:
        raise TokenizerError(f"it is longer than {MAX_FILE_BYTES >> 20} MiB")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TokenizerError("it holds no JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TokenizerError(f'it lacks "format": "{FORMAT}"')
    version = content.get("version")
    if type(version) is not int or version != VERSION:  # true is an int, and equals 1
        raise TokenizerError(f"it has version {repr(version):.60}, where this program "
                             f"reads {VERSION}")
    if content.keys() != {"format", "version", "merges"}:
        raise TokenizerError(f"it has the fields {', '.join(content):.60}, "
                             "where format, version and merges belong")
    merges = content["merges"]
    if not isinstance(merges, list) or len(merges) > MAX_VOCAB - MIN_VOCAB:
        raise TokenizerError(f"its merges are not a list of at most {MAX_VOCAB - MIN_VOCAB}")
    return [_checked_pair(pair, token) for token, pair in enumerate(merges, start=MIN_VOCAB)]


def _checked_pair(pair: Any, token: int) -> Pair:
    # type() and not isinstance(), for the same reason as above
    if not (isinstance(pair, list) and [type(i) for i in pair] == [int, int]
            and all(0 < i < token for i in pair)):
        raise TokenizerError(f"token {token} merges {repr(pair):.60}, where two ids "
                             f"from 1 to {token - 1} belong")
    return pair[0], pair[1]


def _refuse_twins(token_bytes: Sequence[bytes]) -> None:
    """TokenizerError where two ids decode to the same bytes; training never makes such."""
    ids: dict[bytes, int] = {}
    for token, data in enumerate(token_bytes):
        twin = ids.setdefault(data, token)
        if twin != token:
            raise TokenizerError(f"tokens {twin} and {token} are both {repr(data):.60}")
