"""Updates beside their formula: every optimizer's right one, and a wrong rate."""

import dataclasses

import numpy as np
import pytest

from engine.config import OPTIMIZERS, Config
from engine.model import Array, Flat
from engine.trace.update import moved, rate, sampled
from engine.training import Texts, Trainer, optim
from engine.training.optim import learning_rate

CONFIG = Config(n_embd=8, n_layer=1, n_head=2, vocab_size=300, seq_len=8, batch_size=2, lr=1e-2)
TOKENS = np.arange(200, dtype=np.uint16)


def a_trainer(**changes: object) -> Trainer:
    return Trainer(dataclasses.replace(CONFIG, **changes), 0, 20, Texts(TOKENS, TOKENS, 200))


@pytest.mark.parametrize("schedule", ["cosine", "constant", "wsd"])
def test_the_rate_is_that_of_the_schedule(schedule: str) -> None:
    config = dataclasses.replace(CONFIG, schedule=schedule, warmup_frac=0.2)
    assert [rate(config, i, 30) for i in range(30)] == pytest.approx(
        [learning_rate(config, i, 30) for i in range(30)])


@pytest.mark.parametrize(("optimizer", "decays"), [
    *((name, {}) for name in OPTIMIZERS),
    *((name, {"cautious_decay": True, "scheduled_decay": True})
      for name in OPTIMIZERS)])
def test_an_update_is_what_its_formula_gives(optimizer: str, decays: dict[str, bool]) -> None:
    run = a_trainer(optimizer=optimizer, weight_decay=1.0, **decays)
    for _ in range(4):
        before = sampled(run)
        event = run.advance()
        found = moved(run, before, event.grad_norm, event.lr)
        assert (found.step, found.factor, found.lr_factor) == (run.step, 1.0, 1.0)
        assert found.gap == 0.0


@pytest.mark.parametrize(("optimizer", "is_cautious"), [
    (name, cautious) for name in OPTIMIZERS for cautious in (False, True)])
def test_no_optimizer_goes_without_a_formula(optimizer: str, is_cautious: bool,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_trainer(optimizer=optimizer, cautious_decay=is_cautious)
    run.advance()
    before = sampled(run)
    right = run.optimizer.update
    monkeypatch.setattr(run.optimizer, "update", lambda params, grads, *rest: right(
        params, -grads, *rest))
    event = run.advance()
    found = moved(run, before, event.grad_norm, event.lr)
    assert found.gap > 0.1 or found.factor < 0.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gradients_that_float32_rounds_to_nothing_go_neither_way(
        optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_trainer(optimizer=optimizer, weight_decay=1.0, cautious_decay=True)
    right = run.optimizer.update
    run.advance()

    def nearly_none(params: Flat, grads: Array, lr: float, scale: float, part: slice) -> None:
        grads[:] = np.where(params.buffer > 0, -1e-44, 1e-44)  # away from zero, were it any
        right(params, grads, lr, 0.01, part)

    monkeypatch.setattr(run.optimizer, "update", nearly_none)
    for name, slot in run.optimizer.slots.items():
        slot[...] = run.params.buffer if name == "z" else 0.0
    before = sampled(run)
    event = run.advance()
    found = moved(run, before, 100.0, event.lr)  # clipped to a hundredth
    assert (found.factor, found.gap) == (1.0, 0.0)


def test_an_update_at_ten_times_the_rate_is_told_by_its_size(
        monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_trainer(weight_decay=0.0)
    before = sampled(run)
    right = run.optimizer.update
    monkeypatch.setattr(run.optimizer, "update", lambda params, grads, lr, scale, part: right(
        params, grads, 10 * lr, scale, part))
    event = run.advance()
    found = moved(run, before, event.grad_norm, event.lr)
    assert found.factor == pytest.approx(10, rel=0.02)
    assert (found.lr_factor, found.gap < 0.05) == (1.0, True)


def test_an_update_of_another_direction_is_no_matter_of_rate(
        monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_trainer()
    before = sampled(run)
    right = run.optimizer.update
    noise = np.random.default_rng(0).standard_normal(CONFIG.n_params).astype(np.float32)
    monkeypatch.setattr(run.optimizer, "update", lambda params, grads, *rest: right(
        params, grads * noise, *rest))
    event = run.advance()
    assert moved(run, before, event.grad_norm, event.lr).gap > 0.1


# --- weight decay ----------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("factor", "shown"), [(-1.0, -0.1), (0.0, 0.0), (3.0, 0.3)])
def test_another_weight_decay_is_told_by_what_it_is(
        optimizer: str, factor: float, shown: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the configuration's 0.1, which moves a weight by a five-hundredth of an update."""
    run, right = a_trainer(optimizer=optimizer, warmup_frac=0.0), optim.decay_rate
    monkeypatch.setattr(optim, "decay_rate", lambda *args: factor * right(*args))
    for _ in range(6):
        before = sampled(run)
        event = run.advance()
        found = moved(run, before, event.grad_norm, event.lr)
        assert (found.factor, found.gap) == (1.0, 0.0)
        assert found.decay_off == (pytest.approx(shown - 0.1, abs=0.01), 0.0)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_decay_of_gains_is_told(weight_decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_trainer(weight_decay=weight_decay)
    right = run.optimizer.update

    def update(params: Flat, grads: Array, lr: float, scale: float, part: slice) -> None:
        was = params.buffer.copy()
        right(params, grads, lr, scale, part)
        params.buffer[params.n_decay :] -= lr * 0.1 * was[params.n_decay :]

    monkeypatch.setattr(run.optimizer, "update", update)
    before = sampled(run)
    event = run.advance()
    found = moved(run, before, event.grad_norm, event.lr)
    assert found.decay_off == (0.0, pytest.approx(0.1, abs=0.01))


def test_a_momentum_of_muon_that_does_not_follow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_trainer(optimizer="muon", warmup_frac=0.0)
    for _ in range(3):
        run.advance()
    before = sampled(run)
    run.optimizer.slots["m"] *= 0.5  # as if an update had another decay of it
    event = run.advance()
    assert moved(run, before, event.grad_norm, event.lr).gap > 0.1
