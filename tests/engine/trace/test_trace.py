"""Faults planted one by one into a training, and each named: step, pass, block, tensor, cause.

A fault lies in the numbers (a weight, a moment, a checkpoint), in the configuration, or in the code
of one layer, whose function is exchanged for a wrong one while the run is under way.
"""

import copy
import dataclasses
import math
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine.config import Config
from engine.errors import Diverged
from engine.model import attention, layers, rwkv, stream
from engine.trace import Finding, look_over, trace_evaluation, trace_failure
from engine.training import Texts, Trainer, optim
from engine.training import train as training

CONFIG = Config(n_embd=16, n_layer=3, n_head=2, vocab_size=300, seq_len=16, batch_size=2, lr=1e-2)
RWKV = dataclasses.replace(CONFIG, n_layer=2, mixer="rwkv")
TOKENS = (np.random.default_rng(0).zipf(1.3, 4000) % 300).astype(np.uint16)
SAVED, STEP, N_STEPS = 4, 9, 24  # when it is saved, broken, and whole if nothing stops it
Plant = Callable[[Trainer], None]


def a_trainer(config: Config = CONFIG, n_replicas: int = 1) -> Trainer:
    return Trainer(config, 1, N_STEPS, Texts(TOKENS, TOKENS[:200], 400), n_replicas)


def found(plant: Plant | None = None, config: Config = CONFIG, *, edit: Plant | None = None,
          n_replicas: int = 1, saves: bool = True) -> Finding | None:
    """The finding on a run that has `plant` before step STEP, or is taken up edited from SAVED."""
    run, saved = a_trainer(config, n_replicas), None
    try:
        while run.step < N_STEPS:
            if run.step == SAVED:
                if edit:
                    edit(run)
                saved = {name: array.copy() for name, array in run.arrays().items()}, copy.deepcopy(
                    run.scalars())
            if plant and run.step == STEP - 1:
                plant(run)
            run.advance()
    except Diverged:
        return trace_failure(run, lambda: saved if saves else None)
    else:
        return look_over(run)
    finally:
        run.close()


def weight(name: str, value: float, index: int = 5) -> Plant:
    def plant(run: Trainer) -> None:
        run.params.views[name].flat[index] = value

    return plant


def row(value: float) -> Plant:
    def plant(run: Trainer) -> None:
        run.params.views["embed"][7] = value

    return plant


def moment(slot: str, name: str, value: float) -> Plant:
    def plant(run: Trainer) -> None:
        view = run.params.views[name]
        start = (view.ctypes.data - run.params.buffer.ctypes.data) // 4
        run.optimizer.slots[slot][start + 3] = value

    return plant


def told(finding: Finding | None) -> tuple[Any, ...]:
    assert finding is not None
    values = finding.values()
    return (*(values[key] for key in ("step", "pass", "block", "tensor")),
            values["causes"][0].partition(":")[0])


# --- faults of the numbers -------------------------------------------------------------------

TIED = dataclasses.replace(CONFIG, tied=True)
NUMBERS: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "an infinity in a weight": (
        {"plant": weight("block1.mlp.down", np.inf)},
        (STEP, "forward", 1, "mlp.down", "infinite weight")),
    "no number in a gain, two replicas": (
        {"plant": weight("block2.norm2.gain", np.nan), "n_replicas": 2},
        (STEP, "forward", 2, "norm2.gain", "infinite weight")),
    "an infinity in the head, nothing saved": (
        {"plant": weight("head", -np.inf), "saves": False},
        (STEP, "forward", None, "head", "infinite weight")),
    "an infinity in the last norm": (
        {"plant": weight("norm.gain", np.inf)},
        (STEP, "forward", None, "norm.gain", "infinite weight")),
    "an infinity in a checkpoint": (
        {"edit": weight("block0.attn.qkv", np.inf)},
        (SAVED + 1, "forward", 0, "attn.qkv", "infinite weight")),
    "no number in RWKV's bonus": (
        {"plant": weight("block1.rwkv.bonus", np.nan), "config": RWKV},
        (STEP, "forward", 1, "rwkv.bonus", "infinite weight")),
    "one token's embedding is huge": (
        {"plant": row(1e30)}, (N_STEPS, "forward", None, "embed", "poisoned token")),
    "one token's embedding is huge, in a checkpoint, tied": (
        {"edit": row(1e30), "config": TIED},
        (6, "forward", None, "embed", "poisoned token")),
    "one token's embedding is no number": (
        {"plant": row(np.nan), "config": TIED},
        (STEP, "forward", None, "embed", "poisoned token")),
    "a second moment below zero": (
        {"edit": moment("v", "block1.attn.qkv", -1.0)},
        (SAVED + 1, "update", 1, "optimizer.v of attn.qkv", "optimizer moment")),
    "a first moment that no gradients sum to": (
        {"edit": moment("m", "block0.mlp.gate_up", 1e30)},  # whose norm takes it
        (N_STEPS, "update", 0, "optimizer.m of mlp.gate_up", "optimizer moment")),
    "a rate a hundred times too high": (
        {"config": dataclasses.replace(CONFIG, lr=1.0)}, (..., ..., ..., ..., "learning rate")),
    "a rate that weight decay turns around": (
        {"config": dataclasses.replace(CONFIG, lr=1.0, weight_decay=10.0)},
        (..., ..., ..., ..., "learning rate")),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_fault_of_the_numbers_is_named(name: str) -> None:
    how, expected = NUMBERS[name]
    got = told(found(**how))
    assert tuple(... if want is ... else one for one, want in zip(
        got, expected, strict=True)) == expected


def test_a_run_without_a_fault_has_no_finding() -> None:
    assert found() is None
    assert found(config=RWKV) is None
    assert found(config=dataclasses.replace(IDEAS, optimizer="muon")) is None


# --- faults of the code ----------------------------------------------------------------------


def _norm_twice(old: Any, x: Any, gain: Any, buf: Any) -> Any:
    return old(old(x, gain, buf.at("once"))[0], gain, buf)


def _no_norm(old: Any, x: Any, gain: Any, buf: Any) -> Any:
    return x * gain, old(x, gain, buf)[1]


def _no_scale(old: Any, n_time: int, d: int, base: float, dtype: Any) -> Any:
    return tuple(table * d**0.25 for table in old(n_time, d, base, dtype))


def _scale_back(old: Any, do: Any, cache: Any, tmp: Any) -> Any:
    dqkv = old(do, cache, tmp)
    dqkv[: 2 * CONFIG.n_embd] *= math.sqrt(CONFIG.head_size)
    return dqkv


def _unsquashed(old: Any, gate_up: Any, buf: Any, tmp: Any) -> Any:
    gate, up = np.split(gate_up.copy(), 2)
    h, cache = old(gate_up, buf, tmp)
    h[...] = gate * up
    return h, cache


def _bad_back(old: Any, dh: Any, cache: Any, dgate_up: Any, tmp: Any) -> Any:
    h = old(dh, cache, dgate_up, tmp)
    dgate_up[3, 2] = np.nan
    return h


def _sum_of_losses(old: Any, logits: Any, targets: Any, scale: Any, *units: Any) -> Any:
    return old(logits, targets, scale and scale * targets.size, *units)


def _unnormed_heads(old: Any, y: Any, gate: Any, gain: Any, n_head: int, *spaces: Any) -> Any:
    o, cache = old(y, gate, gain, n_head, *spaces)
    o *= 3.0
    return o, cache


def _decay_back(old: Any, *args: Any) -> Any:
    dlog, dbonus = old(*args)
    return 50 * dlog, dbonus


def _faster(old: Any, *args: Any) -> Any:
    return 100 * old(*args)


def _no_depth(old: Any, config: Any, seed: int, *args: Any, **more: Any) -> Any:
    params = old(config, seed, *args, **more)
    for name, view in params.views.items():
        if name.endswith((".proj", "mlp.down")):
            view *= math.sqrt(2 * config.n_layer)
    return params


def _other_pairs(old: Any, ids: Any, before: Any, n: int) -> Any:
    return (old(ids, before, n) + 1) % n


def _share_twice(old: Any, x: Any, x0: Any, share: Any, buf: Any, tmp: Any) -> Any:
    return old(x, x0, share * 2, buf, tmp)


def _heads_back(old: Any, dqk: Any, *args: Any) -> None:
    old(dqk, *args)
    dqk *= math.sqrt(CONFIG.head_size)


def _five_fold(old: Any, x: Any, y: Any, space: Any) -> Any:
    u, other = old(x, y, space)
    u *= 5
    return u, other


IDEAS = dataclasses.replace(CONFIG, residual_scalars=True, bigram_buckets=64, qk_norm=True)
CODE: dict[str, tuple[Any, str, Any, Config, tuple[Any, ...]]] = {
    "a norm applied twice": (
        layers, "rms_norm", _norm_twice, CONFIG, ("forward", 0, "norm1", "norm applied twice")),
    "a norm left out": (
        layers, "rms_norm", _no_norm, CONFIG, ("forward", 0, "norm1", "norm left out")),
    "the scale of scores left out": (
        attention, "rope_tables", _no_scale, CONFIG,
        ("forward", 0, "attn.scores", "missing scale")),
    "the scale of scores left out in backward alone": (
        attention, "attention_backward", _scale_back, CONFIG,
        ("backward", 2, "dattn.qkv", "missing scale")),
    "gates that are not squashed": (
        layers, "swiglu", _unsquashed, CONFIG, ("forward", 0, "mlp.swiglu", "left out")),
    "no number in backward alone": (
        layers, "swiglu_backward", _bad_back, CONFIG,
        ("backward", 2, "dmlp.gate_up", "not finite by itself")),
    "a loss that is summed where it is averaged": (
        layers, "cross_entropy", _sum_of_losses, CONFIG,
        ("backward", None, "dlogits", "missing scale")),
    "a scale too many in RWKV": (
        rwkv, "_gated_norm", _unnormed_heads, RWKV, ("forward", 0, "rwkv.out", "missing scale")),
    "a wrong gradient of RWKV's decay": (
        rwkv, "wkv_backward", _decay_back, RWKV,
        ("backward", 1, "gradient of rwkv.decay", "missing scale")),
    "a rate that the schedule does not give": (
        training, "learning_rate", _faster, CONFIG, ("update", ..., ..., "learning rate")),
    "pairs of tokens that are hashed otherwise": (
        stream, "buckets", _other_pairs, IDEAS, ("forward", None, "embed", "computed wrongly")),
    "a stream that is reweighed twice": (
        stream, "reweighed", _share_twice, IDEAS, ("forward", 0, "stream", "missing scale")),
    "the gradient of the heads' norm without its scale": (
        attention, "norm_heads_backward", _heads_back, IDEAS,
        ("backward", 2, "dattn.qkv", "missing scale")),
    "a step of Muon that is too long": (
        optim, "orthogonal", _five_fold, dataclasses.replace(CONFIG, optimizer="muon"),
        ("update", ..., ..., "computed wrongly")),
    "first values without the root of the depth": (
        training, "init_params", _no_depth, CONFIG, ("forward", 0, "attn.proj", "missing scale")),
}


@pytest.mark.parametrize("name", CODE)
def test_a_fault_of_the_code_is_named(name: str) -> None:
    module, function, wrong, config, expected = CODE[name]
    right = getattr(module, function)
    with mock.patch.object(module, function, lambda *args, **more: wrong(right, *args, **more)):
        run = a_trainer(config)
        finding = led_to(run)
    got = told(finding)[1:]
    assert tuple(... if want is ... else one for one, want in zip(
        got, expected, strict=True)) == expected


def led_to(run: Trainer, n_steps: int = STEP) -> Finding:
    """Traced where it diverges; as if it did a few steps later where it does not."""
    try:
        for _ in range(n_steps):
            run.advance()
    except Diverged:
        pass
    finding = trace_failure(run, lambda: None)
    run.close()
    return finding


# --- what is left where nothing happens again ------------------------------------------------


def test_what_does_not_happen_again_is_named_by_what_it_left() -> None:
    """An infinity that a layer makes once, and not when it is asked again."""
    right, n_calls = layers.swiglu, iter(range(1 << 20))

    def once(gate_up: Any, buf: Any, tmp: Any) -> Any:
        h, cache = right(gate_up, buf, tmp)
        if next(n_calls) == 3 * CONFIG.n_layer + 1:
            h[3, 5] = np.inf
        return h, cache

    with mock.patch.object(layers, "swiglu", once):
        finding = found()
    assert told(finding) == (4, "forward", 1, "mlp.down", "changed from outside")
    assert finding is not None
    assert not finding.is_repeated


def test_how_the_tensor_grew_before_is_told() -> None:
    finding = found(config=dataclasses.replace(CONFIG, lr=1.0))
    assert finding is not None
    assert finding.began_at == SAVED
    steps = [step for step, _ in finding.growth]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (SAVED, finding.step - 1)
    assert all(size > 0 for _, size in finding.growth)
    assert "learning rate" in finding.told


def test_a_trace_that_is_told_to_end_says_what_it_knows() -> None:
    run = a_trainer()
    for _ in range(5):
        run.advance()
    weight("block1.attn.proj", np.inf)(run)
    with pytest.raises(Diverged):
        run.advance()
    asked: list[tuple[int, int]] = []
    finding = trace_failure(run, lambda: None, lambda *n: asked.append(n) is not None)
    run.close()
    assert asked == [(0, 5)]
    assert told(finding) == (6, "forward", 1, "attn.proj", "infinite weight")


def test_a_validation_that_is_not_finite_is_traced_where_it_breaks() -> None:
    """By a weight of a token that training never meets."""
    run = Trainer(CONFIG, 1, 2, Texts(TOKENS % 299, np.full(40, 299, np.uint16), 40))
    for _ in range(2):
        run.advance()
    run.params.views["embed"][299, 4] = np.inf
    assert not math.isfinite(run.evaluate().nats)
    assert told(trace_evaluation(run)) == (2, "forward", None, "embed", "poisoned token")


@pytest.mark.parametrize(("size", "at"), [(33, 31), (40, 31), (40, 36)])
def test_a_validation_is_looked_at_to_its_end(size: int, at: int) -> None:
    """In the last full window, of inputs 16 to 31, and in the rest behind it."""
    valid, right = np.full(size, 5, np.uint16), stream.embedding
    valid[at] = 299  # which training never meets

    def wrong(ids: Any, *more: Any) -> Any:
        x = right(ids, *more)
        x[ids == 299] = np.nan
        return x

    with mock.patch.object(stream, "embedding", wrong):
        run = Trainer(CONFIG, 1, 1, Texts(TOKENS % 299, valid, 40))
        run.advance()
        assert not math.isfinite(run.evaluate().nats)
        found = trace_evaluation(run)
    assert told(found) == (1, "forward", None, "embed", "not finite by itself")


def test_to_look_over_a_run_changes_nothing_of_it() -> None:
    runs = [a_trainer(), a_trainer()]
    for run in runs:
        for _ in range(3):
            run.advance()
    assert look_over(runs[0]) is None
    events = [run.advance() for run in runs]
    assert events[0] == events[1]
    assert np.array_equal(runs[0].params.buffer, runs[1].params.buffer)
