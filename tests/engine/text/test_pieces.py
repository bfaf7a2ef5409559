"""A document is cut where people pause, and its end is held out in one stretch."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.text.pieces import (
    LEAST_BYTES,
    PIECE_BYTES,
    are_documents,
    long_keys,
    pieces,
    tails,
    units,
    whole,
    without_units,
)
from engine.text.stories.write import write_stories

NOVEL = "\n\n".join(write_stories(120, 0))
CHINESE = "".join(chr(0x4E00 + i * 7 % 900) + ("。" if i % 23 == 22 else "") for i in range(20_000))
SHAPES = {
    "paragraphs": NOVEL, "windows": NOVEL.replace("\n", "\r\n"),
    "old mac": NOVEL.replace("\n", "\r"),
    "lines": NOVEL.replace("\n\n", "\n"), "one line": " ".join(NOVEL.split()),
    "chinese": CHINESE, "no end of a sentence": CHINESE.replace("。", ""),
    "letters": "".join(random.Random(0).choices("abcde", k=60_000)),
    "accents": "e\u0301" * 20_000, "emoji": "👩\u200d🚀" * 9_000}


def bare(text):
    return "".join(text.split())


@pytest.mark.parametrize("shape", SHAPES)
def test_joined_the_pieces_are_the_document(shape):
    found = pieces(SHAPES[shape], PIECE_BYTES)

    assert "".join(unit for piece in found for unit in piece) == SHAPES[shape]
    assert max(sum(len(unit.encode()) for unit in piece) for piece in found) <= 3 * PIECE_BYTES


@pytest.mark.parametrize("shape", [name for name in SHAPES if name not in ("accents", "emoji")])
def test_a_tenth_is_held_out_and_it_is_the_end(shape):
    train, held, n_left_out = tails([SHAPES[shape]], 0.1)

    n_bytes = [sum(len(bare(part).encode()) for part in parts) for parts in (train, held)]
    assert 0.05 < n_bytes[1] / sum(n_bytes) < 0.2
    if not n_left_out:
        assert bare("".join([*train, *held])) == bare(SHAPES[shape])


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=3_000), st.integers(4, 400))
def test_units_of_any_text_are_that_text(text, most_bytes):
    assert "".join(units(text, most_bytes)) == text


def test_a_novel_is_cut_at_its_blank_lines():
    starts = {"".join(piece)[:20] for piece in pieces(NOVEL, PIECE_BYTES)}

    assert starts <= {paragraph[:20] for paragraph in NOVEL.split("\n\n")} | {
        part[:20] for part in NOVEL.split("\n")}


def test_what_stands_alone_on_a_line_parts_chinese_at_its_full_stops():
    assert all("".join(piece).endswith("。") for piece in pieces(CHINESE, PIECE_BYTES)[:-1])


def test_an_accent_stays_on_its_letter():
    assert not [piece for piece in pieces(SHAPES["accents"], 500) if piece[0][0] == "\u0301"]


def test_of_several_documents_each_end_is_held_out():
    books = ["\n\n".join(write_stories(60, seed)) for seed in (1, 2)]
    train, held, _ = tails(books, 0.1)

    assert all(bare("".join(held)).count(bare(book[-300:])) == 1 for book in books)
    assert all(bare("".join(train)).startswith(bare(books[0][:300])) for _ in held)


def test_a_book_that_holds_itself_twice_is_trained_on_what_is_not_held_out():
    train, held, n_left_out = tails([f"{NOVEL}\n\n{NOVEL}"], 0.1)

    assert n_left_out > 10
    assert not set(long_keys(train)) & set(long_keys(held))


def test_short_phrases_may_come_again():
    text = "\n\n".join(f"{story}\n\nThe end." for story in write_stories(80, 0))

    assert tails([text], 0.1)[2] == 0


def test_paragraphs_are_left_out_by_their_keys():
    first = NOVEL.split("\n\n")[0]
    (rest,), n = without_units([NOVEL], set(long_keys([first])))

    assert n >= 1
    assert first not in rest


def test_a_validation_text_is_taken_whole():
    assert bare("".join(whole([NOVEL]))) == bare(NOVEL)


@pytest.mark.parametrize(("stories", "few", "are"), [
    (["a" * LEAST_BYTES], 0, True), (["a" * (LEAST_BYTES - 1)], 0, False),
    (["a" * 4_000] * 3, 0, True), (["a" * 900] * 3, 0, False), (["a" * 4_000] * 4, 0, False),
    (["a" * 900] * 20, 30, True), (["a" * 900] * 30, 30, False)])
def test_few_stories_of_some_length_are_documents(stories, few, are):
    assert are_documents(stories, few) == are
