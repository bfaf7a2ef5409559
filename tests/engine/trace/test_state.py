"""What in a state no training makes, and what any does."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from engine.blocks import matrices
from engine.config import Config
from engine.model import Flat, init_params
from engine.trace.replay import slots_of
from engine.trace.state import Spread, odd_slots, odd_start, odd_weights
from engine.training import Texts, Trainer

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
        g *= min(1.0, CONFIG.clip / float(np.linalg.norm(g)))
        m, v = CONFIG.beta1 * m + g, CONFIG.beta2 * v + g * g
    slots = {"m": m, "v": v}
    assert odd_slots(CONFIG, slots, 3) == []
    for slot, value in (("v", -1.0), ("v", np.nan), ("m", np.inf), ("m", 1e6)):
        buffer = slots[slot].copy()
        buffer[7] = value
        (found,) = odd_slots(CONFIG, slots | {slot: buffer}, 3)
        assert (found.kind, found.tensor) == ("optimizer moment", f"optimizer.{slot} of embed")


@pytest.mark.parametrize(("optimizer", "slot", "name", "most"), [
    ("adamw", "m", "head", 10.0), ("adamw", "v", "block1.mlp.down", 20.0),
    ("muon", "m", "block1.attn.proj", 20.0), ("muon", "m", "block1.norm2.gain", 10.0),
    ("muon", "m", "head", 10.0), ("lion", "m", "block1.attn.proj", 1.0),
    ("schedule_free", "v", "head", 1.0)])
def test_clipped_gradients_bound_every_moment(optimizer: str, slot: str, name: str,
                                              most: float) -> None:
    config = dataclasses.replace(CONFIG, optimizer=optimizer, beta1=0.9, beta2=0.95, lr=3e-4)
    tokens = np.arange(200, dtype=np.uint16)
    run = Trainer(config, 0, 9, Texts(tokens, tokens, 200))
    for _ in range(3):
        run.advance()
    assert slots_of(run) == []
    view = run.params.views[name]
    at = (view.ctypes.data - run.params.buffer.ctypes.data) // 4 + 3
    buffer = run.optimizer.slots[slot]
    right = buffer[at]
    for value in (-2.5 * most, 1e6, 1e30):
        buffer[at] = abs(value) if slot == "v" else value
        (found,) = slots_of(run)
        assert found.tensor == f"optimizer.{slot} of {name.removeprefix('block1.')}"
    buffer[at] = right
    assert slots_of(run) == []


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
    whole = Flat.over(config, Spread(config, v)[:]).views
    assert not any(whole[f"block1.{name}"].any() for name in ("attn.qkv", "mlp.down"))
    assert whole["norm.gain"].tolist() == v[-config.n_embd:].tolist()
    assert np.count_nonzero(Spread(config, v)[:]) == v.size
    v[5] = -1.0
    (found,) = odd_slots(config, {"m": np.zeros(config.n_params, np.float32), "v": v}, 3)
    assert found.tensor == "optimizer.v of embed"
