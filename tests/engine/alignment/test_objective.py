"""Losses against golden values computed elsewhere; their gradients through the whole model.

Held against central differences, and a twin in torch.
"""

import itertools
import math

import numpy as np
import pytest

from engine.alignment import objective
from engine.alignment.objective import NATS, PAIRWISE, Recipe
from engine.alignment.pairs import Spelt, batch_of
from engine.config import Config
from engine.errors import ConfigError
from engine.model.gpt import GPT, Flat, init_params

SHAPE = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_hidden": 6, "vocab_size": 260, "seq_len": 32}
KINDS = {"untied": {}, "tied": {"tied": True}, "grouped": {"n_head": 4, "n_kv_head": 2},
         "rwkv": {"mixer": "rwkv"}}
# Two pairs, of prompts and answers of different lengths: chosen, chosen, rejected, rejected.
TEXTS = [Spelt((0, 5, 9, 7, 3, 0), 3), Spelt((0, 4, 4, 8, 1, 6, 2, 9, 0), 2),
         Spelt((0, 5, 9, 1, 0), 3), Spelt((0, 4, 6, 6, 6, 0), 2)]
BATCH = batch_of(TEXTS, 32, 0)
REFERENCE = np.array([[-14.0, -13.5], [-31.0, -19.0]])

# Sums of ln P: policy −10 and −12, reference −11 and −11.5. From the published formulas, float64.
MARGIN = (-10 - -11) - (-12 - -11.5)
GOLDEN = {
    ("sigmoid", 0.1): 0.6209570477895321, ("sigmoid", 0.5): 0.38687100611489994,
    ("conservative", 0.1): 0.6359570477895321, ("conservative", 0.5): 0.46187100611489995,
    ("ipo", 0.1): 12.25, ("ipo", 0.5): 0.25, ("hinge", 0.1): 0.85, ("hinge", 0.5): 0.25}
SLOPES = {0.1: -0.04625701546562505, 0.5: -0.1604106504123035}  # of sigmoid, by ln π(chosen)


@pytest.mark.parametrize(("kind", "beta"), GOLDEN)
def test_losses_are_the_published_ones(kind, beta):
    loss, _ = Recipe(kind, beta).of(np.array([MARGIN]))
    assert loss[0] == pytest.approx(GOLDEN[kind, beta], abs=1e-15, rel=1e-15)


@pytest.mark.parametrize("beta", SLOPES)
def test_the_slope_of_dpo_is_the_published_one(beta):
    assert Recipe("sigmoid", beta).of(np.array([MARGIN]))[1][0] == pytest.approx(
        SLOPES[beta], rel=1e-14)


def test_a_policy_that_is_its_reference_loses_ln_2():
    assert Recipe("sigmoid", 0.1).of(np.zeros(1))[0][0] == math.log(2) == 0.6931471805599453


@pytest.mark.parametrize("kind", PAIRWISE)
@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_every_slope_is_that_of_its_loss(kind, beta):
    margins, h = np.array([-300.0, -7.0, -0.4, 0.0, 0.3, 2.5, 9.0, 300.0]), 1e-5
    recipe = Recipe(kind, beta)
    slopes = (recipe.of(margins + h)[0] - recipe.of(margins - h)[0]) / (2 * h)
    found = recipe.of(margins)[1]
    assert np.all(np.isfinite(found))
    assert np.abs(found - slopes).max() < 1e-6 * max(1.0, np.abs(found).max())


def model_of(kind, seed=1):
    config = Config(**SHAPE | KINDS[kind])
    params = init_params(config, seed, np.float64)
    params.buffer[:] += 0.3 * np.random.default_rng(seed).standard_normal(params.buffer.size)
    return GPT(config, np.float64), params, Flat.empty(config, np.float64)


def of_answers(gpt, params):
    """ln P of each answer, from the logits, one text at a time, without padding."""
    found = []
    for text in TEXTS:
        z = gpt.logits(params, np.array([text.ids[:-1]]))[0]
        z = z - z.max(-1, keepdims=True)
        logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
        found.append(sum(logs[i - 1, text.ids[i]] for i in range(text.n_given, len(text.ids))))
    return np.array(found)


def mean_loss(gpt, params, recipe):
    sums = of_answers(gpt, params)
    if recipe.loss == NATS:
        return -sums.sum() / BATCH.is_scored.sum()
    margins = (sums[:2] - REFERENCE[:, 0]) - (sums[2:] - REFERENCE[:, 1])
    return recipe.of(margins)[0].mean()


def step(gpt, params, grads, recipe, **how):
    if recipe.loss == NATS:
        share = 1 / BATCH.is_scored.sum()
        return share * objective.step(gpt, params, grads, BATCH, None, recipe, share, **how)[0]
    return objective.step(gpt, params, grads, BATCH, REFERENCE, recipe, 0.5, **how)[0] / 2


@pytest.mark.parametrize(("kind", "loss"), [
    *itertools.product(("tied", "untied", "grouped"), (*PAIRWISE, NATS)), ("rwkv", "sigmoid")])
def test_every_gradient_is_the_slope_of_the_loss_of_unpadded_texts(kind, loss):
    """Along random directions in each parameter of the whole model, and at its largest entry."""
    gpt, params, grads = model_of(kind)
    recipe, rng, h = Recipe(loss, 0.3), np.random.default_rng(0), 1e-5
    assert step(gpt, params, grads, recipe) == pytest.approx(mean_loss(gpt, params, recipe),
                                                             rel=1e-12)
    largest = np.abs(grads.buffer).max()
    for name, g in grads.views.items():
        direction = rng.standard_normal(g.shape)
        at, peak = params.views[name], np.zeros_like(g)
        peak.flat[np.abs(g).argmax()] = 1.0
        for way in (direction, peak):
            before = at.copy()
            at[...] = before + h * way
            above = mean_loss(gpt, params, recipe)
            at[...] = before - h * way
            slope = (above - mean_loss(gpt, params, recipe)) / (2 * h)
            at[...] = before
            assert abs(slope - np.sum(g * way)) < 1e-6 * largest * max(
                1.0, np.abs(way).sum()), name


def test_the_prompt_is_not_scored_and_passes_accumulate():
    gpt, params, grads = model_of("untied")
    recipe, twice = Recipe("sigmoid", 0.3), Flat.empty(gpt.config, np.float64)
    step(gpt, params, grads, recipe)
    step(gpt, params, twice, recipe)
    step(gpt, params, twice, recipe, accumulate=True)
    assert np.abs(twice.buffer - 2 * grads.buffer).max() < 1e-14
    assert [row.sum() for row in BATCH.is_scored] == [3, 7, 2, 4]
    assert [BATCH.targets[i][BATCH.is_scored[i]].tolist() for i in (0, 3)] == [
        [7, 3, 0], [6, 6, 6, 0]]


@pytest.mark.parametrize("loss", PAIRWISE)
@pytest.mark.parametrize("kind", ["tied", "untied", "grouped"])
def test_thirty_steps_are_those_of_a_twin_in_torch(kind, loss):
    torch = pytest.importorskip("torch",
                                reason="the twin is optional: python -m pip install torch")
    from tests.support.torch_twin import answers

    gpt, params, grads = model_of(kind)
    recipe, rate = Recipe(loss, 0.3), 0.01 if loss != "ipo" else 0.003
    twin = {name: torch.tensor(np.array(x), requires_grad=True)
            for name, x in params.views.items()}
    reference = torch.tensor(REFERENCE)
    losses, expected = [], []
    for _ in range(30):
        losses.append(step(gpt, params, grads, recipe))
        params.buffer[:] -= rate * grads.buffer
        sums = torch.stack([answers(gpt.config, twin, text.ids, text.n_given) for text in TEXTS])
        m = recipe.beta * ((sums[:2] - reference[:, 0]) - (sums[2:] - reference[:, 1]))
        log_sigmoid, e = torch.nn.functional.logsigmoid, objective.EPSILON
        value = {"sigmoid": -log_sigmoid(m), "hinge": torch.relu(1 - m),
                 "conservative": -(1 - e) * log_sigmoid(m) - e * log_sigmoid(-m),
                 "ipo": (m / recipe.beta - 1 / (2 * recipe.beta)) ** 2}[loss].mean()
        slopes = torch.autograd.grad(value, list(twin.values()))
        with torch.no_grad():
            for x, slope in zip(twin.values(), slopes, strict=True):
                x -= rate * slope
        expected.append(value.item())
    assert expected[-1] < expected[0]
    assert np.abs(np.subtract(losses, expected)).max() < 1e-8
    assert max(np.abs(params.views[name] - x.detach().numpy()).max()
               for name, x in twin.items()) < 1e-8


@pytest.mark.parametrize(("changes", "told"), [
    ({"loss": "kto"}, "there is no loss 'kto'; use sigmoid"),
    ({"beta": 0.0}, "beta=0 is out of range"), ({"beta": float("nan")}, "beta=nan is out of")])
def test_a_recipe_out_of_range_is_told(changes, told):
    with pytest.raises(ConfigError, match=told):
        Recipe(**changes)
