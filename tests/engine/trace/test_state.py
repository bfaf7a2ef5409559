"""What in a state no training makes, and what any does."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from engine.blocks import matrices
from engine.config import Config
from engine.model import Flat, init_params
from engine.trace.state import odd_slots, odd_start, odd_weights, spread

CONFIG = Config(n_embd=16, n_layer=2, n_head=2, vocab_size=300, seq_len=8)


def weights() -> Flat:
    return init_params(CONFIG, 0)


def test_first_values_and_uniformly_large_ones_are_not_odd() -> None:
    params = weights()
    assert odd_weights(params) == odd_start(CONFIG, params) == []
    params.buffer[...] *= 1e6  # all of them: a rate does that
    assert odd_weights(params) == []
    assert {one.kind for one in odd_start(CONFIG, params)} == {"initial scale"}


@pytest.mark.parametrize(("name", "value", "kind", "token"), [
    ("block1.attn.proj", np.nan, "infinite weight", None),
    ("block1.attn.proj", 1e20, "huge weight", None),
    ("norm.gain", 1e20, "huge weight", None),
    ("head", 1e20, "poisoned token", 0),
    ("embed", np.inf, "infinite weight", 0)])
def test_a_weight_alone_of_its_kind_is_odd(name: str, value: float, kind: str,
                                           token: int | None) -> None:
    params = weights()
    params.views[name].flat[3] = value
    (found,) = odd_weights(params)
    block = 1 if name.startswith("block1") else None
    assert (found.kind, found.block, found.tensor, found.token) == (
        kind, block, name.removeprefix("block1."), token)


def test_a_second_moment_is_no_less_than_0_and_bounds_the_first() -> None:
    rng = np.random.default_rng(0)
    m, v = np.zeros((2, CONFIG.n_params), np.float32)
    for scale in (1.0, 1e-3, 50.0):  # sums as the optimizer makes them
        g = (scale * rng.standard_normal(m.size)).astype(np.float32)
        m, v = CONFIG.beta1 * m + g, CONFIG.beta2 * v + g * g
    slots = {"m": m, "v": v}
    assert odd_slots(CONFIG, slots, 3) == []
    for slot, value in (("v", -1.0), ("v", np.nan), ("m", np.inf), ("m", 1e6)):
        buffer = slots[slot].copy()
        buffer[7] = value
        (found,) = odd_slots(CONFIG, slots | {slot: buffer}, 3)
        assert (found.kind, found.tensor) == ("optimizer moment", f"optimizer.{slot} of embed")


def test_projections_begin_smaller_by_the_root_of_the_depth() -> None:
    params = weights()
    params.views["block1.mlp.down"][...] *= 2.0  # √(2 · 2 layers)
    (found,) = odd_start(CONFIG, params)
    assert (found.block, found.tensor) == (1, "mlp.down")
    assert found.words.endswith("which 1/√(2L) would make right")


@pytest.mark.parametrize(("changes", "name"), [
    ({"mixer": "rwkv"}, "rwkv.decay_in"), ({"n_embd": 8}, "attn.proj"),
    ({"n_embd": 64, "n_hidden": 1}, "mlp.down")], ids=["rwkv", "narrow", "one hidden"])
def test_small_matrices_stray_by_chance_and_a_scale_is_missed_all_the_same(
        changes: dict[str, Any], name: str) -> None:
    config = dataclasses.replace(CONFIG, n_layer=8, n_head=1, vocab_size=257, **changes)
    params = init_params(config, 0)
    assert params.views[f"block0.{name}"].size == 64
    wanted = 0.02 if "decay" in name else 0.02 / 4  # √(2 · 8 layers)
    rng, sizes, view = np.random.default_rng(0), [], params.views[f"block3.{name}"]
    for _ in range(300):
        view[...] = wanted * rng.standard_normal(view.shape)
        sizes.append(float(np.std(view)))
        assert odd_start(config, params) == []
    assert min(sizes) < wanted / 1.3  # such are among them
    for block in range(8):
        params.views[f"block{block}.{name}"][...] *= 1.4
    assert {one.tensor for one in odd_start(config, params)} == {name}


def test_squares_that_muon_has_lie_where_their_parameters_do() -> None:
    config = dataclasses.replace(CONFIG, optimizer="muon")
    of_matrices = sum(one.size for one in matrices(config))
    v = np.arange(1, config.n_params - of_matrices + 1, dtype=np.float32)
    whole = Flat.over(config, spread(config, v)).views
    assert not any(whole[f"block1.{name}"].any() for name in ("attn.qkv", "mlp.down"))
    assert whole["norm.gain"].tolist() == v[-config.n_embd:].tolist()
    assert np.count_nonzero(spread(config, v)) == v.size
    v[5] = -1.0
    (found,) = odd_slots(config, {"m": np.zeros(config.n_params, np.float32), "v": v}, 3)
    assert found.tensor == "optimizer.v of embed"
