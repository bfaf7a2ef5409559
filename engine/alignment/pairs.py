"""Pairs of answers to a prompt: read from JSON lines, held out by a hash, cut into batches.

Letters for axes: B texts, T time. A text is end-of-text, prompt, answer, end-of-text; only the
answer and what ends it are scored.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.errors import CorpusError
from engine.model import Array
from engine.text import Tokenizer

HELD_OUT = 0.2  # of all pairs, by a hash of the prompt, so that a pair is so in every file
LEAST = 2  # pairs on either side
ROUND = 16  # tokens that a batch's length is a multiple of, so that few shapes occur
FORM = '{"prompt": "…", "chosen": "…", "rejected": "…"}'


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to a prompt; without `rejected` it is an example to learn from."""

    prompt: str
    chosen: str
    rejected: str | None = None

    def line(self) -> bytes:
        """Its line in a file of pairs."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(told, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Given:
    """The pairs of a file; what was passed over, and the first of it in words."""

    pairs: list[Pair]
    n_broken: int = 0
    first_broken: str = ""


def read_pairs(data: bytes, name: str, *, skip_broken: bool = False) -> Given:
    """The pairs in the bytes of a file; blank lines are passed over.

    CorpusError, naming file and line, for the first that is broken; with skip_broken those are
    counted, and it is raised only where none is left.
    """
    found, n_broken, first = [], 0, ""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(_pair(line, f"{name} line {number}"))
        except CorpusError as error:
            if not skip_broken:
                raise CorpusError(f"{error}, or pass it over with --skip-broken") from error
            n_broken, first = n_broken + 1, first or str(error).partition("; ")[0]
    if not found:
        raise CorpusError(f"{name} holds no pair{f' ({first})' if first else ''}; write {FORM} on "
                          "each line")
    return Given(found, n_broken, first)


def _pair(line: bytes, where: str) -> Pair:
    try:
        value: Any = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise CorpusError(f"{where} is not UTF-8; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise CorpusError(f"{where} is not JSON: {why}; write {FORM} on each line") from error
    if not isinstance(value, dict):
        raise CorpusError(f"{where} is no object; write {FORM} on each line")
    texts = [value.get(key) for key in ("prompt", "chosen", "rejected")]
    for key, text in zip(("prompt", "chosen", "rejected"), texts, strict=True):
        if not isinstance(text, str):
            raise CorpusError(f'{where} has no "{key}" that is a string; write {FORM} on each line')
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(f"{where} holds the lone surrogate {text[error.start]!a}, which no "
                              "UTF-8 can store; remove it") from error
    prompt, chosen, rejected = map(str, texts)
    if not chosen or chosen == rejected:
        told = 'its "chosen" is empty' if not chosen else "its two answers are the same"
        raise CorpusError(f"{where} prefers nothing, as {told}; write two answers that differ")
    return Pair(prompt, chosen, rejected)


def split(pairs: Sequence[Pair], name: str) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on, and those held out: about a fifth, by a hash that never changes.

    Of the prompt, so that no prompt is on both sides; of the whole pair where that leaves one side
    nearly empty, as with one prompt for all. CorpusError where there are too few.
    """
    for whole in (False, True):
        is_held = [_is_held(pair, whole=whole) for pair in pairs]
        n_held = sum(is_held)
        if min(n_held, len(pairs) - n_held) >= max(LEAST, HELD_OUT / 4 * len(pairs)):
            sides = zip(pairs, is_held, strict=True)
            apart: tuple[list[Pair], list[Pair]] = ([], [])
            for pair, held in sides:
                apart[held].append(pair)
            return apart
    raise CorpusError(f"the {len(pairs)} pairs of {name} leave too few to train on or to hold out; "
                      "give 20 or more")


def _is_held(pair: Pair, *, whole: bool) -> bool:
    told = "\0".join((pair.prompt, pair.chosen, pair.rejected or "") if whole else (pair.prompt,))
    digest = hashlib.sha256(told.encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


# --- batches ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spelt:
    """A text in tokens, of which the first n_given are not scored."""

    ids: tuple[int, ...]
    n_given: int


def spell(pair: Pair, tokenizer: Tokenizer, seq_len: int) -> list[Spelt]:
    """The texts of a pair, chosen first.

    What is longer than a window loses the beginning of its prompt, both texts the same, and then
    the end of its answer.
    """
    prompt = [tokenizer.eot_id, *tokenizer.encode(pair.prompt)]
    answers = [[*tokenizer.encode(answer), tokenizer.eot_id]
               for answer in (pair.chosen, pair.rejected) if answer is not None]
    over = len(prompt) + max(map(len, answers)) - (seq_len + 1)
    prompt = prompt[min(max(0, over), len(prompt) - 1):]
    return [Spelt((*prompt, *answer)[: seq_len + 1], len(prompt)) for answer in answers]


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts side by side, padded behind their ends."""

    ids: Array  # (B, T) int32
    targets: Array  # (B, T) int32
    is_scored: Array  # (B, T) bool: targets that are the answer's

    def sums(self, nats: Array) -> Array:
        """ln P of each answer (B,), float64, from the nats of all targets (B·T,)."""
        apart = nats.reshape(self.ids.shape).astype(np.float64)
        return np.asarray(-np.sum(apart, axis=1, where=self.is_scored))


def batch_of(texts: Sequence[Spelt], seq_len: int, padding: int) -> Batch:
    """The texts as one batch; what is behind an end changes nothing before it."""
    longest = max(len(text.ids) for text in texts) - 1
    n_time = min(seq_len, -(-longest // ROUND) * ROUND)
    rows = np.full((len(texts), n_time + 1), padding, np.int32)
    is_scored = np.zeros((len(texts), n_time), np.bool_)
    for row, scored, text in zip(rows, is_scored, texts, strict=True):
        row[: len(text.ids)] = text.ids
        scored[text.n_given - 1 : len(text.ids) - 1] = True
    return Batch(rows[:, :-1], rows[:, 1:], is_scored)
