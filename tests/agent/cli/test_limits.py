"""The four limits of a machine: the same words for a night and for a machine that helps another."""

import click
import pytest

from agent.cli.limits import USUAL, limits_of
from agent.cli.main import main
from agent.machine import Limits
from engine.errors import UserError

NAMES = ("min_battery", "stop_c", "window", "only_charging")
OPTIONS = {"min_battery": 30.0, "max_heat": 40.0, "window": None, "only_charging": False}


def the_four(command: str) -> dict[str, tuple[object, ...]]:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    names = ("min_battery", "max_heat", "window", "only_charging")
    return {one.name: (one.help, one.default, one.metavar) for one in found.params
            if isinstance(one, click.Option) and one.name in names}


def test_a_night_and_a_worker_of_a_cluster_are_asked_in_the_same_words() -> None:
    assert the_four("run") == the_four("cluster")
    assert len(the_four("run")) == len(NAMES)


def test_without_a_word_they_are_those_of_the_guard() -> None:
    assert limits_of(OPTIONS) == Limits() == USUAL


def test_what_was_typed_is_one_value_or_one_sentence() -> None:
    found = limits_of(OPTIONS | {"window": "22:00-07:00", "only_charging": True, "max_heat": 35.0})
    assert found.window is not None
    assert (found.only_charging, found.stop_c) == (True, 35.0)
    with pytest.raises(UserError, match="--min-battery 130"):
        limits_of(OPTIONS | {"min_battery": 130.0})
