"""One long text in pieces: a novel, a diary, a program, with its end held out.

A text of fewer than FEW stories is taken for documents and cut at paragraphs: at blank lines, where
those are too far apart at line ends, then behind sentences, then at spaces, then anywhere. Of each
document the last tenth of the pieces is held out, in one stretch, because what stands beside a
passage tells much of it. Every piece is a story to what comes after: it has room for some windows,
and joined the pieces are the document.
"""

import re
from collections.abc import Iterator, Sequence

from engine.text import copies

FEW = 4  # stories; as many can be split by whole stories
LEAST_BYTES = 2_000  # of documents: less holds no part to be judged by
LEAST_BYTES_PARTED = 10_000  # where somebody has parted stories: with less they are too few
PIECE_BYTES = 2_000
MIN_PIECE_BYTES = 100
N_PIECES = 40  # of a short text, so that a tenth is some
LONG_BYTES = 80  # of a paragraph: only such a one is a copy and no turn of phrase

# Every match ends a unit and is part of it.
_ENDS = tuple(re.compile(pattern) for pattern in (
    r"(?:\r\n|[\n\r\x0b\x0c\x85\u2028])[ \t]*(?:\r\n|[\n\r\x0b\x0c\x85\u2028])\s*|\u2029\s*",
    r"(?:\r\n|[\n\r\x0b\x0c\x85\u2028])",
    r"[.!?…]+[\"'”’»)\]]*\s+|[。！？｡]+[”’」』）]*\s*",
    r"\s+"))

Piece = list[str]  # its units


def are_documents(stories: Sequence[str], few: int) -> bool:
    """Whether stories are so few that parts of them are held out, and not whole ones.

    few  that number, where it is larger than FEW: of the files of a folder
    """
    least = LEAST_BYTES if len(stories) == 1 or few else LEAST_BYTES_PARTED
    return (len(stories) < max(FEW, few)
            and sum(len(story.encode()) for story in stories) >= least)


def units(text: str, most_bytes: int, level: int = 0) -> Iterator[str]:
    """The text in paragraphs, and in less where a paragraph is larger; joined, they are it."""
    if level == len(_ENDS):
        yield from _anywhere(text, max(1, most_bytes // 2))
        return
    start = 0
    for end in [*(match.end() for match in _ENDS[level].finditer(text)), len(text)]:
        part = text[start:end]
        start = end
        if len(part.encode()) > most_bytes:
            yield from units(part, most_bytes, level + 1)
        elif part:
            yield part


def _anywhere(text: str, most_bytes: int) -> Iterator[str]:
    """Parts of a text without a space, never between a letter and the accents put on it."""
    at = 0
    while at < len(text):
        width = max(1, len(text[at : at + most_bytes].encode()) // len(text[at : at + most_bytes]))
        end = min(len(text), at + max(1, most_bytes // width))
        while end < len(text) and _JOINS.match(text[end]):
            end += 1
        yield text[at:end]
        at = end


_JOINS = re.compile("[\u0300-\u036f\u200c\u200d\ufe00-\ufe0f\u20d0-\u20ff]")


def pieces(document: str, piece_bytes: int) -> list[Piece]:
    """The units of a document, packed into pieces of about so many bytes."""
    found: list[Piece] = []
    size = piece_bytes
    for unit in units(document, 2 * piece_bytes):
        n_bytes = len(unit.encode())
        if size + n_bytes // 2 >= piece_bytes:
            found.append([])
            size = 0
        found[-1].append(unit)
        size += n_bytes
    return found


def tails(documents: Sequence[str], held_share: float) -> tuple[list[str], list[str], int]:
    """Pieces to train on, pieces from the ends of the documents, and paragraphs left out.

    What stands in a held-out piece is nowhere trained on: its copies are left out of the others.
    """
    n_bytes = sum(len(document.encode()) for document in documents)
    piece_bytes = max(MIN_PIECE_BYTES, min(PIECE_BYTES, n_bytes // N_PIECES))
    cut = [pieces(document, piece_bytes) for document in documents]
    n_held = [_n_held(len(one), held_share) for one in cut]
    if sum(n_held) < 3:  # too short each: they are one text
        cut = [[piece for one in cut for piece in one]]
        n_held = [max(3, _n_held(len(cut[0]), held_share))]
    held: list[Piece] = []
    train: list[str] = []
    for one, n in zip(cut, n_held, strict=True):
        held += one[len(one) - n :]
        train += ["".join(unit for piece in one[: len(one) - n] for unit in piece)]
    held, n_twice = _once(held)
    keys = {copies.key(unit) for piece in held for unit in piece if _is_long(unit)}
    train, n_left_out = without_units(train, keys, piece_bytes)
    return ([story for document in train for piece in pieces(document, piece_bytes)
             if (story := "".join(piece).strip())], _joined(held), n_left_out + n_twice)


def without_units(documents: Sequence[str], keys: set[copies.Key],
                  piece_bytes: int = PIECE_BYTES) -> tuple[list[str], int]:
    """Documents without the long paragraphs of these keys, and how many were left out."""
    found, n_left_out = [], 0
    for document in documents:
        parts = list(units(document, 2 * piece_bytes))
        kept = [unit for unit in parts if not (_is_long(unit) and copies.key(unit) in keys)]
        n_left_out += len(parts) - len(kept)
        found.append("".join(kept))
    return found, n_left_out


def long_keys(documents: Sequence[str], piece_bytes: int = PIECE_BYTES) -> list[copies.Key]:
    """Keys of the paragraphs that are long enough to be copies."""
    return [copies.key(unit) for document in documents
            for unit in units(document, 2 * piece_bytes) if _is_long(unit)]


def whole(documents: Sequence[str]) -> list[str]:
    """All of some documents in pieces, for a file of its own for validation."""
    n_bytes = sum(len(document.encode()) for document in documents)
    piece_bytes = max(MIN_PIECE_BYTES, min(PIECE_BYTES, n_bytes // N_PIECES))
    return _joined([piece for document in documents for piece in pieces(document, piece_bytes)])


def _n_held(n_pieces: int, share: float) -> int:
    return round(n_pieces * share) or int(n_pieces >= FEW)


def _is_long(unit: str) -> bool:
    return len(unit.strip().encode()) >= LONG_BYTES


def _once(found: Sequence[Piece]) -> tuple[list[Piece], int]:
    """Pieces in which no long paragraph stands twice, and how many were left out."""
    known: set[copies.Key] = set()
    kept: list[Piece] = []
    n_twice = 0
    for piece in found:
        kept.append([])
        for unit in piece:
            key = copies.key(unit) if _is_long(unit) else None
            if key is not None and key in known:
                n_twice += 1
                continue
            if key is not None:
                known.add(key)
            kept[-1].append(unit)
    return kept, n_twice


def _joined(found: Sequence[Piece]) -> list[str]:
    return [story for piece in found if (story := "".join(piece).strip())]
