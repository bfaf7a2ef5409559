"""Silent trouble is named from when on it holds, and not before it does to the end."""

import dataclasses

import pytest

from agent.analysis.health import troubles
from agent.ledger import Layer

FINE = Layer(0, 0, act_rms=1.0, grad_rms=1e-3, max_score=2.0, entropy=0.8, dead_gates=0.05)


def looks(n: int = 8, since: int = 4, block: int = 1, **bad: float | None) -> list[Layer]:
    """Three blocks at n steps, one of which is bad from a step on."""
    return [dataclasses.replace(FINE, step=step, block=i,
                                **(bad if i == block and step >= since else {}))
            for step in range(1, n + 1) for i in range(3)]


def told(layers: list[Layer], mixer: str = "attention") -> list[tuple[str, int, int]]:
    return [(one.name, one.block, one.since_step) for one in troubles(layers, mixer)]


@pytest.mark.parametrize(("bad", "name"), [
    ({"entropy": 0.01}, "entropy collapse"), ({"dead_gates": 0.7}, "dead gates"),
    ({"grad_rms": 9e-7}, "vanishing gradient"), ({"grad_rms": 0.0}, "vanishing gradient"),
    ({"max_score": 300.0}, "attention scores"), ({"act_rms": 2000.0}, "swollen activations")])
def test_a_trouble_is_named_with_its_block_and_since_when(
        bad: dict[str, float], name: str) -> None:
    assert told(looks(**bad)) == [(name, 1, 4)]
    assert troubles(looks(**bad), "attention")[0].words


def test_a_healthy_run_and_one_bad_look_are_no_trouble() -> None:
    assert told(looks(since=99)) == told([]) == []
    assert told(looks(since=8, entropy=0.0)) == []  # the last look alone
    assert told([one for one in looks(entropy=0.0) if one.step != 7 or one.block != 1]
                + [dataclasses.replace(FINE, step=7, block=1)]) == []


def test_what_is_unknown_is_no_trouble_and_a_state_of_rwkv_is_no_score() -> None:
    unknown = dict.fromkeys(("act_rms", "grad_rms", "max_score", "entropy", "dead_gates"))
    assert told(looks(**unknown)) == []
    assert told(looks(max_score=1e4, entropy=None), "rwkv") == []


def test_a_short_run_is_judged_by_what_there_is() -> None:
    assert told(looks(2, 1, dead_gates=0.9)) == [("dead gates", 1, 1)]
