"""The contract of all strategies, and what is special to this one."""

import phi_auto_cooldown
import pytest

from engine.config import Config
from strategies.testing import CONTRACT, Claim, answer, proposals


@pytest.mark.parametrize("claim", CONTRACT)
def test_contract(claim: Claim) -> None:
    claim("cooldown", phi_auto_cooldown.propose)


def test_a_cosine_becomes_a_plateau_with_a_cooldown() -> None:
    found = proposals(phi_auto_cooldown.propose, parent=Config(schedule="cosine"))
    assert {proposal.config.schedule for proposal in found} == {"wsd"}
    assert {proposal.config.decay_frac for proposal in found} == {0.1, 0.2, 0.4}


def test_a_cooldown_is_made_longer_first() -> None:
    parent = Config(schedule="wsd", decay_frac=0.2)
    (found,) = proposals(phi_auto_cooldown.propose, 1, parent=parent)
    assert found.config.decay_frac == 0.3


def test_an_optimizer_that_averages_has_no_cooldown() -> None:
    found = answer(phi_auto_cooldown.propose, parent=Config(optimizer="schedule_free"))
    assert "it has no step to take from there" in found
