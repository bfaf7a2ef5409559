"""The figures of written texts: against searches of bytes, dictionaries and formulas by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from engine.errors import CorpusError
from engine.text import quality
from engine.text.ngram import Tokens, yardsticks
from engine.text.quality import Yardstick, distinct, hashes_of_runs, longest_copies
from engine.text.tokenizer import Tokenizer

STORY = "The dog ran home. The cat ran, too. "
TOKENIZER = Tokenizer.train([STORY * 20], 270)


def ids(text: str) -> Tokens:
    return np.array(TOKENIZER.encode(text), np.uint16)


def by_bytes(text: Tokens, train: Tokens) -> int:
    """The longest run of a text that stands in another, by Python's own search of bytes."""
    own, other, best = bytes(text.tolist()), bytes(train.tolist()), 0
    for i in range(len(own)):
        while i + best < len(own) and own[i : i + best + 1] in other:
            best += 1
    return best


@pytest.mark.parametrize("piece", [64, 1 << 20])
@pytest.mark.parametrize("seed", range(4))
def test_longest_copies_are_those_a_search_of_bytes_finds(
        seed: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "PIECE", piece)
    rng = np.random.default_rng(seed)
    train = rng.integers(0, 4, 900).astype(np.uint16)
    texts = [*(rng.integers(0, 4, int(n)).astype(np.uint16) for n in rng.integers(1, 90, 8)),
             train[20:100], np.append(train[7:40], np.uint16(9)), np.full(3, 9, np.uint16)]
    found = longest_copies(texts, train)
    assert found.tolist() == [by_bytes(text, train) for text in texts]
    assert found[-3:].tolist()[0] == 80
    assert found[-1] == 0


def test_a_copy_over_two_texts_is_none_of_either() -> None:
    train = np.arange(40, dtype=np.uint16)
    assert longest_copies([train[:10], train[10:20]], train).tolist() == [10, 10]


@pytest.mark.parametrize(("texts", "n", "share"), [
    ([[1, 2, 1, 2, 1]], 2, 2 / 4), ([[1, 2, 3], [1, 2, 4]], 2, 3 / 4), ([[1]], 2, 0.0),
    ([[1, 2, 3], [4]], 3, 1.0)])
def test_distinct_is_different_ngrams_among_all_of_all_texts(
        texts: Sequence[Sequence[int]], n: int, share: float) -> None:
    assert distinct([np.array(text, np.uint16) for text in texts], n) == share


def test_nats_are_those_of_the_yardstick_counted_on_the_held_out_text() -> None:
    held_out = ids(STORY * 3 + "The dog ran, too. ")
    text = ids("The cat ran home. The dog ran. ")
    found = Yardstick(ids(STORY), held_out, TOKENIZER).measure([text.tolist()])
    assert found.nats[0] == pytest.approx(
        yardsticks(held_out, text, TOKENIZER.vocab_size).trigram, rel=1e-12)


def test_a_word_is_known_where_the_training_text_has_it_whole() -> None:
    yardstick = Yardstick(ids(STORY), ids(STORY), TOKENIZER)
    found = yardstick.measure([TOKENIZER.encode(one) for one in (
        "the DOG ran", "the dogs sat", "...", "")])
    assert found.known_words.tolist() == pytest.approx([1.0, 1 / 3])  # what has no words has none
    assert found.nats.shape == (3,)  # of a text of no tokens there is nothing to say


def test_words_are_those_of_every_story() -> None:
    train = np.array([token for i in range(quality.STORIES + 9)
                      for token in (TOKENIZER.eot_id, *TOKENIZER.encode(f"{chr(97 + i % 26)}x "))],
                     np.uint16)
    found = Yardstick(train, ids(STORY), TOKENIZER).measure([TOKENIZER.encode("ax zx qx qq")])
    assert found.known_words[0] == 3 / 4


def test_a_held_out_text_of_two_tokens_is_refused() -> None:
    with pytest.raises(CorpusError, match="too short to count, n_tokens=2; give at least 3"):
        Yardstick(ids(STORY), ids(STORY)[:2], TOKENIZER)


@pytest.mark.parametrize("piece", [8, 1 << 20])
def test_the_same_run_has_the_same_hash_wherever_it_stands(
        piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "PIECE", piece)
    text = np.random.default_rng(1).integers(0, 3, 60).astype(np.uint16)
    found = hashes_of_runs(text, 4)
    assert found.shape == (57,)
    runs = [tuple(text[i : i + 4].tolist()) for i in range(57)]
    pairs = set(zip(runs, found.tolist(), strict=True))
    assert len(pairs) == len(set(runs)) == len(set(found.tolist()))
    assert hashes_of_runs(text[:3], 4).size == hashes_of_runs(text[:0], 4).size == 0


def test_of_no_texts_there_is_nothing() -> None:
    found = Yardstick(ids(STORY), ids(STORY), TOKENIZER).measure([])
    assert all(not values.size for values in found.of_texts().values())
    assert found.distinct == {2: 0.0, 3: 0.0}
    assert math.isfinite(sum(found.distinct.values()))
