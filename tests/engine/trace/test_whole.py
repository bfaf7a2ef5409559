"""A step as a whole: targets that are not what comes next, gradients that are summed wrongly."""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine.config import Config
from engine.trace import look_over, trace_failure
from engine.trace.whole import strayed, summed
from engine.training import Texts, Trainer
from engine.training.data import Batches
from tests.engine.trace.test_trace import led_to

CONFIG = Config(n_embd=16, n_layer=2, n_head=2, vocab_size=300, seq_len=8, batch_size=4,
                grad_accum=2)
TOKENS = (np.random.default_rng(0).zipf(1.3, 4000) % 300).astype(np.uint16)


def a_trainer(config: Config = CONFIG, n_replicas: int = 1, n_steps: int = 20) -> Trainer:
    return Trainer(config, 0, n_steps, Texts(TOKENS, TOKENS[:200], 400), n_replicas)


# --- targets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead", "words"), [
    (0, "the tokens that the model is given"), (1, ""), (2, "2 tokens ahead"),
    (3, "3 tokens ahead"), (20, "are not the tokens that follow")])
def test_targets_that_lie_elsewhere_are_told(ahead: int, words: str) -> None:
    text = np.random.default_rng(1).integers(0, 300, (3, 60))
    found = strayed(text[:, :16], text[:, ahead : 16 + ahead])
    assert words in found
    assert bool(found) == bool(words)


def test_one_target_that_is_another_is_counted() -> None:
    text = np.arange(64).reshape(2, 32)
    targets = text[:, 1:].copy()
    targets[1, 4] = 7
    assert strayed(text[:, :-1], targets).startswith("1 of 60 ")


def test_shifted_targets_are_the_cause_of_whatever_follows() -> None:
    right = Batches.take

    def wrong(batches: Batches, position: int, n_windows: int) -> Any:
        ids, targets = right(batches, position, n_windows)
        return ids, np.concatenate([targets[:, 1:], targets[:, :1]], axis=1)

    with mock.patch.object(Batches, "take", wrong):
        found = led_to(a_trainer())
        run = a_trainer(n_steps=3)
        while run.step < 3:
            run.advance()
        seen = look_over(run)
    assert (found.direction, found.block, found.tensor) == ("forward", None, "targets")
    assert found.causes[0].startswith("wrong targets: ")
    assert seen is not None
    assert seen.tensor == "targets"


# --- the sum ---------------------------------------------------------------------------------

Wrong = Callable[[Any, Trainer, int], None]


def _not_summed(old: Any, run: Trainer, rank: int) -> None:
    """Every replica's part is its own alone."""
    others = [grads.buffer.copy() for grads in run.grads[1:]]
    for grads in run.grads[1:]:
        grads.buffer[...] = 0
    old(run, rank)
    for grads, kept in zip(run.grads[1:], others, strict=True):
        grads.buffer[...] = kept


def _scaled(old: Any, run: Trainer, rank: int) -> None:
    old(run, rank)
    run.grads[0].buffer[run._parts[rank]] *= 2


def _halves(old: Any, run: Trainer, rank: int) -> None:
    """Of what was added up over the passes only a half."""
    old(run, rank)
    run.grads[rank].buffer[...] /= 2


SUMS: dict[str, tuple[str, Wrong, int, str]] = {
    "twice the sum of replicas": ("_reduce", _scaled, 2, "missing scale: it is 2 (the number of"),
    "half of what passes sum to": (
        "_gradient", _halves, 1, "missing scale: it is 0.5 (1/the number of passes) times"),
    "the sum of one replica alone": ("_reduce", _not_summed, 2, "computed wrongly: "),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_of_gradients_that_is_none_is_told(name: str) -> None:
    method, wrong, n_replicas, words = SUMS[name]
    right = getattr(Trainer, method)
    with mock.patch.object(Trainer, method, lambda run, rank: wrong(right, run, rank)):
        found = led_to(a_trainer(n_replicas=n_replicas))
    assert (found.direction, found.block, found.tensor) == ("backward", None, "gradient")
    assert found.causes[0].startswith(words)


@pytest.mark.parametrize("mixer", ["attention", "rwkv"])
@pytest.mark.parametrize("n_replicas", [1, 2])
def test_a_right_sum_has_no_finding(mixer: str, n_replicas: int) -> None:
    config = dataclasses.replace(CONFIG, mixer=mixer, batch_size=3)
    run = a_trainer(config, n_replicas)
    for _ in range(3):
        run.advance()
    n = config.batch_size * config.grad_accum
    taken = run.batches.take(run.step * n, n)
    assert summed(run, *taken, is_calm=True) is None
    run.close()


def test_a_sum_that_rounding_has_spoilt_is_no_finding() -> None:
    """Weights so large that batches and sequences by themselves differ in every digit."""
    run = a_trainer()
    run.params.buffer[: run.params.n_decay] *= 3000
    found = trace_failure(run, lambda: None)
    assert found.tensor != "gradient"
