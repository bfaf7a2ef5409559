"""What is beside the plain model is its formula, exact in its gradients, and begins as nothing.

Of all three small ideas: pairs of tokens, scalars of the stream, the norm of queries and keys.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from engine.config import Config
from engine.model import stream
from engine.model.gpt import GPT, Flat, Past, init_params
from engine.model.workspace import Workspace
from engine.sampling import Sampling, continuations
from engine.training.train import Texts, Trainer, training
from tests.support.arrays import (
    DTYPES,
    STDS,
    backward_leaves_and_adds,
    draw,
    error,
    lively,
    spaces,
    step,
    worst,
)

TINY = Config(n_embd=8, n_layer=2, n_head=2, n_hidden=3, vocab_size=257, seq_len=5)
IDEAS = {"residual_scalars": True, "bigram_buckets": 7, "qk_norm": True}
KINDS = [TINY, replace(TINY, n_kv_head=1), replace(TINY, mixer="rwkv")]
# Every mixer and kind of heads, tied and not, with each idea and with all; rwkv has no keys.
EVERY = [replace(kind, tied=tied, **dict(ideas)) for kind, tied, ideas in itertools.product(
    KINDS, (True, False), (*([one] for one in IDEAS.items()), IDEAS.items()))
    if not (kind.mixer == "rwkv" and list(ideas) == [("qk_norm", True)])]
WHOLE = [replace(kind, **IDEAS) for kind in KINDS]
N_MOVED = 12  # entries of an array that are moved; the twin holds every one


def batch(config, seed, n_batch=2):
    rng = np.random.default_rng([seed, 5])
    ids = rng.integers(0, config.vocab_size, (n_batch, config.seq_len + 1), dtype=np.int32)
    ids[:, :2] = ids[0, 2:4]  # a repeated pair
    return ids[:, :-1], ids[:, 1:]


def named(config):
    return " ".join(config.describe().split()[3:]).replace(
        "n_head=2 n_hidden=3 vocab_size=257 seq_len=5 ", "")


# --- gradients of the whole model ------------------------------------------------------------


@pytest.mark.parametrize("config", EVERY, ids=named)
def test_every_gradient_is_the_slope_of_the_loss(config):
    params, (ids, targets) = lively(config, 0), batch(config, 0, n_batch=1)
    model, grads = GPT(config, np.float64), Flat.empty(config, np.float64)
    model.loss_and_gradient(params, grads, ids, targets)

    def slope(flat, i):
        found = []
        for h in (4e-5, 8e-5):  # RWKV's products are of the third order: so are the differences
            here, losses = flat[i], []
            for flat[i] in (here + h, here - h):
                losses.append(float(np.mean(model.token_losses(params, ids, targets))))
            flat[i] = here
            found.append((losses[0] - losses[1]) / (2 * h))
        return (4 * found[0] - found[1]) / 3

    for name, grad in grads.views.items():
        flat, moved = params.views[name].reshape(-1), moved_entries(grad)
        slopes = np.array([slope(flat, i) for i in moved])
        off = np.max(np.abs(slopes - grad.ravel()[moved])) / np.max(np.abs(grad))
        assert off < 1e-6, (name, off)


def moved_entries(grad):
    """Those of the largest gradient, and as many others."""
    largest = np.argsort(-np.abs(grad.ravel()))[:N_MOVED // 2]
    others = np.random.default_rng(0).permutation(grad.size)[:N_MOVED // 2]
    return np.unique(np.concatenate([largest, others]))


@pytest.mark.parametrize("config", EVERY, ids=named)
def test_loss_logits_and_every_gradient_are_those_of_the_twin(config):
    pytest.importorskip("torch", reason="the twin is optional: python -m pip install torch")
    from tests.support.torch_twin import twin
    params, (ids, targets) = lively(config, 1), batch(config, 1)
    model, grads = GPT(config, np.float64), Flat.empty(config, np.float64)
    logits, loss, wanted = twin(config, params.views, ids, targets)
    assert error(model.logits(params, ids), logits) < 1e-10
    assert model.loss_and_gradient(params, grads, ids, targets) == pytest.approx(loss, rel=1e-12)
    errors = worst(grads.views, wanted)
    assert max(errors.values()) < 1e-10, errors


@pytest.mark.parametrize("config", WHOLE, ids=named)
def test_backward_twice_and_two_halves_give_the_same(config):
    backward_leaves_and_adds(config, lively(config, 0), *batch(config, 0, n_batch=4))


@pytest.mark.parametrize("config", WHOLE, ids=named)
def test_float32_gradients_are_float32_and_close_to_float64(config):
    params = lively(config, 0, np.float32)
    exact = Flat.over(config, params.buffer.astype(np.float64))
    found = []
    for own, dtype in ((params, np.float32), (exact, np.float64)):
        found.append(Flat.empty(config, dtype))
        GPT(config, dtype).loss_and_gradient(own, found[-1], *batch(config, 0))
    assert found[0].buffer.dtype == np.float32
    assert max(worst(found[0].views, found[1].views).values()) < 2e-4


# --- how it begins ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_scalars_and_pairs_begin_as_the_plain_model_bit_for_bit(kind):
    config = replace(kind, residual_scalars=True, bigram_buckets=7)
    plain, other = init_params(kind, 3), init_params(config, 3)
    ids, targets = batch(kind, 0)
    assert all(np.array_equal(view, other.views[name]) for name, view in plain.views.items())
    assert np.array_equal(GPT(kind).logits(plain, ids), GPT(config).logits(other, ids))
    found, wanted = Flat.empty(config), Flat.empty(kind)
    assert GPT(config).loss_and_gradient(other, found, ids, targets) == GPT(
        kind).loss_and_gradient(plain, wanted, ids, targets)
    assert all(np.array_equal(found.views[name], view) for name, view in wanted.views.items())
    assert np.all(found.views["block1.residual"] != 0)
    assert np.any(found.views["bigram"] != 0)


@pytest.mark.parametrize("config", WHOLE, ids=named)
def test_scalars_and_gains_do_not_decay_and_the_table_of_pairs_does(config):
    params = Flat.over(config, np.arange(config.n_params))
    for name, view in params.views.items():
        is_vector = name.endswith(("residual", "q_gain", "k_gain"))
        assert not is_vector or view.ravel()[0] >= params.n_decay
    assert params.views["bigram"].max() < params.n_decay


def test_the_norm_makes_scores_of_weights_of_any_size_alike():
    config = replace(TINY, qk_norm=True)
    params, (ids, _) = init_params(config, 0, np.float64), batch(TINY, 0)
    for view in (params.views["block0.attn.qkv"], params.views["block1.attn.qkv"]):
        view *= 50.0  # past what the norm's ε could tell
    logits = GPT(config, np.float64).logits(params, ids)
    for i in range(2):
        params.views[f"block{i}.attn.qkv"][: 2 * TINY.n_embd] *= 1e3
    assert GPT(config, np.float64).logits(params, ids) == pytest.approx(logits, abs=1e-6)


# --- runs and samples ------------------------------------------------------------------------


@pytest.mark.parametrize("config", WHOLE, ids=named)
def test_a_run_that_was_stopped_ends_with_the_same_bits(config):
    text = Texts(np.arange(600, dtype=np.uint16) % 257, np.arange(100, dtype=np.uint16), 180)
    config = replace(config, seq_len=12, batch_size=3, grad_accum=2, lr=0.01)
    whole, half, rest = (Trainer(config, 3, 6, text, n_replicas=2) for _ in range(3))
    list(training(whole, eval_every=None))
    for _ in range(3):
        half.advance()
    rest.restore(half.arrays(), half.scalars())
    list(training(rest, eval_every=None))
    assert np.array_equal(rest.params.buffer, whole.params.buffer)
    assert rest.scalars() == whole.scalars()
    assert rest.train_loss < whole.first_loss
    moved = whole.params.views["block0.residual"]
    assert np.all(moved != (1.0, 0.0))
    for run in (whole, half, rest):
        run.close()


@pytest.mark.parametrize("config", EVERY[3::4], ids=named)
@pytest.mark.parametrize("cuts", [(1,) * 20, (7, 1, 12)], ids=["each", "pieces"])
def test_a_text_read_in_pieces_has_the_logits_of_the_whole(config, cuts):
    config = replace(config, seq_len=20)
    params, (ids, _) = lively(config, 0), batch(config, 0)
    model, past = GPT(config, np.float64), Past(config, len(ids), np.float64)
    whole, start = model.logits(params, ids), 0
    for n in cuts:
        logits = model.next_logits(params, ids[:, start : start + n], past)
        start += n
        assert logits == pytest.approx(whole[:, start - 1], rel=1e-10)
    past.forget()
    assert np.array_equal(model.next_logits(params, ids[:, :3], past),
                          model.next_logits(params, ids[:, :3], Past(config, 2, np.float64)))


@pytest.mark.parametrize("config", WHOLE, ids=named)
def test_a_continuation_beyond_the_window_is_what_its_window_says(config):
    """Attention reads the newer half again, whose first token then has none before it."""
    config = replace(config, seq_len=8)
    params, prompt = lively(config, 0, np.float32), list(range(6))
    found, = continuations(GPT(config), params, [prompt], 7, np.random.default_rng(0), eot_id=-1,
                           sampling=Sampling(temperature=0.0))
    text, start = list(prompt), 0
    for token in found:
        if config.mixer == "attention" and len(text) - start > 8:
            start = len(text) - 4
        logits = GPT(config).logits(params, np.array([text[start:]]))[0, -1]
        assert logits[token] == pytest.approx(logits.max(), abs=1e-4)
        text.append(token)


# --- its parts -------------------------------------------------------------------------------


def test_buckets_are_those_of_splitmix64():
    """1234567 gives 6457827717110365317 first: the published test vector of the generator."""
    assert stream.buckets(np.array([[1234567]]), None, 65521) == 6457827717110365317 % 65521


def test_a_bucket_is_of_the_token_and_the_one_before_wherever_they_stand():
    ids = np.array([[3, 5, 3, 5], [9, 3, 5, 0]], np.int32)
    found = stream.buckets(ids, None, 60_000).reshape(2, 4)
    assert found[0, 1] == found[0, 3] == found[1, 2]
    assert len({*found.ravel().tolist()}) == 6  # 3 5 three times
    alone = [stream.buckets(ids[:, i : i + 1], ids[:, i - 1] if i else None, 60_000)
             for i in range(4)]
    assert np.array_equal(np.stack(alone, axis=1), found)
    assert np.array_equal(stream.buckets(ids.astype(np.int64), None, 60_000), found.ravel())


def test_pairs_are_spread_evenly_over_the_buckets():
    pairs = np.array([[a, b] for a in range(100) for b in range(100)])
    counts = np.bincount(stream.buckets(pairs, None, 50)[1::2], minlength=50)
    assert np.sum((counts - 200) ** 2 / 200) < 90  # χ² with 49 degrees: 1 in 3,000 is above


@STDS
def test_reweighed_backward_is_the_slope_of_its_forward(std, central_differences):
    x, x0, share = draw(std, 6, 4), draw(1, 6, 4, seed=1), np.array([0.7, -1.3])
    dy, dx0, dshare = draw(1, 6, 4, seed=2), np.ones((6, 4)), np.zeros(2)
    buf, tmp = spaces()

    def weighted_sum():
        y = x.copy()
        stream.reweighed(y, x0, share, *spaces())
        return np.sum(y * dy)

    y = x.copy()
    cache = stream.reweighed(y, x0, share, buf, tmp)
    assert y == pytest.approx(0.7 * x - 1.3 * x0, rel=1e-13)
    for _ in range(2):  # twice the same
        dx, dx0[...] = dy.copy(), 1.0
        stream.reweighed_backward(dx, dx0, cache, dshare, tmp, accumulate=False)
        for got, of in ((dx, x), (dx0 - 1.0, x0), (dshare, share)):
            assert error(got, central_differences(weighted_sum, of, step(std))) < 1e-6


@DTYPES
def test_the_stream_keeps_its_dtype(dtype):
    ids, ws = np.array([[1, 2, 1]]), Workspace(dtype)
    tables = {"embed": draw(1, 5, 4).astype(dtype), "bigram": draw(1, 3, 4).astype(dtype)}
    x = stream.embedded(ids, tables, None, ws)
    assert x == pytest.approx(tables["embed"][[1, 2, 1]] + tables["bigram"][
        stream.buckets(ids, None, 3)], rel=1e-6)
    n, r, _ = stream.first(x, ws.at("x0"))
    cache = stream.reweighed(x, n, np.ones(2, dtype), ws, ws)
    dshare = np.zeros(2, dtype)
    stream.reweighed_backward(x, np.zeros_like(x), cache, dshare, ws.at("tmp"), False)
    assert (x.dtype, n.dtype, r.dtype, dshare.dtype) == (dtype,) * 4
