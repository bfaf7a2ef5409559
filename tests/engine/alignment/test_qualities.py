"""What can be measured of a story: each of the four faults, and nothing else."""

import numpy as np
import pytest

from engine.alignment.qualities import (
    BEGUN,
    COPIED,
    Judge,
    beginnings,
    made_pairs,
    spin_pairs,
    stories_exam,
)
from engine.alignment.writer import Writer
from engine.config import Config
from engine.errors import Left
from engine.model.gpt import GPT, init_params
from engine.text import Tokenizer
from engine.text.stories.write import write_stories

STORIES = list(write_stories(60, 0))
TOKENIZER = Tokenizer.train(STORIES, 300)
TOKENS = TOKENIZER.encode_stories(STORIES)
JUDGE = Judge(TOKENS, TOKENIZER)
CONFIG = Config(n_embd=16, n_layer=1, n_head=1, n_hidden=8, vocab_size=300, seq_len=96)
WRITER = Writer(GPT(CONFIG), init_params(CONFIG, 0), TOKENIZER)


def faults(text, has_ended=True):
    return JUDGE.faults(TOKENIZER.encode(text), has_ended)


@pytest.mark.parametrize(("text", "has_ended", "n"), [
    (" a dog.", True, 0), (" a dog.", False, 1), (" a dog", True, 1), (' a dog!"', True, 0),
    (" a xylophonist.", True, 1), (" dog dog dog dog dog dog dog dog dog dog.", True, 1),
    (" xyzzy xyzzy xyzzy xyzzy xyzzy xyzzy", False, 3)])
def test_each_fault_counts_once(text, has_ended, n):
    assert faults(text, has_ended) == n


def test_a_copy_is_one_of_more_tokens_in_a_row_than_allowed():
    ids = TOKENS[40:].tolist()
    ids = ids[ids.index(TOKENIZER.eot_id) + 1 :][: COPIED + 1]
    others = TOKENIZER.encode(" a dog.")
    is_copy = JUDGE.faults([*ids, *others], True) - JUDGE.faults([*ids[:-1], *others], True)
    assert is_copy == 1


def test_runs_that_differ_anywhere_are_no_copies():
    judge = Judge(np.array([5] * 13 + [0], np.uint16), TOKENIZER)
    for i in range(13):
        row = [5] * 13
        row[i] = 6
        assert judge.faults(row, False) <= judge.faults([5] * 13, False)
    assert judge.faults([5] * 13, False) - judge.faults([5] * 12, False) == 1


def test_beginnings_are_those_of_stories():
    found = beginnings(TOKENS, TOKENIZER.eot_id, 20, np.random.default_rng(0))
    starts = {tuple(TOKENIZER.encode(story)[:BEGUN]) for story in STORIES}
    assert {tuple(one) for one in found} <= starts
    assert len(found) == 20


def test_pairs_are_made_of_the_models_own_and_the_same_again():
    found = made_pairs(WRITER, JUDGE, TOKENS, 1, 0)
    assert found == made_pairs(WRITER, JUDGE, TOKENS, 1, 0)
    assert all(any(story.startswith(one.prompt) for story in STORIES) for one in found)
    assert all(one.chosen != one.rejected for one in found)
    played = spin_pairs(WRITER, TOKENS, 1, 0)
    assert len(played) > 50
    assert all(any(story.startswith(one.prompt + one.chosen) for story in STORIES)
               for one in played)
    lengths = [[len(TOKENIZER.encode(text)) for text in (one.chosen, one.rejected)]
               for one in played]
    # Neither is likelier for being short; a cut may part a letter, which is spelt in more tokens.
    assert all(abs(a - b) <= 2 for a, b in lengths)
    assert made_pairs(WRITER, JUDGE, TOKENS, 1, 1) != found


def test_the_exam_draws_the_same_every_time_and_can_be_left():
    def ask(leave):
        return stories_exam(WRITER, 4, leave, judge=JUDGE, tokens=TOKENS, n=70)

    def leave(done, total, what):
        told.append((done, total, what))
        if len(told) > 2:
            raise Left

    told = []
    found = ask(leave)
    assert told == [(0, 70, "stories"), (64, 70, "stories")]
    assert found == ask(lambda *_: None)
    assert {one.name: one.n for one in found} == {
        "faults a story": 70, "faultless stories": 70, "tokens a story": 70, "distinct-2": None}
    with pytest.raises(Left):
        ask(leave)
