"""A story is a copy whatever white space, line ends and spelling of its letters it has."""

import pytest

from engine.text.copies import are_too_many, firsts, key, without

STORY = "The café was open.\n\nAnna went in."


@pytest.mark.parametrize("copy", [
    f"  {STORY}\n\n", STORY.replace("\n", "\r\n"), STORY.replace("\n", "\r"), f"\ufeff{STORY}",
    STORY.replace("\n\n", "\n \t\n"), STORY.replace("é", "e\u0301"), STORY.replace(" ", "\u00a0"),
    f"{STORY}\u2029"])
def test_a_copy_has_the_same_key(copy):
    assert key(copy) == key(STORY)


@pytest.mark.parametrize("other", [STORY.lower(), STORY[:-1], STORY.replace("é", "e"),
                                   f"{STORY} {STORY}", ""])
def test_another_story_has_another(other):
    assert key(other) != key(STORY)


def test_the_first_of_each_set_of_copies_stays_in_its_place():
    assert firsts(["b ", "a", "b", "a\r\n", "c"]) == ["b ", "a", "c"]


def test_what_is_no_copy_of_others_stays():
    assert without(["a", "b", " a", "c"], ["a\n"]) == ["b", "c"]


@pytest.mark.parametrize(("n_shared", "n_valid", "are"), [
    (0, 3, False), (1, 100, False), (2, 199, True), (2, 200, False), (1, 99, True)])
def test_one_in_a_hundred_is_borne_and_no_more(n_shared, n_valid, are):
    assert are_too_many(n_shared, n_valid) == are
