"""Which machine takes a run, from what each said."""

from dataclasses import replace
from typing import Any

import pytest

from agent.machine import Word
from agent.trial.cluster.likeness import class_name
from agent.trial.cluster.placement import (
    REST_S,
    STALE_S,
    Machine,
    Need,
    choose,
    is_told,
    main_class,
)
from tests.agent.trial.cluster.test_likeness import OURS

NOW = 100.0
TOLD = {"is_go": True, "reason": "", "free_mb": 4000.0, "reserve_mb": 200.0, "max_ram_mb": 3000.0,
        "capacity": 2, "n_trials": 0}
NEED = Need("E1", 500.0)
OTHER = replace(OURS, bits="f" * 64)


def a_machine(name: str = "one", likeness: Any = OURS, told_s: float = NOW, **told: Any) -> Machine:
    return Machine(f"tcp://{name}:1", name, likeness, told=TOLD | told, told_s=told_s)


def why(*machines: Machine, need: Need = NEED) -> str:
    found = choose(machines, need, NOW)
    assert isinstance(found, Word)
    assert found.may_pass
    return found.reason


def test_the_machine_with_most_room_takes_it() -> None:
    full = a_machine("full", capacity=4, n_trials=3)
    free = a_machine("free", capacity=3)
    assert choose([full, free], NEED, NOW) is free


@pytest.mark.parametrize(("machine", "words"), [
    (a_machine(told_s=NOW - STALE_S), "no machine of the cluster is there"),
    (a_machine(likeness=None), "no machine of the cluster is there"),
    (a_machine(is_go=False, reason="battery at 12 %"), "one waits: battery at 12 %"),
    (a_machine(n_trials=2), "as many trials as it takes"),
    (a_machine(free_mb=600.0), "do not fit in 600 MB free on one"),
    (a_machine(max_ram_mb=400.0), "is over the 400 MB that one gives"),
    (a_machine(free_mb=None), "cannot be read"),
])
def test_a_run_waits_with_a_reason(machine: Machine, words: str) -> None:
    assert words in why(machine)


def test_a_refused_machine_takes_nothing() -> None:
    machine = a_machine()
    machine.refusal = "it has numpy 1"
    assert "no machine" in why(machine)


def test_what_was_handed_in_and_not_told_of_yet_takes_its_memory_and_its_place() -> None:
    machine = a_machine(free_mb=1300.0)
    machine.taken["E0-1"] = 700.0
    assert "do not fit" in why(machine)
    machine.taken["E0-2"] = 700.0
    assert "as many trials" in why(machine)


def test_a_run_of_a_class_waits_for_a_machine_of_it() -> None:
    here, there = a_machine("here"), a_machine("there", likeness=OTHER)
    need = replace(NEED, kind=class_name(OTHER.bits))
    assert choose([here, there], need, NOW) is there
    assert why(here, need=need).startswith("E1 is computed on class ffffff alone")


def test_the_class_of_a_new_study_is_that_with_most_room() -> None:
    assert main_class([a_machine(), a_machine("b", likeness=OTHER, capacity=3)], NOW) == (
        class_name(OTHER.bits))
    assert main_class([], NOW) is None


def test_a_machine_that_lost_a_trial_rests_and_longer_each_time() -> None:
    machine = a_machine()
    for n in range(3):
        machine.taken["x"] = 1.0
        machine.note_end("x", NOW, is_lost=True)
        assert machine.capacity(NOW) == 0
        assert machine.rests_until_s == NOW + REST_S * 2 ** n
    machine.note_end("y", NOW, is_lost=False)
    assert machine.n_lost == 0


@pytest.mark.parametrize("values", [None, {}, TOLD | {"capacity": "2"}, TOLD | {"reserve_mb": None},
                                    {name: 1 for name in TOLD if name != "is_go"}])
def test_a_word_in_another_form_is_none(values: object) -> None:
    assert not is_told(values)
    assert is_told(TOLD)
