"""The experiment table as Markdown, and its place between two markers in a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent import words
from agent.ledger import EXPERIMENT_COLUMNS
from engine.errors import UserError
from engine.files import write_atomically

BEGIN = "<!-- experiments:begin -->"
END = "<!-- experiments:end -->"
WIDEST = 56  # column that is aligned
NOTES_LENGTH = 100


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """A GitHub table of the experiments, its columns aligned so that it also reads as text.

    Longer notes are cut, `agent show` has all of them; a wider cell stands out of its column.
    """
    lines = [[_cell(row[column], NOTES_LENGTH if column == "Notes" else None)
              for column in EXPERIMENT_COLUMNS] for row in rows]
    lines.insert(0, list(EXPERIMENT_COLUMNS))
    widths = [min(WIDEST, max(3, *(len(line[i]) for line in lines)))
              for i in range(len(EXPERIMENT_COLUMNS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |" for line in lines)


def replace_between_markers(text: str, table: str) -> str:
    """The text with the table between its two markers; UserError unless each stands there once."""
    for marker in (BEGIN, END):
        if text.count(marker) != 1:
            found = "no" if marker not in text else "more than one"
            raise UserError(f"there is {found} line {marker}; the table goes between one {BEGIN} "
                            f"and one {END}")
    before, rest = text.split(BEGIN)
    if END not in rest:
        raise UserError(f"{END} stands before {BEGIN}; swap them")
    after = rest.split(END)[1]
    inside = f"\n{table}\n"
    if "\r\n" in text:
        inside = inside.replace("\n", "\r\n")
    return before + BEGIN + inside + END + after


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> bool:
    """Put the table between the markers of a Markdown file; returns whether that changed it.

    Other text, line ends and the file's mode stay as they are; a crash leaves the old file.
    """
    try:
        target = path.resolve(strict=True)  # through a link, so that the link stays one
        text = target.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; convert it first") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; it must be a Markdown file with "
                        f"the lines {BEGIN} and {END}") from error
    changed = replace_between_markers(text, markdown(rows))
    if changed == text:
        return False
    write_atomically(target, changed.encode())
    return True


def _cell(text: str, length: int | None) -> str:
    """One line, and no bar that would end the cell."""
    line = words.printable(" ".join(text.split()))
    return (line if length is None else words.cut(line, length)).replace("|", "\\|")

