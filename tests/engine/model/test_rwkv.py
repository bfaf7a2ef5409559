"""Time mixing is its formula, exact in its gradients, and the same read at once or in pieces."""

import math

import numpy as np
import pytest

from engine.config import Config
from engine.model.gpt import GPT, Flat, Past, init_params
from engine.model.rwkv import FASTEST, initial
from engine.sampling import Sampling, continuations
from engine.training.optim import make_optimizer, sum_gradients
from engine.training.train import Texts, Trainer, training
from tests.support.arrays import backward_leaves_and_adds, batch, lively, worst

TINY = {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_hidden": 5, "vocab_size": 257, "seq_len": 5,
        "mixer": "rwkv"}
KINDS = pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
TIMES = pytest.mark.parametrize("n_time", [4, 5, 16, 17, 40])  # chunks that fit and that do not


# --- gradients of the whole model ------------------------------------------------------------


@pytest.mark.parametrize("changes", [
    {"tied": False}, {"tied": True}, {"n_kv_head": 1, "tied": True},
    {"seq_len": 18, "n_layer": 1, "tied": True}], ids=str)
def test_every_gradient_is_the_slope_of_the_loss(changes, central_differences):
    config = Config(**(TINY | changes))
    params, (ids, targets) = lively(config, 0), batch(config, 0, n_batch=1)
    model, grads = GPT(config, np.float64), Flat.empty(config, np.float64)
    model.loss_and_gradient(params, grads, ids, targets)
    found = grads.buffer.copy()
    # The product of receptance, key and value is of the third order: so are the differences.
    near, far = (central_differences(
        lambda: float(np.mean(model.token_losses(params, ids, targets))), params.buffer, step)
        for step in (4e-5, 8e-5))
    errors = worst(Flat.over(config, found).views, Flat.over(config, (4 * near - far) / 3).views)
    assert max(errors.values()) < 1e-6, errors


@KINDS
@TIMES
def test_loss_logits_and_every_gradient_are_those_of_the_twin(tied, n_time):
    pytest.importorskip("torch", reason="the twin is optional: python -m pip install torch")
    from tests.support.torch_twin import twin
    config = Config(**(TINY | {"seq_len": n_time}), tied=tied)
    params, (ids, targets) = lively(config, 1), batch(config, 1)
    model, grads = GPT(config, np.float64), Flat.empty(config, np.float64)
    logits, loss, wanted = twin(config, params.views, ids, targets)
    assert np.max(np.abs(model.logits(params, ids) - logits)) < 1e-10 * np.max(np.abs(logits))
    assert model.loss_and_gradient(params, grads, ids, targets) == pytest.approx(loss, rel=1e-12)
    errors = worst(grads.views, wanted)
    assert max(errors.values()) < 1e-10, errors


@KINDS
@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
def test_grouped_attention_is_that_of_the_twin(tied, n_kv_head):
    pytest.importorskip("torch", reason="the twin is optional: python -m pip install torch")
    from tests.support.torch_twin import twin
    config = Config(**(TINY | {"n_head": 4, "mixer": "attention", "seq_len": 70}), tied=tied,
                    n_kv_head=n_kv_head)
    params, (ids, targets) = lively(config, 1), batch(config, 1)
    model, grads = GPT(config, np.float64), Flat.empty(config, np.float64)
    logits, loss, wanted = twin(config, params.views, ids, targets)
    assert np.max(np.abs(model.logits(params, ids) - logits)) < 1e-10 * np.max(np.abs(logits))
    assert model.loss_and_gradient(params, grads, ids, targets) == pytest.approx(loss, rel=1e-12)
    assert max(worst(grads.views, wanted).values()) < 1e-10


@TIMES
def test_backward_twice_and_two_halves_give_the_same(n_time):
    config = Config(**(TINY | {"seq_len": n_time}))
    backward_leaves_and_adds(config, lively(config, 0), *batch(config, 0, n_batch=4))


@pytest.mark.parametrize("decay", [-30.0, -3.0, 3.0, FASTEST, 300.0])
def test_float32_stays_close_to_float64_however_fast_it_forgets(decay):
    config = Config(**(TINY | {"seq_len": 40}))
    params = lively(config, 0, np.float32)
    for name, view in params.views.items():
        if name.endswith("rwkv.decay"):
            view += decay
    exact = Flat.over(config, params.buffer.astype(np.float64))
    found = []
    for own, dtype in ((params, np.float32), (exact, np.float64)):
        grads = Flat.empty(config, dtype)
        loss = GPT(config, dtype).loss_and_gradient(own, grads, *batch(config, 0))
        found.append((loss, grads.buffer))
    (loss, grad), (loss_, grad_) = found
    assert loss == pytest.approx(loss_, rel=1e-4)
    assert np.max(np.abs(grad - grad_)) < 1e-3 * np.max(np.abs(grad_))


# --- learning --------------------------------------------------------------------------------


def test_one_batch_can_be_memorised():
    config = Config(n_embd=32, n_layer=2, n_head=2, vocab_size=257, seq_len=16, mixer="rwkv")
    params, grads = init_params(config, 0), Flat.empty(config)
    model, optimizer, data = GPT(config), make_optimizer(config), batch(config, 0, n_batch=2)
    losses = []
    for _ in range(60):
        losses.append(model.loss_and_gradient(params, grads, *data))
        norm = math.sqrt(sum_gradients(grads.buffer, []))
        optimizer.update(params, grads.buffer, 1e-2, min(1.0, 1.0 / norm),
                         slice(0, config.n_params))
    assert losses[0] == pytest.approx(math.log(257), abs=0.1)
    assert losses[-1] < 0.1


TEXT = Texts(np.arange(600, dtype=np.uint16) % 257, np.arange(100, dtype=np.uint16), 180)


@pytest.mark.parametrize("n_replicas", [1, 2])
def test_a_run_that_was_stopped_ends_with_the_same_bits(n_replicas):
    config = Config(**(TINY | {"seq_len": 20, "batch_size": 3}))
    whole, half, rest = (Trainer(config, 3, 6, TEXT, n_replicas) for _ in range(3))
    list(training(whole, eval_every=None))
    for _ in range(3):
        half.advance()
    rest.restore(half.arrays(), half.scalars())
    list(training(rest, eval_every=None))
    assert np.array_equal(rest.params.buffer, whole.params.buffer)
    assert rest.scalars() == whole.scalars()
    for run in (whole, half, rest):
        run.close()


def test_vectors_start_where_the_authors_start_them():
    first, last = (initial("decay", 8, layer, 4) for layer in (0, 3))
    assert first[[0, -1]] == pytest.approx([-6, -1])
    assert last[[0, -1]] == pytest.approx([-6, -1])
    assert np.all(last[1:-1] < first[1:-1])  # later layers remember longer
    assert initial("bonus", 8, 0, 4) == pytest.approx([0, .1, -.1, 0, .1, -.1, 0, .1])
    assert initial("mix", 8, 0, 1)[:8] == pytest.approx(1 - np.arange(8) / 8)
    assert np.all(initial("gain", 8, 0, 1) == 1)


def test_vectors_do_not_decay():
    params = init_params(Config(**TINY), 0)
    vectors = sum(view.size for view in params.views.values() if view.ndim == 1)
    assert params.n_decay == params.buffer.size - vectors


# --- sampling --------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [(40,), (1,) * 40, (3, 37), (16, 16, 8), (20, 1, 19)], ids=str)
def test_a_text_read_in_pieces_has_the_logits_of_the_whole(cuts):
    config = Config(**(TINY | {"seq_len": 40}))
    params, (ids, _) = lively(config, 0), batch(config, 0)
    model, past = GPT(config, np.float64), Past(config, len(ids), np.float64)
    whole, start = model.logits(params, ids), 0
    for n in cuts:
        logits = model.next_logits(params, ids[:, start : start + n], past)
        start += n
        assert logits == pytest.approx(whole[:, start - 1], rel=1e-11)
    assert past.length == 40


def test_the_state_does_not_grow_and_reaches_back_beyond_the_window():
    config = Config(**(TINY | {"seq_len": 8}))
    longer = Config(**(TINY | {"seq_len": 800}))
    assert Past(config, 3).nbytes == Past(longer, 3).nbytes == 4 * 3 * 2 * (8 * 4 + 8)
    params, ids = lively(config, 0), batch(longer, 0)[0][:, :50]
    model, past = GPT(config, np.float64), Past(config, 2, np.float64)
    for start in range(0, 50, 7):
        logits = model.next_logits(params, ids[:, start : start + 7], past)
    assert logits == pytest.approx(GPT(longer, np.float64).logits(params, ids)[:, -1], rel=1e-11)


def test_what_is_forgotten_leaves_no_trace():
    config = Config(**TINY)
    params, (ids, _) = lively(config, 0), batch(config, 0)
    model, past = GPT(config, np.float64), Past(config, 2, np.float64)
    first = model.next_logits(params, ids, past)
    past.forget()
    assert np.array_equal(model.next_logits(params, ids, past), first)
    assert past.length == ids.shape[1]


def test_a_continuation_beyond_the_window_follows_from_the_whole_text():
    config = Config(**(TINY | {"seq_len": 8}))
    params, prompt = lively(config, 0, np.float32), list(range(30))
    found, = continuations(GPT(config), params, [prompt], 12, np.random.default_rng(0), eot_id=-1,
                           sampling=Sampling(temperature=0.0))
    model, text = GPT(config), list(prompt)
    for token in found:
        logits = model.logits(params, np.array([text]))[0, -1]
        assert logits[token] == pytest.approx(logits.max(), abs=1e-4)
        text.append(token)
    assert len(found) == 12
