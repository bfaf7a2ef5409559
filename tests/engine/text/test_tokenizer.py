"""The byte-level BPE: the `tokenizers` package is the referee for merges and ids."""

import errno
import hashlib
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import StorageError, TokenizerError
from engine.text import tokenizer as tokenizer_module
from engine.text.tokenizer import EOT, Tokenizer
from tests.bench import tokenizers_peer

TINYSTORIES = Path(__file__).parents[4] / "shared" / "data" / "tinystories-train.txt"

STORIES = [
    "Once upon a time, there was a little girl named Lily. She loved to play in the park.",
    "One day, Lily saw a big, red ball. \"Can I play with it?\" she asked.\n\n\"Yes!\" said Tom.",
    "Tom didn't know what to do. He'd lost his ball, and it wasn't in the park. They'll find it.",
    "The end.  Two spaces,\n\n\nthree lines\tand a tab. 12 ducks, 345 geese, 12 hens, 12 cows.",
    "The bird sang la la la la la. Ha ha ha haha hahaha! Zzzzzzzz, went the cat. Mmmmmm.",
]
UNICODE = [
    "Crème brûlée, s'il vous plaît! Où est la bibliothèque? À côté du château, bien sûr.",
    "今日は天気がいいですね。東京に行きました。今日は東京です。天気がいい。",
    "Привет, мир! Привет, Мир! Это длинный текст, это текст. Γειά σου Κόσμε.",
    "Emoji 😀😀😀 👩‍👩‍👧 ❤️ and flags 🇫🇮🇫🇮; combining e\u0301e\u0301 n\u0303; digits ٣٤٥ ४५ ² Ⅷ ½.",
    "NBSP\xa0\xa0here wide\u3000space next\x85line \x1c\x1d\x1e\x1f\x1c\x1d control \u2028 \u200b.",
    "don't can’t it's      six spaces\t\t\ttabs          ten; aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbb",
]
ALL = [*STORIES, *UNICODE]


def train_referee(texts: list[str], vocab_size: int) -> tokenizers.Tokenizer:
    referee = tokenizers_peer.train(texts, vocab_size)
    referee.encode_special_tokens = True  # EOT inside a text is text
    return referee


def referee_merges(referee: tokenizers.Tokenizer) -> list[tuple[int, int]]:
    model = json.loads(referee.to_str())["model"]
    return [(model["vocab"][left], model["vocab"][right]) for left, right in model["merges"]]


def referee_ids(referee: tokenizers.Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in referee.encode_batch(texts)]


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return Tokenizer.train(ALL, 400)


# --- the same as the package ---------------------------------------------------------------------


@pytest.mark.parametrize(("texts", "vocab_size"), [
    (STORIES, 257), (STORIES, 258), (STORIES, 320), (STORIES, 430), (UNICODE, 330),
    (UNICODE, 560), (ALL, 700), ([text * 3 for text in ALL], 450),
])
def test_merges_and_ids_equal_the_package(texts, vocab_size):
    referee = train_referee(texts, vocab_size)
    ours = Tokenizer.train(texts, vocab_size)
    assert ours.vocab_size == referee.get_vocab_size() == vocab_size
    assert ours.merges == referee_merges(referee)
    assert [ours.encode(text) for text in ALL] == referee_ids(referee, ALL)


@pytest.mark.parametrize("seed", range(60))
def test_fuzzed_corpora_equal_the_package_until_pairs_run_out(seed):
    rng = random.Random(seed)
    alphabet = rng.choice(["a", "ab", "aab ", "abc ", "aé", "ab東 ", "!a1 \n", "xyzw' sté😀\xa0"])
    texts = ["".join(rng.choices(alphabet, k=rng.randrange(1, 30))) * rng.randrange(1, 4)
             for _ in range(rng.randrange(1, 12))]
    samples = ["".join(rng.choices(alphabet, k=40)) for _ in range(20)]
    referee = train_referee(texts, 400)
    ours = Tokenizer.train(texts, referee.get_vocab_size())
    assert ours.merges == referee_merges(referee)
    assert [ours.encode(text) for text in samples] == referee_ids(referee, samples)


@pytest.mark.parametrize("repeats", [2, 3, 4, 5, 7, 8, 15, 16, 31])
def test_overlapping_repeats_equal_the_package(repeats):
    texts = ["a" * repeats, "ba" * repeats, "aab" * repeats, "x" + "a" * (repeats + 1)]
    referee = train_referee(texts, 300)
    ours = Tokenizer.train(texts, referee.get_vocab_size())
    samples = ["a" * n + "b" * m for n in range(20) for m in range(3)]
    assert ours.merges == referee_merges(referee)
    assert [ours.encode(text) for text in samples] == referee_ids(referee, samples)


@pytest.mark.skipif(not TINYSTORIES.exists(), reason="../shared/data is not beside the checkout")
def test_tinystories_equal_the_package():
    stories = TINYSTORIES.read_text("utf-8").split(EOT)
    referee = train_referee(stories, 1024)
    ours = Tokenizer.train(stories, 1024)
    assert ours.merges == referee_merges(referee)
    expected = [0]
    for ids in referee_ids(referee, stories):
        expected += [*ids, 0]
    assert ours.encode_stories(stories).tolist() == expected


@pytest.mark.parametrize("word", [
    "a" * 200_000,
    "ab" * 60_000 + "a" * 3,
    "".join(random.Random(7).choices("abcdefgh", k=100_000)),
], ids=["one letter", "two letters", "random letters"])
def test_a_word_of_100_kb_equals_the_package(word):
    texts = [*STORIES, "a" * 300, "ab" * 100, "abcdefgh hgfedcba badcfehg"]
    referee = train_referee(texts, 450)
    assert Tokenizer.train(texts, 450).encode(word) == referee.encode(word).ids


@pytest.mark.parametrize("word", [
    "a" * 10_000, "abb" * 3000, "".join(random.Random(8).choices("ab", k=5000)),
], ids=["one letter", "two letters", "random letters"])
def test_training_on_one_long_word_equals_the_package(word):
    referee = train_referee([word], 300)
    assert Tokenizer.train([word], referee.get_vocab_size()).merges == referee_merges(referee)


def test_bytes_have_the_ids_of_the_package():
    referee = train_referee(["x"], 257)
    ours = Tokenizer.train(["x"], 257)
    texts = [chr(code) for code in [*range(0xD800), *range(0xE000, 0x110000, 997)]]
    assert [ours.encode(text) for text in texts] == referee_ids(referee, texts)
    assert sorted(ours.token_bytes[1:]) == [bytes([byte]) for byte in range(256)]


# --- text, bytes and stories ---------------------------------------------------------------------


@settings(deadline=None)  # a slow phone is no failure
@given(data=st.binary())
def test_any_bytes_come_back(trained, data):
    assert trained.decode_bytes(trained.encode_bytes(data)) == data


@settings(deadline=None)
@given(text=st.text())
def test_any_text_comes_back(trained, text):
    assert trained.decode(trained.encode(text)) == text


def test_every_byte_and_torn_characters_come_back(trained):
    data = bytes(range(256)) + "東京😀é".encode()[1:-1] + b"\xff\xc3 \xc3 it's\xed\xa0\x80"
    assert trained.decode_bytes(trained.encode(data.decode("utf-8", "surrogateescape"))) == data


def test_undecodable_tokens_become_replacement_characters(trained):
    assert trained.decode(trained.encode_bytes(b"ab\xffcd")) == "ab\ufffdcd"


def test_eot_inside_text_is_ordinary_text(trained):
    ids = trained.encode(f"one{EOT}two")
    assert trained.eot_id not in ids
    assert trained.decode(ids) == f"one{EOT}two"


def test_eot_id_decodes_to_its_name(trained):
    assert trained.decode([trained.eot_id]) == EOT
    assert trained.token_bytes[0] == EOT.encode()


def test_stories_stand_between_ends_of_text(trained):
    ids = trained.encode_stories(["One.", "", "Deux é."])
    assert ids.dtype == np.uint16
    assert ids.flags.writeable
    assert ids.tolist() == [0, *trained.encode("One."), 0, 0, *trained.encode("Deux é."), 0]


def test_no_stories_are_one_end_of_text(trained):
    assert trained.encode_stories(iter([])).tolist() == [0]


def test_empty_text_has_no_ids(trained):
    assert trained.encode("") == []
    assert trained.decode([]) == ""


def test_ids_are_plain_ints_and_arrays_decode(trained):
    ids = trained.encode("Lily saw")
    assert {type(i) for i in ids} == {int}
    assert trained.decode(np.array(ids, np.uint16)) == "Lily saw"


def test_token_bytes_are_the_merged_parts(trained):
    parts = trained.token_bytes
    assert parts[257:] == [parts[left] + parts[right] for left, right in trained.merges]
    assert len(parts) == trained.vocab_size == len(set(parts)) == 400


def test_the_word_cache_is_bounded_and_changes_nothing(trained, monkeypatch):
    monkeypatch.setattr(tokenizer_module, "CACHED_WORDS", 3)
    small = Tokenizer(trained.merges)
    assert [small.encode(text) for text in ALL * 2] == [trained.encode(text) for text in ALL * 2]
    assert len(small._words) <= 3


def test_long_words_are_not_kept(trained):
    fresh = Tokenizer(trained.merges)
    assert fresh.encode("q" * 100) == fresh.encode("q" * 100)
    assert len(fresh._words) == 0


# --- progress ------------------------------------------------------------------------------------


def test_progress_ends_at_the_total_of_each_stage():
    calls = []
    stories = [f"story {i} of many" for i in range(2500)]
    ours = Tokenizer.train(stories, 270, lambda *call: calls.append(call))
    ours.encode_stories(stories, lambda *call: calls.append(call))
    assert calls == [
        ("words", 1000, 2500), ("words", 2000, 2500), ("words", 2500, 2500), ("merges", 13, 13),
        ("encode", 1000, 2500), ("encode", 2000, 2500), ("encode", 2500, 2500)]


def test_progress_of_an_iterator_has_no_total():
    calls = []
    Tokenizer.train(iter(STORIES), 330, lambda *call: calls.append(call))
    assert calls == [("words", 5, 0), ("merges", 64, 73), ("merges", 73, 73)]


# --- what cannot be trained or applied -----------------------------------------------------------


@pytest.mark.parametrize("vocab_size", [256, 0, -1, 32769])
def test_vocabulary_sizes_out_of_range_are_refused(vocab_size):
    with pytest.raises(TokenizerError, match=rf"^vocab_size={vocab_size} is out of range; "
                                             r"use 257 to 32768$"):
        Tokenizer.train(STORIES, vocab_size)


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_empty_text_is_refused(texts):
    with pytest.raises(TokenizerError, match="training text is empty.*; use a corpus with text"):
        Tokenizer.train(texts, 300)


@pytest.mark.parametrize("texts", [STORIES, UNICODE, ["a"], ["ab cd abab"]])
def test_too_large_a_vocabulary_names_the_largest_possible(texts):
    largest = train_referee(texts, 32768).get_vocab_size()
    with pytest.raises(TokenizerError, match=rf"^vocab_size={largest + 1} is too large for this "
                                             rf"text, which supports at most {largest}; use"):
        Tokenizer.train(texts, largest + 1)
    assert Tokenizer.train(texts, largest).vocab_size == largest


@pytest.mark.parametrize("use", [
    lambda text: Tokenizer.train([text], 257 + 1), lambda text: Tokenizer([]).encode(text)])
def test_half_a_character_is_refused(use):
    with pytest.raises(TokenizerError, match=r"holds U\+D83D, half of a character, .*; replace"):
        use("so sad \ud83d")


@pytest.mark.parametrize("bad", [-1, 400, 65535])
def test_foreign_ids_are_not_decoded(trained, bad):
    with pytest.raises(TokenizerError, match=rf"^id {bad} is outside this vocabulary; "
                                             r"use 0 to 399$"):
        trained.decode_bytes([1, bad])


def test_tokens_of_absurd_length_are_refused():
    doubling = [(1, 1), *((257 + i, 257 + i) for i in range(30))]
    with pytest.raises(TokenizerError, match=r"the first 280 tokens hold more than 16 MiB; train"):
        Tokenizer(doubling)


# --- the file ------------------------------------------------------------------------------------


def test_a_saved_tokenizer_loads_the_same(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    loaded = Tokenizer.load(path)
    assert (loaded.merges, loaded.token_bytes) == (trained.merges, trained.token_bytes)
    assert loaded.sha256 == trained.sha256
    assert [loaded.encode(text) for text in ALL] == [trained.encode(text) for text in ALL]


def test_sha256_is_that_of_the_file_and_of_these_merges_only(trained, tmp_path):
    trained.save(tmp_path / "t.json")
    assert hashlib.sha256((tmp_path / "t.json").read_bytes()).hexdigest() == trained.sha256
    assert Tokenizer(trained.merges[:-1]).sha256 != trained.sha256


def test_the_file_is_versioned_json(tmp_path):
    Tokenizer([(1, 2), (257, 3)]).save(tmp_path / "t.json")
    assert (tmp_path / "t.json").read_text() == (
        '{"format":"phi-auto tokenizer","version":1,"merges":[[1,2],[257,3]]}\n')


def test_saving_over_a_file_replaces_it_and_leaves_nothing_else(trained, tmp_path):
    path = tmp_path / "t.json"
    path.write_text("old")
    trained.save(path)
    assert Tokenizer.load(path).merges == trained.merges
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.json"]


def test_a_full_disk_keeps_the_old_file(trained, tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "t.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*t\.json .*: No space left on device; "
                                           "what was there is kept"):
        trained.save(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.json"]


def test_a_folder_that_is_a_file_is_reported(trained, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*: Not a directory; what was"):
        trained.save(tmp_path / "file" / "t.json")


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(TokenizerError, match=r"cannot read the tokenizer .*no\.json: No such file "
                                             r"or directory; train it again"):
        Tokenizer.load(tmp_path / "no.json")


def file_text(**changes: object) -> str:
    content = {"format": "phi-auto tokenizer", "version": 1, "merges": [[1, 2], [257, 3]]}
    return json.dumps(content | changes)


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "it holds no JSON"),
    ('{"format":', "it holds no JSON"),
    ("[" * 100_000, "it holds no JSON"),
    ("1" * 5000, "it holds no JSON"),
    ("[]", 'it lacks "format": "phi-auto tokenizer"'),
    (file_text(format="gpt2"), 'it lacks "format": "phi-auto tokenizer"'),
    (file_text(version=2), "it has version 2, where this program reads 1"),
    (file_text(version=True), "it has version True, where this program reads 1"),
    (file_text(extra=1), "it has the fields format, version, merges, extra, where"),
    ('{"format":"phi-auto tokenizer","version":1}', "it has the fields format, version, where"),
    (file_text(merges={}), "its merges are not a list of at most 32511"),
    (file_text(merges=[[1, 2]] * 32512), "its merges are not a list of at most 32511"),
    (file_text(merges=[[1]]), r"token 257 merges \[1\], where two ids from 1 to 256 belong"),
    (file_text(merges=[[1, 2], 5]), "token 258 merges 5, where two ids from 1 to 257 belong"),
    (file_text(merges=[[0, 1]]), r"token 257 merges \[0, 1\], where"),
    (file_text(merges=[[1, -1]]), r"token 257 merges \[1, -1\], where"),
    (file_text(merges=[[1, 257]]), r"token 257 merges \[1, 257\], where"),
    (file_text(merges=[[1, 2], [1, 258]]), r"token 258 merges \[1, 258\], where"),
    (file_text(merges=[[1, 2.0]]), r"token 257 merges \[1, 2\.0\], where"),
    (file_text(merges=[[1, True]]), r"token 257 merges \[1, True\], where"),
    (file_text(merges=[["1", 2]]), r"token 257 merges \['1', 2\], where"),
    (file_text(merges=[[1, 2], [1, 2]]), "tokens 257 and 258 are both b'!\"'"),
    (file_text(merges=[[1, 2], [2, 3], [257, 3], [1, 258]]), "tokens 259 and 260 are both"),
    (file_text(merges=[[1, 1], *([i, i] for i in range(257, 300))]), "hold more than 16 MiB"),
    (file_text() + " " * (4 << 20), "it is longer than 4 MiB"),
])
def test_a_foreign_file_is_refused(tmp_path, text, complaint):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(TokenizerError, match=rf"bad\.json is not a tokenizer of this program: "
                                             rf".*{complaint}.*; delete it and train again$"):
        Tokenizer.load(path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(TokenizerError, match="it holds no JSON; delete it and train again"):
        Tokenizer.load(tmp_path / "bad.json")
