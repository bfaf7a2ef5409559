"""Every batch is a pure function of seed and position, and no text is seen twice in an epoch."""

import numpy as np
import pytest

from engine.errors import CorpusError
from engine.training.data import Batches, open_tokens

SIZE = 1000
TEXT = np.arange(SIZE, dtype=np.uint16)  # every token names its own place


def epoch(batches, number):
    return batches.take(number * batches.n_windows, batches.n_windows)


@pytest.mark.parametrize("seq_len", [1, 7, 16, 100, 333, 500])
@pytest.mark.parametrize("number", [0, 1, 5])
def test_an_epoch_shows_every_token_at_most_once(seq_len, number):
    _, targets = epoch(Batches(TEXT, seq_len, seed=3), number)
    assert np.unique(targets).size == targets.size
    assert targets.size > SIZE - 2 * seq_len  # and leaves out less than two windows


def test_targets_are_the_tokens_that_follow():
    ids, targets = Batches(TEXT, 16, seed=0).take(0, 200)  # several epochs
    assert np.array_equal(targets, ids + 1)
    assert np.all(np.diff(ids, axis=1) == 1)


def test_batches_are_rows_of_int32():
    ids, targets = Batches(TEXT, 16, seed=0).take(5, 3)
    assert (ids.shape, targets.shape) == ((3, 16), (3, 16))
    assert (ids.dtype, targets.dtype) == (np.int32, np.int32)


@pytest.mark.parametrize("position", [0, 3, 58, 61, 200])
def test_a_batch_does_not_depend_on_what_was_taken_before(position):
    travelled, fresh = Batches(TEXT, 16, seed=2), Batches(TEXT, 16, seed=2)
    for other in (0, 500, 61, position + 100, 7):
        travelled.take(other, 8)
    assert np.array_equal(travelled.take(position, 8), fresh.take(position, 8))


def test_a_batch_may_span_two_epochs():
    batches = Batches(TEXT, 16, seed=2)
    across = batches.take(batches.n_windows - 2, 4)[0]
    assert np.array_equal(across[:2], epoch(batches, 0)[0][-2:])
    assert np.array_equal(across[2:], epoch(batches, 1)[0][:2])


def test_batches_of_different_size_see_the_same_windows():
    batches = Batches(TEXT, 16, seed=2)
    singles = np.concatenate([batches.take(i, 1)[0] for i in range(12)])
    assert np.array_equal(batches.take(0, 12)[0], singles)


def test_epochs_cut_the_text_in_different_places():
    batches = Batches(TEXT, 16, seed=0)
    cuts = {int(epoch(batches, number)[0][0, 0]) % 16 for number in range(20)}
    assert len(cuts) > 8


def test_epochs_and_seeds_shuffle_differently():
    batches, other = Batches(TEXT, 16, seed=0), Batches(TEXT, 16, seed=1)
    firsts = [epoch(batches, 0)[0][:, 0], epoch(batches, 1)[0][:, 0], epoch(other, 0)[0][:, 0]]
    orders = {tuple(np.argsort(first)) for first in firsts}
    assert len(orders) == 3


@pytest.mark.parametrize("size", [0, 1, 16, 31])
def test_too_short_a_text_is_refused(size):
    with pytest.raises(CorpusError) as caught:
        Batches(TEXT[:size], 16, seed=0)
    assert str(caught.value) == (f"{size} training tokens are too few for windows of 16; "
                                 "use more text or a shorter seq_len")


def test_the_shortest_text_gives_one_window():
    batches = Batches(TEXT[:32], 16, seed=0)
    assert batches.n_windows == 1
    ids, targets = batches.take(0, 200)
    assert (ids.min(), targets.max()) == (0, 31)  # the window moves over the whole text


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
