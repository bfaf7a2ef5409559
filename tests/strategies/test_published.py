"""Recipes of the published rows, and of the claim that has no row."""

import pytest

from engine.config import Config
from engine.errors import ConfigError
from strategies.published import recipes

ROWS = [("B1", {"n_embd": 128, "n_layer": 4, "optimizer": "lion", "lr": 3e-5}, 2000, "128d/4L"),
        ("E2", {"n_embd": 192, "n_layer": 6, "optimizer": "adamw", "lr": 6e-4}, None, "192d/6L"),
        ("μ3", {"n_embd": 128, "n_layer": 4}, 500, "128d/4L 5-story overfit")]


def test_a_row_is_what_its_cell_says_in_the_base() -> None:
    base = Config(seq_len=64)
    lion, fast, few, more = recipes(ROWS, base)
    assert (lion.config.optimizer, lion.config.lr, lion.config.seq_len) == ("lion", 3e-5, 64)
    assert lion.budget_tokens == 2000 * lion.config.tokens_per_step
    assert (fast.config.n_embd, fast.steps) == (192, 500)
    assert (few.n_stories, few.config.lr, few.config.optimizer) == (5, 3e-4, "adamw")
    assert (more.name, more.n_stories, more.config) == ("100 stories", 100, few.config)
    assert more.told == "128d/4L 100-story overfit"


def test_without_the_row_on_few_stories_there_is_no_claim_on_more() -> None:
    assert [one.name for one in recipes(ROWS[:2], Config())] == ["B1", "E2"]


def test_a_row_that_is_no_configuration_is_named() -> None:
    with pytest.raises(ConfigError, match="the published row X1 is no recipe: .*n_head"):
        recipes([("X1", {"n_embd": 130}, 10, "")], Config())
