"""A report as Markdown with its pictures as SVG files beside it, for a repository or a note."""

import re
import textwrap
from collections.abc import Iterator

from agent import words
from agent.show.page.blocks import (
    Block,
    Figure,
    Finding,
    Items,
    Quote,
    Report,
    Settings,
    Table,
)
from agent.show.page.html import COMMAND, SMALL, WIDE, drawing
from agent.show.page.style import FILE_STYLE

PAGE = "report.md"
CELL, TEXT = 200, 1000  # letters
# What Markdown gives a meaning, and would take from a label or a reason.
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def files(report: Report, folder: str = "") -> dict[str, str]:
    """The report as files by their names: the page and its pictures.

    folder  of the pictures, with a slash at its end
    """
    found = {PAGE: ""}
    lines = [f"# {plain(report.headline)}", plain(report.eyebrow), plain(report.lede)]
    if report.facts:
        lines.append("\n".join(["| | | |", "|---|---|---|", *(
            f"| {plain(fact.name)} | {plain(fact.value)} | {plain(fact.more)} |"
            for fact in report.facts)]))
    for section in report.sections:
        lines.append(f"## {plain(section.title)}")
        for block in section.blocks:
            lines += _block(block, folder)
            if isinstance(block, Figure):
                found |= {folder + name: drawn for name, drawn in _pictures(block)}
    lines.append(plain(report.foot))
    found[PAGE] = "\n\n".join(line for line in lines if line) + "\n"
    return found


def plain(text: str, most: int = TEXT) -> str:
    """One line that Markdown shows as it is; a command between backticks stays code."""
    line = words.printable(words.cut(" ".join(text.split()), most))
    parts = COMMAND.split(line)
    return "".join(f"`{part}`" if i % 2 else SPECIAL.sub(r"\\\1", part)
                   for i, part in enumerate(parts))


def _pictures(figure: Figure) -> Iterator[tuple[str, str]]:
    for i, picture in enumerate(figure.pictures):
        width = SMALL if figure.is_many else WIDE
        name = f"{figure.name}-{i}"
        yield f"{name}.svg", drawing(picture, width, figure.height, name, FILE_STYLE) + "\n"


def _block(block: Block, folder: str) -> list[str]:
    match block:
        case Figure():
            shown = " ".join(f"![{plain(picture.title)}]({folder}{block.name}-{i}.svg)"
                             for i, picture in enumerate(block.pictures))
            return [f"**{plain(block.finding)}**", plain(block.note), shown]
        case Finding():
            return [*([f"**{plain(block.finding)}**"] if block.finding else []), plain(block.note)]
        case Settings():
            return ["\n".join(["| field | value |", "|---|---|", *(
                f"| {plain(name)} | {'**' if is_new else ''}{plain(value)}"
                f"{'**' if is_new else ''} |" for name, value, is_new in block.rows)])]
        case Quote():
            return ["\n".join(f"> {plain(line)}" for line in [*block.text.splitlines(),
                                                              f"({block.source})"])]
        case Items():
            return ["\n".join(f"- {plain(line)}" for line in block.lines)]
        case Table():
            heads = " | ".join(plain(column.name) for column in block.columns)
            rules = "|".join("---:" if column.is_number else "---" for column in block.columns)
            return ["\n".join([f"| {heads} |", f"|{rules}|", *(
                f"| {' | '.join(plain(cell, CELL) for cell in row)} |" for row in block.rows)])]


def text(report: Report, width: int) -> str:
    """The findings as lines for a terminal: what each section says, without its pictures."""
    lines = [_wrapped(report.headline, width), _wrapped(report.lede, width)]
    for section in report.sections:
        said = [block.finding or block.note for block in section.blocks
                if isinstance(block, Figure | Finding)]
        if said:
            lines.append("\n".join([section.title, *(_wrapped(one, width, "  ") for one in said)]))
    return "\n\n".join(lines)


def _wrapped(sentence: str, width: int, indent: str = "") -> str:
    return textwrap.fill(words.printable(" ".join(sentence.split())), width, initial_indent=indent,
                         subsequent_indent=indent, break_on_hyphens=False)
