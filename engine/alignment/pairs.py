"""Pairs of answers to a prompt: read from JSON lines, held out by a hash, cut into batches.

Letters for axes: B texts, T time. A text is end-of-text, prompt, answer, end-of-text; only the
answer and what ends it are scored; an answer that was cut off has no end.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.errors import CorpusError
from engine.model import Array
from engine.text import Broken, JsonText, Tokenizer, decode

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
    chosen_ends: bool = True  # else it was cut off, and no end is learnt of it
    rejected_ends: bool = True

    def line(self) -> bytes:
        """Its line in a file of pairs."""
        told = {name: value for name, value in asdict(self).items() if value not in (None, True)}
        return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def read_pairs(data: bytes, name: str, *, skip_broken: bool = False) -> tuple[list[Pair], Broken]:
    """The pairs in the bytes of a file, and what of it was passed over; blank lines are none.

    CorpusError, naming file and line, for the first that is broken; with skip_broken those are
    counted, and it is raised only where none is left.
    """
    how = JsonText(skip_broken=skip_broken)
    found = list(how.each(data, name, decode, _pair, FORM))
    if not found:
        first = f" ({how.broken.first})" if how.broken.n else ""
        raise CorpusError(f"{name} holds no pair{first}; write {FORM} on each line")
    return found, how.broken


def _pair(value: Any, where: str) -> Pair:
    if not isinstance(value, dict):
        raise CorpusError(f"{where} is no object; write {FORM} on each line")
    for key in ("prompt", "chosen", "rejected"):
        if not isinstance(value.get(key), str):
            raise CorpusError(f'{where} has no "{key}" that is a string; write {FORM} on each line')
        JsonText(key).of(value, where)  # which UTF-8 can store
    found = Pair(value["prompt"], value["chosen"], value["rejected"])
    if not found.chosen or found.chosen == found.rejected:
        told = "its two answers are the same" if found.chosen else 'its "chosen" is empty'
        raise CorpusError(f"{where} prefers nothing, as {told}; write two answers that differ")
    return found


def split(pairs: Sequence[Pair], name: str) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on, and those held out: about a fifth, by a hash that never changes.

    Of the prompt, so that no prompt is on both sides; of the whole pair where that leaves one side
    nearly empty, as with one prompt for all. CorpusError where there are too few.
    """
    for whole in (False, True):
        apart: tuple[list[Pair], list[Pair]] = ([], [])
        for pair in pairs:
            told = (pair.prompt, pair.chosen, pair.rejected or "") if whole else (pair.prompt,)
            digest = hashlib.sha256("\0".join(told).encode()).digest()
            apart[int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32].append(pair)
        if min(map(len, apart)) >= max(LEAST, HELD_OUT / 4 * len(pairs)):
            return apart
    raise CorpusError(f"the {len(pairs)} pairs of {name} leave too few to train on or to hold out; "
                      "give 20 or more")


# --- batches ---------------------------------------------------------------------------------


class Spelt(NamedTuple):
    """A text in tokens, of which the first n_given are not scored."""

    ids: tuple[int, ...]
    n_given: int


def spell(pair: Pair, tokenizer: Tokenizer, seq_len: int) -> list[Spelt]:
    """The texts of a pair, chosen first.

    What is longer than a window loses the beginning of its prompt, both texts the same, and then
    the end of its answer.
    """
    prompt = [tokenizer.eot_id, *tokenizer.encode(pair.prompt)]
    answers = [[*tokenizer.encode(answer), *[tokenizer.eot_id] * ends] for answer, ends in (
        (pair.chosen, pair.chosen_ends), (pair.rejected, pair.rejected_ends)) if answer is not None]
    over = len(prompt) + max(map(len, answers)) - (seq_len + 1)
    prompt = prompt[min(max(0, over), len(prompt) - 1):]
    return [Spelt((*prompt, *answer)[: seq_len + 1], len(prompt)) for answer in answers]


class Batch(NamedTuple):
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
