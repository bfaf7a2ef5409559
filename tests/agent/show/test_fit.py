"""Blocks in a window: all where they fit, else the important ones and what is left out."""

import io

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from agent.show.fit import fitted, stacked

ORDER = ("guard", "curve", "now")


def block(name: str, n_lines: int) -> Text:
    return Text("\n".join(f"{name} {i}" for i in range(n_lines)))


LONG: dict[str, RenderableType] = {name: block(name, n) for name, n in (
    ("night", 2), ("now", 6), ("curve", 12), ("guard", 3))}
SHORT: dict[str, RenderableType] = {name: block(name, n) for name, n in (
    ("night", 1), ("now", 3), ("curve", 6), ("guard", 1))}


def lines(page: RenderableType) -> list[str]:
    console = Console(file=io.StringIO(), width=70)
    console.print(page)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def shown(height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=70, height=height)
    return lines(fitted([LONG, SHORT], ORDER, console, height))


def test_an_empty_line_stands_where_a_new_subject_begins() -> None:
    assert [line.split(" ")[0] for line in lines(stacked(SHORT))] == [
        "night", *["now"] * 3, "", *["curve"] * 6, "", "guard"]
    assert "" not in lines(stacked(SHORT, is_tight=True))


@pytest.mark.parametrize("height", range(2, 40))
def test_no_window_is_overrun_and_what_is_missing_is_named(height: int) -> None:
    found = shown(height)
    assert len(found) <= height
    missing = {name for name in LONG if not any(line.startswith(f"{name} ") for line in found)}
    assert ("more block" in found[-1]) == bool(missing)
    assert not missing or found[-1].startswith(f"{len(missing)} more block")
    assert len(missing) > 2 or all(name in found[-1] for name in missing)


def test_where_all_fits_nothing_is_shortened() -> None:
    assert shown(25) == lines(stacked(LONG))
    assert "" not in shown(23)
    assert len(shown(23)) == 23
    assert len(shown(13)) == 13  # the short form with its empty lines
    assert len(shown(11)) == 11  # and without


def test_the_least_important_goes_first_unless_another_leaves_it_room() -> None:
    assert shown(8)[-1] == "1 more block (curve): enlarge the window, or `agent status`"
    assert "guard 0" in shown(8)
