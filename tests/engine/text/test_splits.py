"""Every story is in one split, whole, and the shards are as large as the rule says."""

from pathlib import Path

import pytest

from engine.errors import CorpusError
from engine.text.splits import (
    HELD_OUT_BYTES,
    SEARCH_TOKENS,
    SPLITS,
    hold_out,
    require_stories,
    require_validation,
    shard,
    split_stories,
    train_tokenizer,
)
from engine.text.stories.write import write_stories
from engine.text.textfile import parse

DATA = Path(__file__).parents[4] / "shared" / "data"


def tales(n, n_bytes=20):
    return [f"{i:{n_bytes}d}" for i in range(n)]


def thousand_tokens(story):
    return range(1_000)


# --- holding out -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "n_held"), [(4, 3), (29, 3), (40, 4), (1_000, 100), (1_009, 100)])
def test_a_short_text_gives_every_tenth_story_and_at_least_three(n, n_held):
    train, held = hold_out(tales(n))

    assert (len(train), len(held)) == (n - n_held, n_held)


def test_a_long_text_gives_no_more_than_is_needed():
    train, held = hold_out(tales(20_000, n_bytes=1_000))

    assert len(held) == HELD_OUT_BYTES / 1_000
    assert len(train) + len(held) == 20_000


@pytest.mark.parametrize("n", [4, 5, 7, 31, 100, 1_003])
def test_a_story_is_trained_on_or_held_out_and_training_keeps_its_order(n):
    train, held = hold_out(tales(n))

    assert sorted([*train, *held]) == tales(n)
    assert train == sorted(train)


def test_held_out_stories_come_from_all_of_the_text_at_even_distances():
    _, held = hold_out(tales(1_000))

    assert [int(story) for story in sorted(held)] == list(range(5, 1_000, 10))


def test_stories_that_are_held_out_are_dealt_in_four_rounds():
    _, held = hold_out(tales(80))

    assert [int(story) for story in held] == [5, 45, 25, 65, 15, 55, 35, 75]


def test_every_shard_of_a_short_text_comes_from_all_of_it():
    _, held = hold_out(tales(4_000))
    shards = shard(held, encode=lambda story: story)

    assert [len(part) for part in shards] == [200, 100, 100]
    assert [[sum(start <= int(story) < start + 1_000 for story in part)
             for start in (0, 1_000, 2_000, 3_000)] for part in shards] == [
        [50, 50, 50, 50], [25, 25, 25, 25], [25, 25, 25, 25]]


# --- shards ----------------------------------------------------------------------------------


def test_search_takes_stories_from_the_start_until_it_has_its_tokens():
    search, confirm, test = shard(tales(251), thousand_tokens)

    assert search == tales(251)[:100]
    assert confirm == tales(251)[100:176]
    assert test == tales(251)[176:]


@pytest.mark.parametrize(("n", "sizes"), [
    (199, [100, 50, 49]), (200, [100, 50, 50]), (201, [100, 51, 50]), (109, [55, 27, 27]),
    (80, [40, 20, 20]), (7, [5, 1, 1])])
def test_shards_that_claims_rest_on_have_a_quarter_each_of_a_text_however_short(n, sizes):
    assert [len(part) for part in shard(tales(n), thousand_tokens)] == sizes


def test_three_stories_are_one_for_each():
    assert shard(tales(3), thousand_tokens) == (tales(3)[:1], tales(3)[1:2], tales(3)[2:])


def test_the_last_story_of_search_is_whole():
    search, _, _ = shard(tales(300), lambda story: range(SEARCH_TOKENS - 1))

    assert len(search) == 2


# --- both together ---------------------------------------------------------------------------


def test_a_text_on_its_own_gives_half_of_what_is_held_out_to_search():
    splits, _ = split_stories(list(write_stories(200, seed=1)), None)

    assert [len(splits[name]) for name in SPLITS] == [180, 10, 5, 5]


def test_with_a_validation_text_all_of_the_other_is_trained_on():
    train, valid = list(write_stories(30, seed=1)), list(write_stories(80, seed=2))
    splits, _ = split_stories(train, valid)

    assert splits["train"] == train
    assert [len(splits[name]) for name in SPLITS] == [30, 40, 20, 20]
    assert [*splits["search"], *splits["confirm"], *splits["test"]] == valid


def test_the_reference_tokenizer_has_the_default_vocabulary():
    _, tokenizer = split_stories(list(write_stories(60, seed=1)), None)

    assert tokenizer.vocab_size == 1024


def test_a_short_text_is_measured_with_the_largest_vocabulary_it_supports():
    # Words "aaaa": pairs aa and aaaa, and nothing more to merge.
    splits, tokenizer = split_stories(["aaaa"] * 10, None)

    assert tokenizer.token_bytes[257:] == [b"aa", b"aaaa"]
    assert [len(splits[name]) for name in SPLITS] == [7, 1, 1, 1]


def test_progress_of_the_tokenizer_rises_to_a_hundred():
    told = []
    train_tokenizer(list(write_stories(1_200, seed=1)), 400, lambda *step: told.append(step))

    assert {step[0] for step in told} == {"training tokenizer"}
    assert [step[1] for step in told] == sorted(step[1] for step in told)
    assert told[-1] == ("training tokenizer", 100, 100)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data is not beside the checkout")
def test_the_shared_validation_text_is_a_half_and_two_quarters():
    train, valid = (parse(path.read_bytes(), path) for path in (
        DATA / "tinystories-train.txt", DATA / "tinystories-valid.txt"))
    splits, tokenizer = split_stories(train, valid)
    n_tokens = [sum(len(tokenizer.encode(story)) for story in splits[name]) for name in SPLITS[1:]]

    shares = [n / sum(n_tokens) for n in n_tokens]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.03)
    assert min(n_tokens) > 25_000


# --- what is enough --------------------------------------------------------------------------


def test_one_story_cannot_be_split():
    with pytest.raises(CorpusError, match=r"tale\.txt is one story, so none can be held out for "
                                          r"validation; put <\|endoftext\|> between its stories"):
        require_stories(1, "tale.txt")


@pytest.mark.parametrize("n", [0, 2, 3])
def test_fewer_than_four_stories_are_refused(n):
    with pytest.raises(CorpusError, match=f"builtin has {n} stories, and at least 4 are needed"):
        require_stories(n, "builtin")


def test_four_stories_and_three_for_validation_are_enough():
    require_stories(4, "tales.txt")
    require_validation(3, "valid.txt")

    assert len(split_stories(["ab ab"] * 4, None)[0]["train"]) == 1


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_stories_for_validation_are_refused(n):
    with pytest.raises(CorpusError, match=rf"valid\.txt has {n} stories, and validation needs at "
                                          r"least 3, .* with <\|endoftext\|> between them"):
        require_validation(n, "valid.txt")
