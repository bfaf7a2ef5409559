"""Sizes are legal, and as near to the wish as that allows."""

import pytest

from engine.config import Config
from strategies.base import repaired
from strategies.legal import legal_heads, legal_hidden, legal_kv_heads, legal_width


@pytest.mark.parametrize("n_embd", range(8, 600, 2))
def test_every_size_that_is_proposed_makes_a_model(n_embd: int) -> None:
    width = legal_width(n_embd)
    heads = legal_heads(width, width / 32)
    config = Config(n_embd=width, n_head=heads, n_kv_head=legal_kv_heads(heads, heads / 3),
                    n_hidden=legal_hidden(2.7 * width))
    assert config.n_head % config.kv_heads == 0


@pytest.mark.parametrize(("fields", "kv_heads"), [
    ({"n_head": 8}, 4), ({"n_head": 2}, 1), ({"n_head": 3, "n_embd": 96}, 1), ({"n_head": 1}, 1),
    ({"n_head": 5, "n_embd": 80}, 1),
    ({"n_head": 8, "n_kv_head": 3}, 4), ({"n_layer": 2}, 2), ({"n_head": 4, "n_kv_head": 4}, 4)])
def test_when_heads_change_about_as_many_go_on_sharing_a_key_head(
        fields: dict[str, int], kv_heads: int) -> None:
    assert repaired(Config(n_kv_head=2), fields).kv_heads == kv_heads
