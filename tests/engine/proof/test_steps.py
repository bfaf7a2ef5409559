"""The stored losses are those of float64, and float32 meets them."""

import numpy as np
import pytest

from engine.config import OPTIMIZERS, Config
from engine.proof.steps import (
    KINDS,
    LOSSES,
    LOSSES_OF_KINDS,
    faults_of_steps,
    losses_for,
    losses_of,
    spread,
)


@pytest.mark.parametrize("name", [*OPTIMIZERS, *KINDS])
def test_the_stored_losses_are_those_of_double_precision(name: str) -> None:
    stored = (LOSSES | LOSSES_OF_KINDS)[name]
    assert losses_of(name, np.float64) == pytest.approx(stored, abs=1e-6)
    assert losses_of(name) == pytest.approx(stored, abs=1e-5)


def test_only_what_a_run_has_is_tried_for_it() -> None:
    assert losses_for(Config()) == losses_for(Config(n_kv_head=4)) == LOSSES
    assert [*losses_for(Config(n_kv_head=2))] == [*LOSSES, "n_kv_head"]
    assert [*losses_for(Config(mixer="rwkv", n_kv_head=2))] == [*LOSSES, "mixer"]
    wrong = {"mixer": [0.0, *LOSSES_OF_KINDS["mixer"][1:]]}
    assert faults_of_steps(wrong)[0].startswith(
        "a small model of mixer=rwkv has the losses 7.92164")


def test_a_loss_that_is_another_is_told_beside_the_right_one() -> None:
    wrong = {"adamw": [LOSSES["adamw"][0] + 1e-3, *LOSSES["adamw"][1:]]}
    assert faults_of_steps(LOSSES) == []
    assert faults_of_steps(wrong)[0].startswith("a small model under adamw has the losses 8.02919")


def test_what_it_starts_from_is_the_same_on_every_machine() -> None:
    assert spread(3).tolist() == pytest.approx([0.2360679, -0.5278641, 0.7082039], abs=1e-7)
    assert abs(float(spread(10_000).mean())) < 1e-3
