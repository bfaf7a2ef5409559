"""Pairs from JSON lines, held out by a hash, and as batches."""

import json

import pytest

from engine.alignment.pairs import Pair, batch_of, read_pairs, spell, split
from engine.errors import CorpusError
from engine.text import Tokenizer

LINE = b'{"prompt": "Once", "chosen": " upon a time.", "rejected": " a a a"}'
TOKENIZER = Tokenizer.train(["Once upon a time there was a dog. The dog ran."], 257)


@pytest.mark.parametrize(("line", "told"), [
    (b"{", "f line 2 is not JSON: "), (b"[1]", "f line 2 is no object"),
    (b'{"prompt": "a", "chosen": "b"}', 'f line 2 has no "rejected" that is a string'),
    (b'{"prompt": 3, "chosen": "b", "rejected": "c"}', 'f line 2 has no "prompt" that is'),
    (b'{"prompt": "a", "chosen": "", "rejected": "c"}', 'prefers nothing, as its "chosen" is'),
    (b'{"prompt": "a", "chosen": "b", "rejected": "b"}', "its two answers are the same"),
    (b'{"prompt": "\\ud800", "chosen": "b", "rejected": "c"}', "lone surrogate '\\\\ud800'"),
    (b"\xff\xfe", "f is not UTF-8: byte 0xff at offset 68"), (b"[" * 100_000, "nested too deep")])
def test_a_broken_line_is_named_or_passed_over(line, told):
    data = b"\n".join((LINE, line, b" ", LINE))
    with pytest.raises(CorpusError, match=told) as caught:
        read_pairs(data, "f")
    assert str(caught.value).endswith("or pass it over with --skip-broken")
    found, broken = read_pairs(data, "f", skip_broken=True)
    assert (len(found), broken.n) == (2, 1)
    assert broken.first.startswith("f line 2")


def test_a_file_without_a_pair_is_told():
    for data, broken in ((b"", False), (b"{\n", True)):
        with pytest.raises(CorpusError, match="f holds no pair"):
            read_pairs(data, "f", skip_broken=broken)


def test_an_answer_that_was_cut_off_has_no_end_to_learn():
    pair = Pair("Once", " a dog", " a time", chosen_ends=False)
    chosen, rejected = spell(pair, TOKENIZER, 32)
    assert chosen.ids[-1] != TOKENIZER.eot_id == rejected.ids[-1]
    assert Pair(**json.loads(pair.line())) == pair


def test_a_line_reads_back_as_its_pair():
    pair = Pair("Été \u2028\n", "a", "b\r")
    assert read_pairs(b"\xef\xbb\xbf" + pair.line(), "f")[0] == [pair]


def test_no_prompt_is_on_both_sides_and_more_pairs_move_none():
    pairs = [Pair(f"p{i % 60}", f"c{i}", "r") for i in range(200)]
    train, held = split(pairs, "f")
    assert not {one.prompt for one in train} & {one.prompt for one in held}
    assert 20 < len(held) < 80
    fewer, fewer_held = split(pairs[:120], "f")
    assert set(fewer) <= set(train)
    assert set(fewer_held) <= set(held)


def test_pairs_of_one_prompt_are_split_by_their_answers():
    train, held = split([Pair("Once", f"c{i}", "r") for i in range(100)], "f")
    assert len(held) > 5
    assert len(train) > 50
    with pytest.raises(CorpusError, match="the 3 pairs of f leave too few"):
        split([Pair("Once", f"c{i}", "r") for i in range(3)], "f")


def test_what_is_longer_than_a_window_loses_its_prompt_first():
    pair = Pair("0123456789", "abc", "abcdefgh")
    chosen, rejected = spell(pair, TOKENIZER, 12)  # 13 ids: eight letters, an end, four of prompt
    assert (chosen.n_given, rejected.n_given, len(rejected.ids)) == (4, 4, 13)
    assert TOKENIZER.decode(rejected.ids) == TOKENIZER.decode(TOKENIZER.encode("6789abcdefgh")) + (
        "<|endoftext|>" if "<|endoftext|>" in TOKENIZER.decode(rejected.ids) else "")
    assert rejected.ids[-1] == TOKENIZER.eot_id
    (short, cut) = spell(Pair("0123", "ab", "x" * 50), TOKENIZER, 12)
    assert (len(cut.ids), cut.n_given) == (13, 1)
    batch = batch_of([short, cut], 12, TOKENIZER.eot_id)
    assert batch.ids.shape == (2, 12)
    assert [row.sum() for row in batch.is_scored] == [3, 12]
