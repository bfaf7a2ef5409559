"""What is said on stderr while something is computed."""

import threading

import pytest

from agent.cli.progress import told_if_slow


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
