"""What a page consists of, as values: `html` and `markdown` lay the same blocks out."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.show.page.draw import Plot
from agent.show.page.ranked import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Pictures under the sentence that says what they show."""

    name: str  # unique in the page, of letters and hyphens
    finding: str
    note: str = ""  # how to read it
    pictures: Sequence[Plot | Rows]
    height: int = 320  # of each, for a wide window
    is_many: bool = False  # small ones side by side


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A sentence without a picture, or only a note."""

    finding: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names and values; True where a value differs from what it began with."""

    rows: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A text that a model wrote."""

    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Short lines under each other."""

    lines: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    is_number: bool = False
    is_spare: bool = False  # left out on a phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of words; one that may be searched and sorted gets that by the page's script."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    is_live: bool = False


Block = Figure | Finding | Settings | Quote | Items | Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Blocks under a heading; the name is that of a link to it."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A number that is told at the top, with what it is and a word on it."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole page."""

    title: str
    eyebrow: str  # what it is about
    headline: str
    lede: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    foot: str
