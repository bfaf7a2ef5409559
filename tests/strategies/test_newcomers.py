"""Fields that nobody has measured are moved by every drawing strategy, seldom, and legally."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from strategies import STRATEGIES
from strategies.base import Proposal, repaired
from strategies.newcomers import (
    NEWCOMERS,
    SHARE,
    fewer_key_heads,
    fewer_pairs,
    mixed_by,
    more_pairs,
    newcomer,
)
from strategies.testing import PARENT, a_parent, answer, outcome

ON = Config(qk_norm=True, residual_scalars=True, bigram_buckets=4096)
N_DRAWS = 400


def moved(name: str, parent: Config, seeds: range, history: list | None = None) -> Counter[str]:
    """How many proposals move each newcomer."""
    found: Counter[str] = Counter()
    for seed in seeds:
        one = answer(STRATEGIES[name], parent, history or [], seed)
        assert isinstance(one, Proposal)
        found.update(set(NEWCOMERS) & parent.difference(one.config).keys())
    return found


@pytest.mark.parametrize("name", ["random", "explore", "tpe"])
@pytest.mark.parametrize("parent", [PARENT, ON], ids=["off", "on"])
def test_every_newcomer_is_drawn_and_all_together_seldom(name: str, parent: Config) -> None:
    found = moved(name, parent, range(N_DRAWS))
    assert set(found) == set(NEWCOMERS)
    assert 0.3 * SHARE < found.total() / N_DRAWS < 2 * SHARE


def test_what_tpe_found_good_it_goes_on_with() -> None:
    history = [outcome(lr=1e-3 * (1 + i / 10), qk_norm=i < 8, bpb=1.0 + i / 100, seq_len=8 + i,
                       mixer="rwkv" if i % 2 else "attention") for i in range(40)]
    found = moved("tpe", PARENT, range(30), history)
    assert found["qk_norm"] + found["mixer"] > 20  # good ones are of the norm, or of rwkv


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 9999))
def test_a_step_is_legal_and_another_from_any_parent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parent = a_parent(rng)
    fields = newcomer(parent, rng)
    found = repaired(parent, fields)
    assert fields.keys() <= {*NEWCOMERS}
    assert Config.from_dict(found.to_dict()) == found
    is_most = parent.bigram_buckets > 32768 and "bigram_buckets" in fields
    assert found.hash != parent.hash or is_most


@pytest.mark.parametrize(("n_head", "n_kv_head", "fewer"), [
    (4, None, 2), (4, 2, 1), (6, None, 3), (6, 3, 1), (5, None, 1), (1, None, None), (4, 1, None)])
def test_key_heads_are_about_halved(n_head: int, n_kv_head: int | None, fewer: int | None) -> None:
    config = Config(n_embd=120, n_head=n_head, n_kv_head=n_kv_head)
    assert fewer_key_heads(config) == fewer
    assert fewer_key_heads(replace(config, mixer="rwkv")) is None


def test_a_table_doubles_up_to_its_bound_and_halves_to_none() -> None:
    assert more_pairs(PARENT) == 4096
    assert more_pairs(Config(bigram_buckets=40_000)) == 65536
    assert fewer_pairs(Config(bigram_buckets=4096)) == 2048
    assert fewer_pairs(Config(bigram_buckets=2000)) == 0


def test_heads_that_rwkv_does_not_mind_are_made_legal_for_attention() -> None:
    assert mixed_by(Config(mixer="rwkv", n_kv_head=3), "attention") == {
        "mixer": "attention", "n_kv_head": 2}
    assert mixed_by(Config(n_kv_head=2), "rwkv") == {"mixer": "rwkv"}


def test_scaling_comes_to_the_table_of_pairs_and_to_key_heads_at_last() -> None:
    for name, parent, wanted in (("scale_up", PARENT, {"bigram_buckets"}),
                                 ("scale_down", ON, {"bigram_buckets", "n_kv_head"})):
        history, seen = [], set()
        for _ in range(20):
            found = answer(STRATEGIES[name], parent, history, 0)
            if not isinstance(found, Proposal):
                break
            fields = parent.difference(found.config).keys()
            assert not seen or fields <= wanted  # nothing else once they have begun
            seen |= fields & wanted
            history.append(outcome(found.config))
        assert seen == wanted
