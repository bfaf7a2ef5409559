"""No text is on both sides, and what was cut or left out is told with its number."""

import re

import pytest

from engine.errors import CorpusError
from engine.text import copies
from engine.text.apart import parted, parted_from
from engine.text.given import Found
from engine.text.splits import hold_out, shard
from engine.text.stories.write import write_stories

TALES = list(write_stories(600, 0))
OTHERS = list(write_stories(300, 1))


def keys(stories):
    return {copies.key(story) for story in stories}


@pytest.mark.parametrize("copy", [str, "  {}\n".format, lambda tale: tale.replace("\n", "\r\n")])
@pytest.mark.parametrize("is_beside", [True, False])
def test_of_600_stories_each_twice_none_is_on_both_sides(copy, is_beside):
    twice = ([one for tale in TALES for one in (tale, copy(tale))] if is_beside
             else [*TALES, *map(copy, TALES)])
    found = parted(Found("twice.txt", twice))

    assert len(found.held) == len(keys(found.held)) == 60
    assert not keys(found.train) & keys(found.held)
    assert len(found.train) + len(found.held) + 60 == 1_200
    assert found.remarks == ("left out: 60 stories that are copies of those held out for "
                             "validation (white space and line ends aside)",)


def test_every_shard_has_some_of_all_of_the_end_that_is_held_out():
    """Two plays at the end of a book are not equally hard, whichever of them confirms."""
    book = "\n\n".join([*TALES[:560], *(tale.upper() for tale in TALES[560:])])
    shards = shard(parted(Found("plays.txt", [book])).held, str.split)

    shares = [sum(piece.isupper() for piece in one) / len(one) for one in shards]
    assert max(shares) - min(shares) < 0.15
    assert 0.4 < min(shares)


def test_a_text_without_copies_is_parted_as_ever_and_nothing_is_said():
    found = parted(Found("tales.txt", TALES))

    assert (list(found.train), list(found.held)) == hold_out(TALES)
    assert found.remarks == ()


def test_a_story_that_is_only_trained_on_may_come_as_often_as_it_does():
    found = parted(Found("tales.txt", [*TALES, *hold_out(TALES)[0]]))

    assert len(found.train) == 1_080


def test_copies_of_fewer_than_four_stories_are_refused():
    with pytest.raises(CorpusError, match=r"a\.txt has 30 stories, but only 3 that are not the "
                                          "same text, and at least 4 are needed"):
        parted(Found("a.txt", TALES[:3] * 10))


@pytest.mark.parametrize("copy", [str, lambda tale: f"\n{tale} ".replace("\n", "\r\n")])
def test_a_validation_file_that_is_trained_on_is_refused_with_the_number(copy):
    with pytest.raises(CorpusError, match=re.escape(
            "7 of the 307 stories of valid.txt stand in train.txt, too, and a model is validated "
            "on text it was not trained on; take them out of one of the two, or leave out "
            "--valid: then a part is held out")):
        parted_from(Found("train.txt", TALES),
                    Found("valid.txt", [*OTHERS, *map(copy, TALES[:7])]))


def test_one_in_a_hundred_is_left_out_of_the_training_text():
    found = parted_from(Found("train.txt", TALES), Found("valid.txt", [*OTHERS, *TALES[:3]]))

    assert list(found.train) == TALES[3:]
    assert len(found.held) == 303
    assert found.remarks == ("left out: 3 stories that are copies of those to validate on "
                             "(white space and line ends aside)",)


def test_no_validation_story_is_in_two_shards():
    found = parted_from(Found("train.txt", TALES), Found("valid.txt", OTHERS * 2))

    assert list(found.held) == OTHERS
    assert "300 validation stories that are copies of those before" in found.remarks[0]


def test_a_novel_is_cut_and_its_end_held_out():
    novel = "\n\n".join(TALES[:200])
    found = parted(Found("/home/anna/novel.txt", [novel]))
    n = len(found.train) + len(found.held)

    assert found.remarks == (f"novel.txt: one text, cut at paragraphs into {n} pieces; its end, "
                             f"{len(found.held)} of them, is held out",)
    assert sum(piece.endswith(TALES[199][-40:]) for piece in found.held) == 1
    assert not keys(found.train) & keys(found.held)


def test_a_chapter_of_the_novel_is_no_validation_text():
    novel = "\n\n".join(TALES[:200])
    with pytest.raises(CorpusError, match=r"of the \d+ paragraphs of valid\.txt stand in novel"):
        parted_from(Found("novel.txt", [novel]), Found("valid.txt", TALES[50:90]))
    with pytest.raises(CorpusError, match=r"of the \d+ paragraphs of chapter\.txt stand in tales"):
        parted_from(Found("tales.txt", TALES), Found("chapter.txt", ["\n\n".join(TALES[50:90])]))


def test_another_novel_is_one():
    found = parted_from(Found("novel.txt", ["\n\n".join(TALES[:200])]),
                        Found("other.txt", ["\n\n".join(OTHERS[:100])]))

    assert len(found.train) == 1
    assert len(found.held) >= 40


def test_a_text_that_says_one_thing_only_is_refused():
    line = "All work and no play makes Jack a dull boy, and so on, and so on, and again and on.\n\n"
    with pytest.raises(CorpusError, match=r"jack\.txt says the same again and again"):
        parted(Found("jack.txt", [line * 200]))


def test_too_short_a_text_is_refused_with_what_helps():
    with pytest.raises(CorpusError, match=r"one\.txt is one story, too short for a part of it to "
                                          r"be held out for validation \(4 bytes\); give more"):
        parted(Found("one.txt", ["Once"]))


def test_a_folder_of_many_files_is_parted_by_files_and_one_of_few_by_their_ends():
    many = parted(Found("many", TALES[:40], is_folder=True))
    few = parted(Found("few", TALES[:20], is_folder=True))

    assert {*many.train, *many.held} == set(TALES[:40])
    assert few.remarks[0].startswith("few: 20 texts, cut at paragraphs into ")
    assert "the end of each" in few.remarks[0]
