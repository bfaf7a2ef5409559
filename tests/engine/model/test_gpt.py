"""The whole GPT agrees with PyTorch, with its own slopes and with its predicted memory."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from engine.config import EVAL_LOGITS, EVAL_TOKENS, Config
from engine.model.gpt import GPT, Flat, Past, init_params
from engine.model.layers import cross_entropy
from engine.native import NUMPY, exponential
from engine.training.evaluate import score_model
from engine.training.optim import make_optimizer, sum_gradients
from tests.support.arrays import batch, lively, worst

TINY = {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_hidden": 5, "vocab_size": 257, "seq_len": 4}
KINDS = pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
SEEDS = pytest.mark.parametrize("seed", [0, 1])


def gradient(config, params, ids, targets, **how):
    grads = Flat.empty(config, params.buffer.dtype)
    loss = GPT(config, params.buffer.dtype).loss_and_gradient(params, grads, ids, targets, **how)
    return loss, grads


# --- gradients -------------------------------------------------------------------------------


@KINDS
@SEEDS
def test_every_gradient_is_the_slope_of_the_loss(tied, seed, central_differences):
    config = Config(**TINY, tied=tied)
    params, (ids, targets) = lively(config, seed), batch(config, seed)
    _, grads = gradient(config, params, ids, targets)
    model = GPT(config, np.float64)

    def loss():
        return float(np.mean(model.token_losses(params, ids, targets)))

    slopes = Flat.over(config, central_differences(loss, params.buffer, 1e-5))
    errors = worst(grads.views, slopes.views)
    assert max(errors.values()) < 1e-6, errors


@pytest.mark.parametrize(("power", "nats"), [(np.exp, 1.0), (np.exp2, math.log(2.0))],
                         ids=["e", "2"])
def test_either_base_of_the_exponential_gives_the_same_loss_and_gradient(power, nats, monkeypatch):
    """Which one is used depends on what the processor does fast."""
    config = Config(**TINY)
    params, data = lively(config, 0), batch(config, 0)
    loss, grads = gradient(config, params, *data)
    last = GPT(config, np.float64).next_logits(params, data[0], Past(config, 2, np.float64))
    monkeypatch.setattr(exponential, "POWER", power)
    monkeypatch.setattr(exponential, "NATS", nats)
    loss_, grads_ = gradient(config, params, *data)
    last_ = GPT(config, np.float64).next_logits(params, data[0], Past(config, 2, np.float64))
    assert loss_ == pytest.approx(loss, rel=1e-13)
    assert max(worst(grads_.views, grads.views).values()) < 1e-12
    assert last_ == pytest.approx(last, rel=1e-12)


@KINDS
def test_backward_twice_changes_nothing(tied):
    config = Config(**TINY, tied=tied)
    params, grads = lively(config, 0), Flat.empty(config, np.float64)
    model = GPT(config, np.float64)
    _, cache = model.loss(params, *batch(config, 0))
    model.backward(params, grads, cache)
    first = grads.buffer.copy()
    model.backward(params, grads, cache)
    assert np.array_equal(grads.buffer, first)


@KINDS
def test_gradients_of_two_batches_do_not_depend_on_what_came_before(tied):
    config = Config(**TINY, tied=tied)
    params, model, grads = lively(config, 0), GPT(config, np.float64), Flat.empty(config, float)
    model.loss_and_gradient(params, grads, *batch(config, 1, n_batch=3))
    model.loss_and_gradient(params, grads, *batch(config, 0))
    assert np.array_equal(grads.buffer, gradient(config, params, *batch(config, 0))[1].buffer)


@KINDS
def test_gradients_have_the_names_and_layout_of_the_parameters(tied):
    config = Config(**TINY, tied=tied)
    params = init_params(config, 0)
    _, grads = gradient(config, params, *batch(config, 0))
    assert list(grads.views) == list(params.views) == list(config.shapes())
    assert {n: v.shape for n, v in grads.views.items()} == config.shapes()
    assert {n: v.shape for n, v in params.views.items()} == config.shapes()


@KINDS
def test_two_half_batches_accumulate_to_one_whole(tied):
    config = Config(**TINY, tied=tied)
    params, (ids, targets) = lively(config, 0), batch(config, 0, n_batch=4)
    whole_loss, whole = gradient(config, params, ids, targets)
    model, grads = GPT(config, np.float64), Flat.empty(config, np.float64)
    first = model.loss_and_gradient(params, grads, ids[:2], targets[:2], share=0.5)
    second = model.loss_and_gradient(params, grads, ids[2:], targets[2:], share=0.5,
                                     accumulate=True)
    assert (first + second) / 2 == pytest.approx(whole_loss, rel=1e-14)
    assert max(worst(grads.views, whole.views).values()) < 1e-12


@KINDS
def test_float32_gradients_are_float32_and_close_to_float64(tied):
    config = Config(**TINY, tied=tied)
    params = lively(config, 0, np.float32)
    exact = Flat.over(config, params.buffer.astype(np.float64))
    _, grads = gradient(config, params, *batch(config, 0))
    _, wanted = gradient(config, exact, *batch(config, 0))
    assert grads.buffer.dtype == np.float32
    assert max(worst(grads.views, wanted.views).values()) < 1e-5


# --- grouped heads ---------------------------------------------------------------------------

GROUPED = TINY | {"n_head": 4, "n_kv_head": 2}


@KINDS
@SEEDS
@pytest.mark.parametrize("n_kv_head", [1, 2])
def test_every_gradient_of_grouped_heads_is_the_slope_of_the_loss(
        tied, seed, n_kv_head, central_differences):
    config = Config(**(GROUPED | {"n_kv_head": n_kv_head}), tied=tied)
    params, (ids, targets) = lively(config, seed), batch(config, seed)
    _, grads = gradient(config, params, ids, targets)
    model = GPT(config, np.float64)

    def loss():
        return float(np.mean(model.token_losses(params, ids, targets)))

    slopes = Flat.over(config, central_differences(loss, params.buffer, 1e-5))
    errors = worst(grads.views, slopes.views)
    assert max(errors.values()) < 1e-6, errors


def test_as_many_key_heads_as_heads_is_plain_attention_bit_for_bit():
    plain, grouped = Config(), Config(n_kv_head=4)
    params, data = init_params(plain, 0), batch(plain, 0)
    assert np.array_equal(init_params(grouped, 0).buffer, params.buffer)
    loss, grads = gradient(plain, params, *data)
    loss_, grads_ = gradient(grouped, params, *data)
    assert loss == loss_
    assert np.array_equal(grads.buffer, grads_.buffer)


@pytest.mark.parametrize("piece", [1, 3])
def test_grouped_logits_read_in_pieces_are_those_of_the_whole(piece):
    config = Config(**GROUPED)
    params, (ids, _) = lively(config, 0), batch(config, 0)
    model, past = GPT(config, np.float64), Past(config, len(ids), np.float64)
    whole = model.logits(params, ids)
    for start in range(0, ids.shape[1], piece):
        part = ids[:, start : start + piece]
        logits = model.next_logits(params, part, past)
        assert logits == pytest.approx(whole[:, past.length - 1], rel=1e-12)


@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
def test_the_cache_of_keys_and_values_shrinks_by_the_factor(n_kv_head):
    plain, grouped = (Past(Config(n_kv_head=n), 3) for n in (None, n_kv_head))
    assert grouped.nbytes * 4 == plain.nbytes * n_kv_head


# --- PyTorch ---------------------------------------------------------------------------------


class Reference:
    """What tests/reference/make_reference.py wrote, for one kind of model."""

    def __init__(self, tied):
        with np.load(Path(__file__).parents[2] / "reference" / "gpt.npz") as file:
            kind = "tied." if tied else "untied."
            own = {k.removeprefix(kind): file[k] for k in file.files if k.startswith(kind)}
            self.batches, self.lrs = file["batches"], file["lrs"]
            about = json.loads(str(file["about"]))
        assert about["version"] == 2, about["command"]
        self.config = Config(**about["shape"], **about["recipe"], tied=tied)
        self.logits, self.losses, self.norms = own["logits"], own["losses"], own["norms"]
        self.grads = {k.removeprefix("grad."): v for k, v in own.items() if k.startswith("grad.")}
        self.weights = {k.removeprefix("param."): v
                        for k, v in own.items() if k.startswith("param.")}

    def params(self, dtype):
        params = Flat.empty(self.config, dtype)
        for name, view in params.views.items():
            view[...] = self.weights[name]
        return params

    def batch(self, i):
        return self.batches[i, :, :-1], self.batches[i, :, 1:]


@KINDS
def test_loss_and_every_gradient_equal_pytorch_in_float64(tied):
    reference = Reference(tied)
    loss, grads = gradient(reference.config, reference.params(np.float64), *reference.batch(0))
    assert loss == pytest.approx(reference.losses[0], rel=1e-12)
    assert grads.views.keys() == reference.grads.keys()
    errors = worst(grads.views, reference.grads)
    assert max(errors.values()) < 1e-10, errors


@KINDS
def test_loss_and_every_gradient_equal_pytorch_in_float32(tied):
    reference = Reference(tied)
    loss, grads = gradient(reference.config, reference.params(np.float32), *reference.batch(0))
    assert loss == pytest.approx(reference.losses[0], rel=1e-5)
    errors = worst(grads.views, reference.grads)
    assert max(errors.values()) < 1e-5, errors


@KINDS
def test_token_losses_equal_those_of_pytorch_logits(tied):
    reference = Reference(tied)
    ids, targets = reference.batch(0)
    nats = cross_entropy(reference.logits.T.copy(), targets.ravel(), None)
    model = GPT(reference.config, np.float64)
    assert model.token_losses(reference.params(np.float64), ids, targets) == pytest.approx(
        nats, rel=1e-12)


@KINDS
@pytest.mark.parametrize("piece", [1, 3, 8])
def test_logits_read_in_pieces_equal_pytorch(tied, piece):
    reference = Reference(tied)
    ids, _ = reference.batch(0)
    model, past = GPT(reference.config), Past(reference.config, len(ids))
    ends = [min(start + piece, 8) for start in range(0, 8, piece)]
    logits = [model.next_logits(reference.params(np.float32), ids[:, past.length : end], past)
              for end in ends]
    wanted = reference.logits.reshape(*ids.shape, -1)[:, [end - 1 for end in ends]]
    assert past.length == 8
    assert np.stack(logits, axis=1) == pytest.approx(wanted, rel=1e-5, abs=1e-5)


@KINDS
def test_ten_adamw_updates_have_the_losses_and_norms_of_pytorch(tied):
    reference = Reference(tied)
    config = reference.config
    params, model = reference.params(np.float32), GPT(config)
    optimizer, whole = make_optimizer(config), slice(0, config.n_params)
    grads, losses, norms = Flat.empty(config), [], []
    for i, lr in enumerate(reference.lrs):
        losses.append(model.loss_and_gradient(params, grads, *reference.batch(i)))
        norms.append(math.sqrt(sum_gradients(grads.buffer, [])))
        optimizer.update(params, grads.buffer, lr, min(1.0, config.clip / norms[-1]), whole)
    assert losses == pytest.approx(reference.losses, rel=1e-5)
    assert norms == pytest.approx(reference.norms, rel=1e-4)


# --- what a fresh model is -------------------------------------------------------------------


def test_the_default_model_has_the_published_size():
    assert Config().n_params == 1_311_872
    assert init_params(Config(), 0).buffer.size == 1_311_872


@KINDS
def test_loss_at_initialisation_is_that_of_guessing(tied):
    config = Config(tied=tied)
    model, (ids, targets) = GPT(config), batch(config, 0, n_batch=8)
    loss = float(np.mean(model.token_losses(init_params(config, 0), ids, targets)))
    assert loss == pytest.approx(math.log(1024), abs=0.05)


def test_initial_matrices_have_gpt2_spread_and_gains_are_one():
    views = init_params(Config(), 0).views
    spread = {name: float(view.std()) for name, view in views.items() if view.ndim == 2}
    residual = {n: s for n, s in spread.items() if n.endswith(("attn.proj", "mlp.down"))}
    others = {n: s for n, s in spread.items() if n not in residual}
    assert list(residual.values()) == pytest.approx([0.02 / math.sqrt(8)] * 8, rel=0.02)
    assert list(others.values()) == pytest.approx([0.02] * 10, rel=0.02)
    assert all(np.all(view == 1) for view in views.values() if view.ndim == 1)


def test_initialisation_depends_on_the_seed_alone():
    config = Config(**TINY)
    first, again, other = (init_params(config, seed).buffer for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@KINDS
def test_parameters_are_views_into_one_buffer_with_the_gains_last(tied):
    config = Config(**TINY, tied=tied)
    params = Flat.over(config, np.arange(config.n_params, dtype=np.float64))
    assert np.array_equal(np.concatenate([view.ravel() for view in params.views.values()]),
                          params.buffer)
    assert all(np.shares_memory(view, params.buffer) for view in params.views.values())
    is_gain = [view.ndim == 1 for view in params.views.values()]
    assert is_gain == sorted(is_gain)
    gains = [view for view in params.views.values() if view.ndim == 1]
    assert params.n_decay == gains[0][0] == config.n_params - sum(gain.size for gain in gains)


@KINDS
def test_one_batch_can_be_memorised(tied):
    config = Config(n_embd=32, n_layer=2, n_head=2, vocab_size=257, seq_len=16, tied=tied)
    params, grads = init_params(config, 0), Flat.empty(config)
    model, optimizer, data = GPT(config), make_optimizer(config), batch(config, 0, n_batch=2)
    losses, whole = [], slice(0, config.n_params)
    for _ in range(60):
        losses.append(model.loss_and_gradient(params, grads, *data))
        norm = math.sqrt(sum_gradients(grads.buffer, []))
        optimizer.update(params, grads.buffer, 1e-2, min(1.0, 1.0 / norm), whole)
    assert losses[0] > 5
    assert losses[-1] < 0.1


# --- evaluation and memory -------------------------------------------------------------------


def test_the_head_in_blocks_gives_the_losses_of_the_whole():
    config = Config(n_embd=8, n_layer=1, n_head=1, vocab_size=32768, seq_len=25)
    params, (ids, targets) = lively(config, 0, np.float32), batch(config, 0)
    assert 1 < ids.size / (EVAL_LOGITS / config.vocab_size) < 2  # two blocks, the second shorter
    nats = GPT(config).token_losses(params, ids, targets)
    assert nats.shape == (ids.size,)
    assert np.mean(nats) == pytest.approx(GPT(config).loss(params, ids, targets)[0], rel=1e-6)


def test_a_shorter_window_is_scored_as_its_beginning():
    config = Config(**TINY)
    params, (ids, targets) = lively(config, 0), batch(config, 0)
    model = GPT(config, np.float64)
    whole = model.token_losses(params, ids, targets).reshape(ids.shape).copy()
    short = model.token_losses(params, ids[:, :3], targets[:, :3]).reshape(-1, 3)
    assert short == pytest.approx(whole[:, :3], rel=1e-13)


@pytest.mark.parametrize("changes", [
    {}, {"tied": True}, {"grad_accum": 3}, {"n_hidden": 13}, {"n_hidden": 1}, {"batch_size": 40},
    {"batch_size": 1, "seq_len": 1100, "n_head": 1}, {"seq_len": 4}, {"n_layer": 5},
    {"n_embd": 8, "n_head": 4}, {"vocab_size": 5000, "grad_accum": 2, "tied": True},
    {"n_embd": 48, "n_head": 3, "seq_len": 100, "n_hidden": 200, "grad_accum": 2},
    {"seq_len": 64}, {"seq_len": 127}, {"seq_len": 128, "n_head": 8, "batch_size": 20},
    {"n_head": 4, "n_kv_head": 1}, {"n_head": 4, "n_kv_head": 2, "grad_accum": 2, "seq_len": 130},
    {"n_embd": 64, "n_head": 4, "n_kv_head": 1, "n_hidden": 1}, {"n_kv_head": 1, "seq_len": 128},
    {"n_head": 8, "n_kv_head": 2, "seq_len": 300, "batch_size": 40},
    *({"mixer": "rwkv"} | more for more in (
        {}, {"seq_len": 4}, {"seq_len": 5}, {"n_hidden": 1}, {"seq_len": 100, "grad_accum": 2},
        {"n_embd": 64, "n_head": 4, "seq_len": 130}, {"batch_size": 40, "n_layer": 1},
        {"seq_len": 1100, "batch_size": 1}, {"batch_size": 1, "n_layer": 3, "seq_len": 24})),
    {"residual_scalars": True}, {"residual_scalars": True, "n_layer": 1, "seq_len": 300},
    {"bigram_buckets": 60_000, "grad_accum": 2}, {"qk_norm": True, "n_hidden": 1},
    {"qk_norm": True, "n_head": 4, "n_kv_head": 1, "batch_size": 40},
    {"qk_norm": True, "residual_scalars": True, "bigram_buckets": 9, "batch_size": 1, "tied": True},
    {"mixer": "rwkv", "residual_scalars": True, "bigram_buckets": 9, "seq_len": 18},
    {"seq_len": 2048, "batch_size": 1, "n_hidden": 300}, {"n_hidden": 2000, "batch_size": 1},
], ids=str)
def test_the_workspace_takes_exactly_the_predicted_memory(changes):
    config = Config(**({"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 300, "seq_len": 32,
                        "batch_size": 3} | changes))
    params, grads = init_params(config, 0), Flat.empty(config)
    model = GPT(config, kernels=NUMPY)  # kernels take less
    data = batch(config, 0, config.batch_size)
    for i in range(config.grad_accum):
        model.loss_and_gradient(params, grads, *data, accumulate=i > 0)
    valid = np.zeros(max(EVAL_TOKENS, config.seq_len) + 3, np.uint16)  # a full pass and a rest
    score_model(model, params, valid, valid.size)
    assert model.workspace.nbytes == 4 * config.workspace_floats


def test_another_step_takes_no_more_memory():
    config = Config(**TINY)
    params, grads, model = init_params(config, 0), Flat.empty(config), GPT(config)
    model.loss_and_gradient(params, grads, *batch(config, 0))
    before = model.workspace.nbytes
    model.loss_and_gradient(params, grads, *batch(config, 1))
    model.loss_and_gradient(params, grads, *batch(config, 1, n_batch=1))
    assert model.workspace.nbytes == before
