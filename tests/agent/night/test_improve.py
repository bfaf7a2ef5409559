"""How a model is trained on: gently, as the network it is."""

from dataclasses import replace

import pytest

from agent.night.improve import Improving, config_of
from engine.alignment.objective import Recipe
from engine.config import Config
from engine.errors import UserError

BASE = Config(lr=2e-3, batch_size=7, optimizer="lion", weight_decay=0.3)
ASKED = Improving(recipe=Recipe())


def test_pairs_move_a_model_less_than_examples_and_a_round_as_much_as_the_one_before() -> None:
    pairs = config_of(BASE, ASKED, is_pairwise=True, is_gentle=False)
    examples = config_of(BASE, ASKED, is_pairwise=False, is_gentle=False)
    assert pairs.lr < examples.lr < BASE.lr
    assert (pairs.batch_size, examples.batch_size) == (8, 7)  # two texts of each pair
    assert (pairs.optimizer, pairs.weight_decay) == ("adamw", 0.0)
    assert config_of(pairs, ASKED, is_pairwise=True, is_gentle=True) == pairs


@pytest.mark.parametrize("setting", ["n_embd=64", "tied=true", "seq_len=64", "n_head=2",
                                     "rope_base=500", "mixer=rwkv", "vocab_size=300"])
def test_no_setting_makes_it_another_network(setting: str) -> None:
    with pytest.raises(UserError, match="would make it another network"):
        config_of(BASE, replace(ASKED, settings=[setting]), is_pairwise=True, is_gentle=False)
