"""One sequence watched: sizes in the order of computation, and what does not follow."""

import dataclasses
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine.config import LATER, Config
from engine.model import GPT, Array, Flat, attention, init_params, rwkv, stream
from engine.native import NUMPY, Kernels, usual
from engine.trace import watch
from engine.trace.watch import Watched, in_order, look, seen, split, strange

CONFIG = Config(n_embd=16, n_layer=2, n_head=2, vocab_size=300, seq_len=8)
IDS = np.random.default_rng(0).integers(0, 300, 9)


def looked(config: Config = CONFIG, poison: str | None = None, **how: bool) -> list[watch.Seen]:
    params = init_params(config, 0)
    if poison:
        params.views[poison].flat[0] = np.inf
    return look(GPT(config), params, Flat.empty(config), IDS[:-1], IDS[1:], **how)


def test_tensors_come_in_the_order_of_computation() -> None:
    names = [(one.direction, one.block, one.tensor) for one in looked()]
    assert names[0] == ("forward", None, "embed")
    forward = [name for name in names if name[0] == "forward"]
    assert names[: len(forward)] == forward
    assert [block for _, block, tensor in forward if tensor == "norm1"] == [0, 1]
    assert [block for _, block, tensor in names if tensor == "dnorm1"] == [1, 0]
    assert names[-1] == ("backward", None, "gradient of embed")


def test_the_first_tensor_behind_an_infinite_weight_is_the_first_not_finite() -> None:
    found = next(one for one in looked(poison="block1.mlp.gate_up") if not one.is_finite)
    assert (found.block, found.tensor, found.deviation) == (1, "mlp.gate_up", None)
    assert found.n_bad > 0


def test_a_row_is_the_time_at_which_the_largest_or_a_bad_entry_stands() -> None:
    x = np.ones((4, 3))
    x[2, 1] = -5.0
    assert (seen(0, "norm1", x, None).row, seen(0, "attn.qkv", x, None).row) == (2, 1)
    x[3, 2] = np.nan
    found = seen(-1, "dlogits", x, None)
    assert (found.row, found.n_bad, found.largest, found.direction) == (2, 1, 5.0, "backward")
    assert found.rms == np.sqrt(35 / 11)


def test_sizes_alone_cost_no_comparison() -> None:
    with mock.patch.object(watch, "compare", side_effect=AssertionError):
        assert all(one.deviation is None for one in looked(compares=False))


def test_fields_without_rules_here_are_looked_at_by_size_alone() -> None:
    assert strange(CONFIG) == strange(dataclasses.replace(CONFIG, mixer="rwkv")) == []
    with mock.patch.object(watch, "KNOWN", tuple(set(watch.KNOWN) - {"mixer"})):
        odd = dataclasses.replace(CONFIG, mixer="rwkv")
        assert strange(odd) == ["mixer"]
        watched = Watched(odd, init_params(odd, 0), IDS[:-1], IDS[1:])
        assert not watched._compares
    assert set(LATER) >= {"mixer"}


def test_a_gradient_of_rwkv_that_is_no_slope_is_told() -> None:
    config, right = dataclasses.replace(CONFIG, mixer="rwkv"), rwkv.time_mix_backward
    assert [one for one in looked(config) if one.deviation] == []
    with mock.patch.object(rwkv, "time_mix_backward",
                           lambda *args: np.multiply(right(*args), 2.0)):
        found = next(one for one in looked(config) if one.deviation)
    assert (found.block, found.tensor) == (1, "dnorm1")
    assert found.deviation is not None
    assert found.deviation.kind == "scale"


@pytest.mark.parametrize("mixer", ["attention", "rwkv"])
def test_terms_that_cancel_leave_rounding_and_no_fault(mixer: str) -> None:
    """Of the share of a stream that dwarfs its branches: the norm behind does not see its size."""
    config = dataclasses.replace(CONFIG, residual_scalars=True, mixer=mixer)
    for seed in range(4):
        params, grads = init_params(config, seed), Flat.empty(config)
        params.views["embed"][...] *= 1e6
        assert [one for one in look(GPT(config), params, grads, IDS[:-1], IDS[1:])
                if one.deviation] == []
    right = stream.reweighed_backward

    def wrong(dx: Array, dx0: Array, cache: Any, dshare: Array, *rest: Any) -> None:
        right(dx, dx0, cache, dshare, *rest)
        dshare *= -1

    with mock.patch.object(stream, "reweighed_backward", wrong):
        found = {one.tensor for one in looked(config) if one.deviation}
    assert found == {"gradient of residual"}


@pytest.mark.parametrize("kernels", [NUMPY, usual().kernels], ids=["numpy", "usual"])
def test_gates_that_are_all_shut_are_no_fault(kernels: Kernels | None) -> None:
    """By numpy a sigmoid of −24 is 0 and no 4e-11."""
    for mixer in ("attention", "rwkv"):
        config = dataclasses.replace(CONFIG, n_hidden=1, mixer=mixer)
        params = init_params(config, 0)
        params.views["embed"][:, 0] = 3.0  # the largest channel of all, so that norms make it 4
        gates = [params.views["block1.mlp.gate_up"][0]]
        if mixer == "rwkv":
            gates += list(params.views["block1.rwkv.rkvg"].reshape(4, 16, 16)[3])
        for shift in (-3.0, -4.5, -6.0, -9.0, -11.0, -20.0):
            for gate in gates:
                gate[...] = 0.0
                gate[0] = shift
            seen = look(GPT(config, kernels=kernels), params, Flat.empty(config), IDS[:-1],
                        IDS[1:])
            assert [(one.tensor, one.deviation) for one in seen if one.deviation] == [], shift


def _mixed(value: float) -> watch.Seen:
    """What attention gives of scores about 40 and values of this size."""
    params, n = init_params(CONFIG, 0), 2 * CONFIG.n_embd
    qkv = params.views["block0.attn.qkv"]
    qkv[:n] *= 55.0
    qkv[n:] *= value / 0.08
    return next(one for one in look(GPT(CONFIG), params, Flat.empty(CONFIG), IDS[:-1], IDS[1:])
                if one.tensor == "attn.mixed")


def test_values_that_are_over_before_they_are_divided_are_an_overflow() -> None:
    found, right = _mixed(1e27), attention.attention

    def wrong(*args: Any) -> Any:
        o, cache = right(*args)
        o[3, 5] = np.inf
        return o, cache

    assert found.deviation is not None
    assert (found.deviation.kind, found.n_bad > 0) == ("overflow", True)
    assert _mixed(1e10).deviation is None
    with mock.patch.object(attention, "attention", wrong):
        wrongly = _mixed(1e10).deviation
    assert wrongly is not None
    assert wrongly.kind == "not finite"


def test_names_are_split_and_put_in_order() -> None:
    assert (split("block12.attn.qkv"), split("head")) == ((12, "attn.qkv"), (-1, "head"))
    names = ["head", "norm.gain", "block0.mlp.down", "embed", "block0.norm1.gain"]
    assert [name for _, name in in_order(names)] == [
        "embed", "norm1.gain", "mlp.down", "norm.gain", "head"]
