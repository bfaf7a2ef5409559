"""What is said on stderr while something is computed."""

import io
import threading

import pytest
from rich.console import Console

from agent.cli.progress import Screen, told_if_slow


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


@pytest.mark.parametrize(("width", "longest"), [(50, 50), (60, 60), (80, 80), (200, 80)])
def test_what_comes_in_lines_is_laid_out_for_the_terminal(width: int, longest: int) -> None:
    file = io.StringIO()
    words = ["word"] * 30
    Screen(Console(file=file, width=width)).say(" ".join(words[:14]) + "\n" + " ".join(words[14:]))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= longest
    assert file.getvalue().split()[1:] == words
    assert all(line.startswith(" " * 9) for line in lines[1:])
