"""Failures that leave every number finite but a sum, and those that no sequence shows by itself."""

import dataclasses
import math
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine.config import Config
from engine.errors import Diverged
from engine.model import attention, layers
from engine.trace import trace_failure
from engine.trace.failure import failure_of
from engine.trace.judge import judge
from engine.training import Texts, Trainer

CONFIG = Config(n_embd=16, n_layer=1, n_head=2, vocab_size=300, seq_len=8, batch_size=2)
TOKENS = (np.arange(300) * 7 % 300).astype(np.uint16)


def test_a_gradient_too_large_to_be_summed_is_named() -> None:
    run = Trainer(CONFIG, 0, 9, Texts(TOKENS, TOKENS, 300))
    run.params.views["norm.gain"][...] = 1e25  # all of them, and finite
    with pytest.raises(Diverged):
        run.advance()
    now = failure_of(run)
    assert now.norm_is_over
    assert math.isfinite(now.weights_rms)
    found = judge(CONFIG, now, None)
    assert (found.step, found.direction) == (1, "backward")
    assert "whose squares are over the largest number" in found.what


# --- what no sequence shows by itself --------------------------------------------------------

BATCHES = dataclasses.replace(CONFIG, n_layer=2, batch_size=4)
LONG = dataclasses.replace(CONFIG, seq_len=560, batch_size=1)
WHOLES: dict[str, tuple[Any, str, Any, Config, int, tuple[Any, ...]]] = {
    "no number in a batch's second sequence": (
        layers, "swiglu", lambda old, gate_up, *more: _spoilt(old(gate_up, *more), 9), BATCHES, 1,
        ("forward", 0, "mlp.down", "only in passes over 4 sequences at once")),
    "no number where passes are added up": (
        layers, "product_into", lambda old, grad, *more: _added(old, grad, *more),
        dataclasses.replace(BATCHES, grad_accum=3), 1,
        ("backward", None, "gradient of head",
         "only where the gradients of several passes are added up")),
    "no number of a late position": (
        attention, "rope_tables", lambda old, *more: _late(*old(*more)), LONG, 1,
        ("forward", 0, "attn.scores", "its inputs, all finite, give finite numbers")),
    "no number of another replica": (
        Trainer, "_gradient", lambda old, run, rank: _of_replica(old, run, rank), BATCHES, 2,
        ("backward", None, "gradient of embed", "only in what replica 1 computes")),
    "no number in the sum": (
        Trainer, "_reduce", lambda old, run, rank: _of_sum(old, run, rank), BATCHES, 2,
        ("backward", None, "gradient of embed", "only in the sum over all replicas")),
}


def _spoilt(found: tuple[Any, Any], column: int) -> tuple[Any, Any]:
    if found[0].shape[1] > column:
        found[0][3, column] = np.nan
    return found


def _added(old: Any, grad: Any, a: Any, b: Any, tmp: Any, accumulate: bool) -> None:
    old(grad, a, b, tmp, accumulate)
    if accumulate:
        grad.flat[0] = np.nan


def _late(cos: Any, sin: Any) -> tuple[Any, Any]:
    cos = cos.copy()
    cos[:, 540:] = np.nan
    return cos, sin


def _of_replica(old: Any, run: Trainer, rank: int) -> None:
    old(run, rank)
    if rank == 1:
        run.grads[1].buffer[100] = np.nan


def _of_sum(old: Any, run: Trainer, rank: int) -> None:
    old(run, rank)
    if rank == 0:
        run.grads[0].buffer[100] = run._squares[0] = np.nan


@pytest.mark.parametrize("name", WHOLES)
def test_what_breaks_every_time_is_no_fault_of_memory(name: str) -> None:
    module, function, wrong, config, n_replicas, expected = WHOLES[name]
    right = getattr(module, function)
    with mock.patch.object(module, function, lambda *args: wrong(right, *args)):
        run = Trainer(config, 0, 9, Texts(np.tile(TOKENS, 4), TOKENS, 300), n_replicas)
        with pytest.raises(Diverged):
            run.advance()
        found = trace_failure(run, lambda: None)
        run.close()
    direction, block, tensor, words = expected
    assert (found.step, found.direction, found.block, found.tensor) == (1, direction, block, tensor)
    assert found.is_repeated
    assert found.causes[0].startswith("not finite by itself: ")
    assert found.causes[0].endswith(words)


def test_a_step_that_is_finite_when_done_again_is_a_fault_of_memory() -> None:
    run = Trainer(BATCHES, 0, 9, Texts(TOKENS, TOKENS, 300))
    right, calls = layers.swiglu, iter(range(99))
    with mock.patch.object(layers, "swiglu", lambda *args: _spoilt(
            right(*args), 9 if next(calls) == 0 else 1 << 20)):
        with pytest.raises(Diverged):
            run.advance()
        found = trace_failure(run, lambda: None)
    assert found.causes[0].startswith("changed from outside: ")
    assert not found.is_repeated
