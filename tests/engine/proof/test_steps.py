"""The stored losses are those of float64, and float32 meets them."""

import numpy as np
import pytest

from engine.config import OPTIMIZERS
from engine.proof.steps import LOSSES, faults_of_steps, losses_of, spread


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_stored_losses_are_those_of_double_precision(optimizer: str) -> None:
    assert losses_of(optimizer, np.float64) == pytest.approx(LOSSES[optimizer], abs=1e-6)
    assert losses_of(optimizer) == pytest.approx(LOSSES[optimizer], abs=1e-5)


def test_a_loss_that_is_another_is_told_beside_the_right_one() -> None:
    wrong = {"adamw": [LOSSES["adamw"][0] + 1e-3, *LOSSES["adamw"][1:]]}
    assert faults_of_steps(LOSSES) == []
    assert faults_of_steps(wrong)[0].startswith("a small model under adamw has the losses 8.02919")


def test_what_it_starts_from_is_the_same_on_every_machine() -> None:
    assert spread(3).tolist() == pytest.approx([0.2360679, -0.5278641, 0.7082039], abs=1e-7)
    assert abs(float(spread(10_000).mean())) < 1e-3
