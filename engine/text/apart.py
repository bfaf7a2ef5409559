"""What is trained on and what judges, with no text on both sides.

Whole stories are held out where there are enough of them, and then no copy of one is trained on.
Of a few documents the ends are held out (pieces.py). A file of its own for validation is taken
whole, unless more than one in a hundred of its stories stands in the training text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import CorpusError
from engine.text import copies, pieces
from engine.text.given import Found, counted
from engine.text.splits import (
    HELD_OUT_BYTES,
    dealt,
    hold_out,
    require_stories,
    require_validation,
)
from engine.text.tokenizer import EOT

HELD_SHARE = 0.1  # of documents, at most


@dataclass(frozen=True, slots=True)
class Parts:
    train: Sequence[str]
    held: Sequence[str]
    remarks: tuple[str, ...]  # what was cut and left out, in words


def parted(found: Found) -> Parts:
    """A text in two; CorpusError where it is too short."""
    stories, name = found.stories, found.name
    if pieces.are_documents(stories, found.few):
        return _ends(found)
    if len(stories) == 1:
        raise CorpusError(f"{name} is one story, too short for a part of it to be held out for "
                          f"validation ({len(stories[0].encode()):,} bytes); give more text, or "
                          f"put {EOT} between its stories")
    require_stories(len(stories), name)
    different = copies.firsts(stories)
    if len(different) < len(stories) and len(different) < pieces.FEW:
        raise CorpusError(f"{name} has {len(stories):,} stories, but only {len(different)} that "
                          "are not the same text, and at least 4 are needed; give more")
    train, held = hold_out(different)
    if len(different) == len(stories):
        return Parts(train, held, found.remarks)
    kept = copies.without(stories, held)
    n = len(stories) - len(kept) - len(held)
    return Parts(kept, held, (*found.remarks, *_left_out(n, "story", "stories",
                                                          "held out for validation")))


def parted_from(found: Found, valid: Found) -> Parts:
    """A text and one of its own for validation; CorpusError where they share too much."""
    n_valid = len(valid.stories)
    if pieces.are_documents(found.stories, 0) or pieces.are_documents(valid.stories, 0):
        return _documents_with(found, valid)
    require_validation(n_valid, valid.name)
    train_keys = {copies.key(story) for story in found.stories}
    _require_apart(sum(copies.key(story) in train_keys for story in valid.stories), n_valid,
                   "stories", found.name, valid.name)
    held = copies.firsts(valid.stories)
    require_validation(len(held), valid.name)
    if len(held) == n_valid:
        held = valid.stories
    train = copies.without(found.stories, held)
    return Parts(train, held, (
        *found.remarks, *valid.remarks,
        *_left_out(len(found.stories) - len(train), "story", "stories", "to validate on"),
        *_left_out(n_valid - len(held), "validation story", "validation stories", "before")))


def _ends(found: Found) -> Parts:
    n_bytes = sum(len(story.encode()) for story in found.stories)
    share = min(HELD_SHARE, HELD_OUT_BYTES / n_bytes)
    train, held, n_left_out = pieces.tails(found.stories, share)
    if not train:
        raise CorpusError(f"{found.name} says the same again and again, so nothing is left to "
                          "train on; give a text with less that is repeated")
    require_validation(len(held), found.name)
    what = "one text" if len(found.stories) == 1 else f"{len(found.stories)} texts"
    ends = "its end" if len(found.stories) == 1 else "the end of each"
    said = (f"{found.title}: {what}, cut at paragraphs into {len(train) + len(held):,} pieces; "
            f"{ends}, {len(held):,} of them, is held out")
    return Parts(train, dealt(held), (*found.remarks, said, *_left_out(
        n_left_out, "paragraph", "paragraphs", "held out")))


def _documents_with(found: Found, valid: Found) -> Parts:
    """Where either is so few stories that they are documents, paragraphs are compared."""
    train_keys = set(pieces.long_keys(found.stories))
    valid_keys = pieces.long_keys(valid.stories)
    _require_apart(sum(key in train_keys for key in valid_keys), len(valid_keys), "paragraphs",
                   found.name, valid.name)
    train, n_left_out = pieces.without_units(found.stories, set(valid_keys))
    held = valid.stories
    if pieces.are_documents(held, 0):
        held = pieces.whole(held)
    require_validation(len(held), valid.name)
    return Parts(train if n_left_out else found.stories, held, (
        *found.remarks, *valid.remarks,
        *_left_out(n_left_out, "paragraph", "paragraphs", "to validate on")))


def _require_apart(n_shared: int, n_valid: int, what: str, name: str, valid: str) -> None:
    if copies.are_too_many(n_shared, n_valid):
        raise CorpusError(
            f"{n_shared:,} of the {n_valid:,} {what} of {valid} stand in {name}, too, and a model "
            "is validated on text it was not trained on; take them out of one of the two, or "
            "leave out --valid: then a part is held out")


def _left_out(n: int, one: str, many: str, of: str) -> tuple[str, ...]:
    if not n:
        return ()
    are = "that is a copy of one" if n == 1 else "that are copies of those"
    return (f"left out: {counted(n, one, many)} {are} {of} (white space and line ends aside)",)
