"""Every batch is a pure function of seed and position; a pass has every token once."""

import hashlib

import numpy as np
import pytest

from engine.errors import CorpusError
from engine.training import data
from engine.training.data import Batches, open_tokens, story_starts

SIZE = 1000
TEXT = np.arange(SIZE, dtype=np.uint16)  # every token names its own place
# Stories of 1 to 40 tokens behind a zero each; every other token is there once.
STORIES = TEXT.copy()
STORIES[np.unique(np.random.default_rng(0).integers(0, SIZE, 60))] = STORIES[[0, -1]] = 0
KINDS = pytest.mark.parametrize("how", [
    {}, {"order": "linear"}, {"separator": 0}, {"order": "linear", "separator": 0}])


def windows_of(seq_len, n_passes, size=SIZE):
    """So many that every token has been a target in as many passes."""
    return -(-n_passes * size // seq_len)


# --- every token, everywhere alike -----------------------------------------------------------


@pytest.mark.parametrize("seq_len", [1, 7, 16, 100, 333, 500])
@pytest.mark.parametrize("how", [{}, {"separator": 0}])
def test_every_token_is_a_target_once_a_pass(seq_len, how):
    n_windows = windows_of(seq_len, 3)
    _, targets = Batches(TEXT, seq_len, 3, **how).take(0, n_windows)
    seen = np.bincount(targets.ravel(), minlength=SIZE)
    assert seen.min() == 3  # and a part of them once more, where the last window passes the end
    assert (seen == 4).sum() == n_windows * seq_len - 3 * SIZE < seq_len


def starts_over_seeds(size, seq_len, position, **how):
    """How often each place of a text is where the window at a position starts."""
    text = np.arange(size, dtype=np.uint16)
    found = [int(Batches(text, seq_len, seed, **how).take(position, 1)[0][0, 0])
             for seed in range(1500)]
    return np.bincount(found, minlength=size)


def chi_square(seen):
    return float(((seen - seen.mean()) ** 2 / seen.mean()).sum())


@pytest.mark.parametrize(("size", "seq_len", "position", "how"), [
    (45, 8, 2, {}), (45, 8, 27, {}), (48, 8, 3, {}), (45, 22, 1, {}), (45, 8, 2, {"separator": 0})])
def test_every_place_is_equally_often_the_start_of_a_window(size, seq_len, position, how):
    seen = chi_square(starts_over_seeds(size, seq_len, position, **how))
    assert seen < 87  # 44 to 47 degrees of freedom: p < 0.0003 where all are alike


def test_the_linear_order_favours_some_places():
    assert chi_square(starts_over_seeds(45, 8, 2, order="linear")) > 150


# --- pure functions of the position ----------------------------------------------------------


def test_targets_are_the_tokens_that_follow_but_where_a_pass_begins():
    ids, targets = Batches(TEXT, 16, seed=0).take(0, windows_of(16, 3))
    follows = (ids + 1) % SIZE
    assert (targets != follows).sum() <= 4
    assert np.array_equal(ids[:, 1:], targets[:, :-1])


@KINDS
def test_batches_are_rows_of_int32(how):
    ids, targets = Batches(STORIES, 16, 0, **how).take(5, 3)
    assert (ids.shape, targets.shape) == ((3, 16), (3, 16))
    assert (ids.dtype, targets.dtype) == (np.int32, np.int32)


@KINDS
@pytest.mark.parametrize("position", [0, 58, 61, 200])
def test_a_batch_does_not_depend_on_what_was_taken_before(position, how):
    travelled, fresh = Batches(STORIES, 16, 2, **how), Batches(STORIES, 16, 2, **how)
    for other in (0, 500, 61, position + 100, 7):
        travelled.take(other, 8)
    assert np.array_equal(travelled.take(position, 8), fresh.take(position, 8))


@KINDS
def test_batches_of_different_size_see_the_same_windows(how):
    batches = Batches(STORIES, 16, 2, **how)
    singles = np.concatenate([batches.take(i, 1)[0] for i in range(50, 75)])  # of two passes
    assert np.array_equal(batches.take(50, 25)[0], singles)


@KINDS
def test_passes_cut_the_text_in_different_places(how):
    batches = Batches(TEXT, 16, 0, **how)
    cuts = {int(batches.take(63 * number, 1)[0][0, 0]) % 16 for number in range(20)}
    assert len(cuts) > 8


@KINDS
def test_passes_and_seeds_shuffle_differently(how):
    firsts = [Batches(TEXT, 16, seed, **how).take(63 * number, 50)[0][:, 0]
              for seed, number in ((0, 0), (0, 1), (1, 0))]
    assert len({tuple(np.argsort(first)) for first in firsts}) == 3


@pytest.mark.parametrize("size", [0, 1, 16, 31])
@KINDS
def test_too_short_a_text_is_refused(size, how):
    with pytest.raises(CorpusError) as caught:
        Batches(TEXT[:size], 16, 0, **how)
    assert str(caught.value) == (f"{size} training tokens are too few for windows of 16; "
                                 "use more text or a shorter seq_len")


@KINDS
def test_the_shortest_text_is_seen_whole(how):
    ids, targets = Batches(TEXT[:32], 16, 0, **how).take(0, 200)
    assert (ids.min(), targets.max()) == (0, 31)


# --- whole stories in another order ----------------------------------------------------------


def neighbours(ids, targets):
    """Pairs of tokens of one story that a window shows side by side."""
    return {(a, b) for a, b in zip(ids.ravel(), targets.ravel(), strict=True) if a and b}


@pytest.mark.parametrize("order", ["circular", "linear"])
def test_stories_stay_whole_and_their_order_is_another_each_pass(order):
    batches = Batches(STORIES, 500, 0, order, separator=0)
    stories = neighbours(STORIES[:-1], STORIES[1:])
    joints = []
    for number in range(3):
        ids, targets = batches.take(2 * number, 2)
        if order == "circular":  # all but where the text is turned, and where a pass begins
            assert len(stories - neighbours(ids, targets)) <= 2
        assert len(neighbours(ids, targets) - stories) <= 2
        joints.append({(a, c) for row in ids for a, b, c in zip(
            row, row[1:], row[2:], strict=False) if b == 0})
    assert len(joints[0] & joints[1] - {(0, 0)}) < len(joints[0]) / 4
    assert len(joints[1] & joints[2] - {(0, 0)}) < len(joints[1]) / 4


@pytest.mark.parametrize("text", [TEXT[1:], np.zeros(64, np.uint16), STORIES[3:]])
def test_a_text_without_stories_of_no_words_or_begun_in_one_loses_nothing(text):
    _, targets = Batches(text, 16, 0, separator=0).take(0, windows_of(16, 2, text.size))
    seen = np.bincount(targets.ravel(), minlength=SIZE)
    assert (seen >= 2 * np.bincount(text, minlength=SIZE)).all()


def test_separators_are_found_wherever_the_text_is_looked_through(monkeypatch):
    whole = story_starts(STORIES, 0)
    monkeypatch.setattr(data, "PIECE", 7)
    assert np.array_equal(story_starts(STORIES, 0), whole)


# --- runs that began before there were orders -------------------------------------------------


# SHA-256 of what that code (163df0e) took of np.arange(size): three passes' worth, as below.
@pytest.mark.parametrize(("size", "seq_len", "seed", "known"), [
    (32, 16, 0, "835c88035f135b75"), (1000, 7, 3, "0e860de73dca5f42"),
    (1000, 16, 2, "58cde00e7d7b40bc"), (4099, 128, 7, "994362ae346f9f97"),
    (300, 8, 0, "240aa7dbdf272f25")])
def test_the_linear_order_is_what_it_was(size, seq_len, seed, known):
    batches = Batches(np.arange(size, dtype=np.uint16), seq_len, seed, "linear")
    per_pass, found = (size - seq_len) // seq_len, hashlib.sha256()
    for position in (0, 1, 3 * per_pass - 2):
        for one in batches.take(position, per_pass + 3):
            found.update(one.astype("<i4").tobytes())
    assert found.hexdigest()[:16] == known


# --- token files -----------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train.npy"


def refusal(path, vocab_size=1000):
    with pytest.raises(CorpusError) as caught:
        open_tokens(path, vocab_size)
    return str(caught.value)


def test_a_token_file_is_mapped_and_read_as_it_is(path):
    np.save(path, TEXT)
    tokens = open_tokens(path, 1000)
    assert np.array_equal(tokens, TEXT)
    assert not tokens.flags.writeable
    assert isinstance(tokens.base, np.memmap)


def test_a_missing_file_is_refused(path):
    assert refusal(path).startswith(f"cannot read tokens from {path}: [Errno 2]")


@pytest.mark.parametrize("length", [0, 5, 60, 127, 128, 129, 2000])
def test_a_torn_file_is_refused(path, length):
    np.save(path, TEXT)
    path.write_bytes(path.read_bytes()[:length])
    text = refusal(path)
    assert text.startswith(f"cannot read tokens from {path}: ")
    assert text.endswith("; delete it and start again, the agent makes it anew")


@pytest.mark.parametrize("place", [8, 10, 21, 26])
def test_a_file_with_a_spoilt_header_is_refused(path, place):
    np.save(path, TEXT)
    content = bytearray(path.read_bytes())
    content[place] ^= 0x42
    path.write_bytes(content)
    assert str(path) in refusal(path)


@pytest.mark.parametrize("content", [b"Once upon a time", b"\x80\x04N.", b"PK\x03\x04 broken zip"])
def test_a_foreign_file_is_refused(path, content):
    path.write_bytes(content)
    assert refusal(path).startswith(f"cannot read tokens from {path}: ")


def test_an_archive_of_arrays_is_refused(path):
    with open(path, "wb") as file:
        np.savez(file, tokens=TEXT)
    assert str(path) in refusal(path)


def test_pickled_objects_are_refused(path):
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert refusal(path).startswith(f"cannot read tokens from {path}: ")


@pytest.mark.parametrize(("array", "what"), [
    (TEXT.astype(np.int32), "int32 of shape (1000,)"),
    (TEXT.astype(">u2"), ">u2 of shape (1000,)"),
    (TEXT.astype(np.float32), "float32 of shape (1000,)"),
    (TEXT.reshape(10, 100), "uint16 of shape (10, 100)"),
])
def test_tokens_of_another_kind_are_refused(path, array, what):
    np.save(path, array)
    assert refusal(path) == (f"{path} holds {what}, not a row of uint16 ids; "
                             "delete it and start again")


def test_an_id_outside_the_vocabulary_is_refused(path):
    np.save(path, TEXT)
    assert refusal(path, 999) == (f"{path} holds id 999, outside the vocabulary of 999; "
                                  "delete it and start again")
