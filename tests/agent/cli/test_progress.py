"""What is said on stderr while something is computed."""

import io
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from agent.cli.main import main
from agent.cli.progress import Screen, once_slow, scored_now, told_if_slow
from agent.words.lines import Level, Row, Told

KEPT = Told("the whole sentence", row=Row("E3", 1.035, "kept", "batch 16 → 4"))
CLAIM = Told("the whole claim", level="always", row=Row("E6", 0.785, "confirmed"), is_apart=True,
             below=("0.2501 bits/byte better than B1",))
LONG = "waits: the machine has 150 MB free, under the reserve of 200 MB, and that is not enough"


def test_what_takes_long_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with told_if_slow("fitting", after_s=0.0):
        for timer in set(threading.enumerate()) - before:
            timer.join(5)
    assert capsys.readouterr() == ("", "fitting\n")


def test_what_is_quick_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    with told_if_slow("fitting", after_s=60.0):
        pass
    assert capsys.readouterr() == ("", "")


def test_progress_is_shown_of_what_takes_long_alone() -> None:
    clock, told = iter([0.0, 1.0, 2.5]), list[tuple[str, int, int]]()
    stage = once_slow(lambda *one: told.append(one), now_s=lambda: next(clock))
    stage("writing", 1, 3)
    stage("writing", 2, 3)
    assert told == [("writing", 2, 3)]


def shown(*messages: str, level: Level = "usual", **how: Any) -> str:
    console = Console(file=io.StringIO(), **how)
    screen = Screen(console, level)
    for message in messages:
        screen.say(message)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(("columns", "width"), [(None, 80), ("60", 60), ("40", 40), ("0", 80),
                                                ("", 80), ("wide", 80)])
def test_through_a_pipe_the_width_is_that_of_COLUMNS_or_eighty(
        columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    lines = shown(LONG, Told("", row=Row("E3", 1.0, "kept", LONG))).splitlines()
    assert width - 12 < max(map(len, lines)) <= width


def test_colour_is_for_terminals_alone_and_not_where_NO_COLOR_is_set(
        monkeypatch: pytest.MonkeyPatch) -> None:
    how = {"force_terminal": True, "color_system": "truecolor", "width": 80}
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32mkept" in shown(KEPT, **how).replace("\x1b[32m kept", " \x1b[32mkept")
    assert "\x1b" not in shown(KEPT)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32" not in shown(KEPT, **how)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_bar_leaves_room_for_the_words_beside_it(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    run: Any = SimpleNamespace(label="E12")
    with Screen(console) as screen:
        screen.progress(run, {"start": {"n_steps": 977}, "step": {"step": 117, "loss": 3.326},
                              "eval": {"nats": 3.494}})
        screen._bars.refresh()
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert all(word in shown for word in ("E12 ", "117/977", "val 3.494"))
    assert ("loss 3.326" in shown) == (width == 80)


def test_two_blocks_have_one_empty_line_between_them() -> None:
    text = shown(KEPT, CLAIM, CLAIM, KEPT)
    assert "\n\n\n" not in text
    assert text.count("\n\n") == 3


@pytest.mark.parametrize(("level", "n"), [("always", 1), ("usual", 3), ("verbose", 3)])
def test_the_screen_shows_what_its_level_asks_for(level: Level, n: int) -> None:
    text = shown("measuring", KEPT, CLAIM, level=level)
    assert sum(name in text for name in ("measuring", "E3" if level == "usual" else "whole sent",
                                         "E6" if level != "verbose" else "whole claim")) == n


def test_quiet_and_verbose_together_are_misuse() -> None:
    for command in ("run", "train"):
        result = CliRunner().invoke(main, [command, "--quiet", "--verbose"])
        assert result.exit_code == 2
        assert "--quiet and --verbose exclude each other" in result.stderr


SCORING = {"step": 40, "shard": None, "done": 3, "total": 90}


@pytest.mark.parametrize(("newest", "is_told"), [
    ({}, False), ({"scoring": SCORING}, True),
    ({"step": {"step": 40}, "scoring": SCORING}, True),
    ({"step": {"step": 41}, "scoring": SCORING}, False),  # training again
    ({"scoring": SCORING, "eval": {"step": 40}}, False),
    ({"scoring": SCORING, "eval": {"step": 20}}, True),
    ({"scoring": SCORING | {"what": "stories"}, "eval": {"step": 40}}, True),
    ({"scoring": SCORING | {"shard": "test"}, "eval": {"step": 40}}, True),
    ({"scoring": SCORING | {"shard": "test"}, "eval": {"step": 40}, "done": {}}, False)])
def test_an_evaluation_has_a_bar_as_long_as_it_lasts(
        newest: dict[str, dict[str, Any]], is_told: bool) -> None:
    assert (scored_now(newest) is not None) is is_told


@pytest.mark.parametrize(("event", "title"), [
    ({"making": {"done": 16, "of": 500}}, "T1 writing"), ({"scoring": SCORING}, "T1 scoring"),
    ({"scoring": SCORING | {"what": "pairs"}}, "T1 pairs")])
def test_a_bar_says_what_is_written_or_asked(
        monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], title: str) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(Screen, "_show", lambda _, *told: shown.append(told))
    run: Any = SimpleNamespace(label="T1")
    Screen().progress(run, {"start": {"n_steps": 90}, **event})
    assert [told[:2] for told in shown] == [("T1", title)]


def test_a_run_that_has_ended_has_no_bar_any_more() -> None:
    screen = Screen()
    run: Any = SimpleNamespace(label="E7")
    screen.progress(run, {"start": {"n_steps": 9}, "step": {"step": 9, "loss": 1.0}})
    assert list(screen._tasks) == ["E7"]
    screen.say(Told("E8 kept", row=Row("E8", 1.2, "kept")))
    assert list(screen._tasks) == ["E7"]
    screen.say(Told("E7 kept", row=Row("E7", 1.1, "kept")))
    assert list(screen._tasks) == []
