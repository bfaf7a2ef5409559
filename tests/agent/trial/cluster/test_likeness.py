"""Which machines may compute for which homes, and which of them are of one class."""

from dataclasses import replace

import pytest

from agent.machine import machine
from agent.trial.cluster.likeness import Likeness, ask_child, code_digest, measured
from engine.errors import UserError

OURS = Likeness(version="0.4.0+abc", code="c" * 64, numpy="2.4.0", kernels="numpy",
                bits="b" * 64, device="a phone", cores="0,1", n_cores=2)


def test_a_machine_of_other_code_or_another_numpy_is_refused_with_what_to_install() -> None:
    other = OURS.refusal(replace(OURS, code="d" * 64, version="0.3.0"))
    assert other is not None
    assert "phi-auto 0.3.0 (code dddddddd)" in other
    assert "this home 0.4.0+abc" in other
    assert OURS.refusal(replace(OURS, numpy="2.3.1")) == (
        "it has numpy 2.3.1, this home 2.4.0; there: python -m pip install numpy==2.4.0")
    assert OURS.refusal(replace(OURS, kernels="c11-12345678")) == (
        "it computes by c11-12345678 kernels, this home by numpy; start it with the same "
        "AGENT_NATIVE")


def test_other_processors_are_another_class_and_not_refused() -> None:
    assert OURS.refusal(replace(OURS, bits="e" * 64, device="another", n_cores=8)) is None


@pytest.mark.parametrize("values", [{}, {"version": "1"}, None, OURS.values() | {"more": 1},
                                    OURS.values() | {"n_cores": "2"}, OURS.values() | {"bits": 1}])
def test_what_is_no_likeness_is_told_in_a_sentence(values: object) -> None:
    with pytest.raises(UserError, match="install the home's version"):
        Likeness.of(values)


def test_a_child_finds_the_bits_that_this_process_finds() -> None:
    one = ask_child()
    assert one == measured()
    assert one.code == code_digest(machine.ROOT)
