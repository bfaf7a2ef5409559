"""What is said on stderr while something is computed."""

import threading
from typing import Any

import pytest

from agent.cli.progress import scored_now, told_if_slow


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


SCORING = {"step": 40, "shard": None, "done": 3, "total": 90}


@pytest.mark.parametrize(("newest", "is_told"), [
    ({}, False), ({"scoring": SCORING}, True),
    ({"step": {"step": 40}, "scoring": SCORING}, True),
    ({"step": {"step": 41}, "scoring": SCORING}, False),  # training again
    ({"scoring": SCORING, "eval": {"step": 40}}, False),
    ({"scoring": SCORING, "eval": {"step": 20}}, True),
    ({"scoring": SCORING | {"shard": "test"}, "eval": {"step": 40}}, True),
    ({"scoring": SCORING | {"shard": "test"}, "eval": {"step": 40}, "done": {}}, False)])
def test_an_evaluation_has_a_bar_as_long_as_it_lasts(
        newest: dict[str, dict[str, Any]], is_told: bool) -> None:
    assert (scored_now(newest) is not None) is is_told
