"""Optimizers follow their papers, written out here in float64; schedules begin and end right.

AdamW is also held against PyTorch's own, in test_model.py.
"""

import math

import numpy as np
import pytest

from engine.config import OPTIMIZERS, SCHEDULES, Config
from engine.model.gpt import Flat
from engine.training.optim import (
    BLOCK,
    EPS,
    decay_rate,
    learning_rate,
    make_optimizer,
    shares,
    sum_gradients,
)

SHAPE = {"n_embd": 40, "n_layer": 1, "n_head": 2, "vocab_size": 1000}
OPTIMIZER = pytest.mark.parametrize("optimizer", OPTIMIZERS)
# (learning rate, factor that clipping puts on the gradient) of six updates
UPDATES = [(1e-3, 1.0), (2e-3, 0.5), (3e-3, 1.0), (3e-3, 0.1), (3e-3, 1.0), (1e-3, 0.7)]


def start(config):
    rng = np.random.default_rng(1)
    return Flat.over(config, rng.standard_normal(config.n_params).astype(np.float32))


def slope(point, i):
    """Gradient of a bowl with a different middle at every update, so that it depends on both."""
    middle = np.random.default_rng([2, i]).standard_normal(point.size)
    return 0.3 * (point - middle)


def update(optimizer, params, grads, lr, scale):
    optimizer.update(params, grads, lr, scale, slice(0, params.buffer.size))


def run(optimizer, config):
    """The engine's parameters after every update."""
    params, points = start(config), []
    for i, (lr, scale) in enumerate(UPDATES):
        grads = slope(params.buffer.astype(np.float64), i).astype(np.float32)
        update(optimizer, params, grads, lr, scale)
        points.append(params.buffer.copy())
    return params, points


def decayed(p, u, lr, config):
    """λp of every entry at an update u: matrices only, and only where and when the fields say."""
    rate = np.concatenate([np.full(math.prod(shape), config.weight_decay * (len(shape) == 2))
                           for shape in config.shapes().values()])
    if config.scheduled_decay:
        rate = rate * lr / config.lr
    return rate * p * ((u * p >= 0) if config.cautious_decay else 1.0)


def adamw(p, config):
    beta1, beta2 = config.beta1, config.beta2
    m, v = np.zeros_like(p), np.zeros_like(p)
    for i, (lr, scale) in enumerate(UPDATES):
        g = scale * slope(p, i)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1 ** (i + 1)), v / (1 - beta2 ** (i + 1))
        u = m_hat / (np.sqrt(v_hat) + EPS)
        p = p - lr * (u + decayed(p, u, lr, config))
        yield p


def lion(p, config):
    beta1, beta2 = config.beta1, config.beta2
    m = np.zeros_like(p)
    for i, (lr, scale) in enumerate(UPDATES):
        g = scale * slope(p, i)
        u = np.sign(beta1 * m + (1 - beta1) * g)
        p = p - lr * (u + decayed(p, u, lr, config))
        m = beta2 * m + (1 - beta2) * g
        yield p


def schedule_free(x, config):
    """Keeps x, y and z; yields y, where the next gradient is taken, and the average x."""
    beta1, beta2 = config.beta1, config.beta2
    z, v, weights = x, np.zeros_like(x), 0.0
    for i, (lr, scale) in enumerate(UPDATES):
        y = (1 - beta1) * z + beta1 * x
        g = scale * slope(y, i)
        v = beta2 * v + (1 - beta2) * g**2
        u = g / (np.sqrt(v / (1 - beta2 ** (i + 1))) + EPS)
        z = z - lr * (u + decayed(y, u, lr, config))
        weights += lr**2
        c = lr**2 / weights
        x = (1 - c) * x + c * z
        yield (1 - beta1) * z + beta1 * x, x


def distance(points, wanted):
    """Largest difference of any entry at any update; an update moves entries by about lr."""
    return np.max(np.abs(np.array(points, np.float64) - np.array(wanted)))


DECAYS = pytest.mark.parametrize("decays", [
    {}, {"cautious_decay": True}, {"scheduled_decay": True},
    {"cautious_decay": True, "scheduled_decay": True}], ids=str)


@DECAYS
@pytest.mark.parametrize(("optimizer", "reference"), [("adamw", adamw), ("lion", lion)])
def test_every_update_is_that_of_the_paper(optimizer, reference, decays):
    config = Config(**SHAPE, optimizer=optimizer, weight_decay=5.0, beta1=0.8, **decays)
    _, points = run(make_optimizer(config), config)
    wanted = list(reference(start(config).buffer.astype(np.float64), config))
    assert distance(points, wanted) < 2e-6


@pytest.mark.parametrize("decays", [{}, {"cautious_decay": True}], ids=str)
def test_schedule_free_trains_at_y_and_evaluates_at_x(decays):
    config = Config(**SHAPE, optimizer="schedule_free", weight_decay=5.0, beta1=0.8, **decays)
    optimizer = make_optimizer(config)
    params, points = run(optimizer, config)
    wanted = list(schedule_free(start(config).buffer.astype(np.float64), config))
    assert distance(points, [y for y, _ in wanted]) < 2e-6
    out = np.empty_like(params.buffer)
    assert optimizer.evaluation_point(params, out) is out
    assert distance(out, wanted[-1][1]) < 2e-6
    assert distance(out, params.buffer) > 1e-3  # x and y are different points


@OPTIMIZER
def test_a_cautious_decay_spares_what_the_update_makes_larger(optimizer):
    """Half of the entries, of matrices alone; the others move as they would without."""
    changes = {"optimizer": optimizer, "weight_decay": 5.0}
    moved = {}
    for name, more in (("all", {}), ("some", {"cautious_decay": True}), ("none", {
            "weight_decay": 0.0})):
        config = Config(**SHAPE, **(changes | more))
        params = start(config)
        grads = slope(np.zeros(config.n_params), 0).astype(np.float32)
        update(make_optimizer(config), params, grads, 1e-2, 1.0)
        moved[name] = params.buffer
    n, before = start(config).n_decay, start(config).buffer
    away = ((moved["none"] - before) * before > 0)[:n]
    assert 0.4 < np.mean(away) < 0.6
    assert np.array_equal(moved["some"][:n][away], moved["none"][:n][away])
    assert distance(moved["some"][:n][~away], moved["all"][:n][~away]) < 1e-6
    assert np.array_equal(moved["some"][n:], moved["none"][n:])


def test_a_scheduled_decay_falls_as_the_square_of_the_rate():
    config = Config(lr=0.01, weight_decay=0.5, scheduled_decay=True)
    assert [lr * decay_rate(config, lr) for lr in (0.01, 0.005, 0.001)] == pytest.approx(
        [0.005, 0.00125, 0.00005], rel=1e-12)
    plain, flat = Config(weight_decay=0.5), Config(schedule="constant", weight_decay=0.5,
                                                   scheduled_decay=True)
    assert decay_rate(plain, 1e-4) == decay_rate(flat, 1e-4) == 0.5


def test_schedule_free_starts_its_average_where_training_starts():
    config = Config(**SHAPE, optimizer="schedule_free")
    params = start(config)
    point = make_optimizer(config).evaluation_point(params, np.empty_like(params.buffer))
    assert np.array_equal(point, params.buffer)


def test_schedule_free_evaluation_moves_nothing():
    config = Config(**SHAPE, optimizer="schedule_free")
    optimizer = make_optimizer(config)
    params, points = run(optimizer, config)
    z = optimizer.slots["z"].copy()
    optimizer.evaluation_point(params, np.empty_like(params.buffer))
    assert np.array_equal(params.buffer, points[-1])
    assert np.array_equal(optimizer.slots["z"], z)


@pytest.mark.parametrize("optimizer", ["adamw", "lion", "muon"])
def test_other_optimizers_are_evaluated_where_they_train(optimizer):
    config = Config(**SHAPE, optimizer=optimizer)
    params = start(config)
    point = make_optimizer(config).evaluation_point(params, np.empty_like(params.buffer))
    assert point is params.buffer


def test_these_tests_cross_the_borders_of_blocks():
    config = Config(**SHAPE)
    assert config.n_params > 2 * BLOCK
    assert config.n_params % BLOCK
    assert start(config).n_decay % BLOCK


@OPTIMIZER
def test_weight_decay_shrinks_matrices_and_spares_gains(optimizer):
    config = Config(**SHAPE, optimizer=optimizer, weight_decay=0.5)
    params, before = start(config), start(config)
    update(make_optimizer(config), params, np.zeros(config.n_params, np.float32), 1e-2, 1.0)
    n = params.n_decay
    assert distance(params.buffer[:n], before.buffer[:n] * (1 - 1e-2 * 0.5)) < 1e-6
    assert np.array_equal(params.buffer[n:], before.buffer[n:])


@OPTIMIZER
def test_a_clipping_factor_is_a_smaller_gradient(optimizer):
    config = Config(**SHAPE, optimizer=optimizer)
    grads = slope(np.zeros(config.n_params), 0).astype(np.float32)
    one, other = start(config), start(config)
    first, second = make_optimizer(config), make_optimizer(config)
    update(first, one, grads, 1e-2, 0.25)
    update(second, other, grads * np.float32(0.25), 1e-2, 1.0)
    assert np.array_equal(one.buffer, other.buffer)
    assert all(np.array_equal(first.slots[name], second.slots[name]) for name in first.slots)


@OPTIMIZER
def test_a_restored_optimizer_goes_on_as_the_first(optimizer):
    config = Config(**SHAPE, optimizer=optimizer)
    first, second = make_optimizer(config), make_optimizer(config)
    one, _ = run(first, config)
    other = Flat.over(config, one.buffer.copy())
    for name, slot in second.slots.items():
        slot[...] = first.slots[name]
    second.restore(first.scalars())
    grads = slope(one.buffer, 9).astype(np.float32)
    update(first, one, grads, 1e-3, 1.0)
    update(second, other, grads, 1e-3, 1.0)
    assert np.array_equal(one.buffer, other.buffer)


@OPTIMIZER
def test_the_parts_of_several_processes_make_the_update_of_one(optimizer):
    config = Config(**SHAPE, optimizer=optimizer)
    whole, points = make_optimizer(config), []
    wanted_params, wanted = run(whole, config)
    shared = {}  # as many arrays as an optimizer asks for, the same ones for all of the team

    def team_zeros():
        names = iter(range(3))
        return lambda n: shared.setdefault(next(names), np.zeros(n, np.float32))

    team = [make_optimizer(config, team_zeros()) for _ in range(3)]
    params = start(config)
    for i, (lr, scale) in enumerate(UPDATES):
        grads = slope(params.buffer.astype(np.float64), i).astype(np.float32)
        for one, part in zip(team, shares(config, 3), strict=True):
            one.update(params, grads, lr, scale, part)
        points.append(params.buffer.copy())
    assert np.array_equal(points, wanted)
    assert [one.scalars() for one in team] == 3 * [whole.scalars()]
    assert all(np.array_equal(team[0].slots[name], whole.slots[name]) for name in whole.slots)
    point = team[0].evaluation_point(params, np.empty_like(params.buffer))
    wanted_point = whole.evaluation_point(wanted_params, np.empty_like(params.buffer))
    assert np.array_equal(point, wanted_point)


@OPTIMIZER
@pytest.mark.parametrize("part", [slice(7, 2 * BLOCK + 3), slice(-100, -1)],
                         ids=["matrices", "gains"])
def test_the_update_of_a_part_touches_nothing_beyond_it(part, optimizer):
    config = Config(**SHAPE, optimizer=optimizer, weight_decay=10.0)
    params, before, made = start(config), start(config), make_optimizer(config)
    part = slice(*part.indices(config.n_params)[:2])
    for slot in made.slots.values():
        slot[...] = 0.25
    made.update(params, np.ones(config.n_params, np.float32), 1e-2, 1.0, part)
    is_moved = params.buffer != before.buffer
    assert np.all(is_moved[part])
    assert np.count_nonzero(is_moved) == part.stop - part.start
    assert all(np.count_nonzero(slot != 0.25) <= part.stop - part.start
               for slot in made.slots.values())


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
def test_the_first_update_is_the_sign_of_the_gradient(optimizer):
    config = Config(**SHAPE, optimizer=optimizer, beta1=0.1, weight_decay=0.0)
    params = start(config)
    grads = slope(params.buffer, 0).astype(np.float32)
    wanted = params.buffer - 1e-2 * np.sign(grads)
    update(make_optimizer(config), params, grads, 1e-2, 1.0)
    assert distance(params.buffer, wanted) < 1e-4  # ε bends AdamW's smallest entries


@OPTIMIZER
@pytest.mark.parametrize(("beta1", "beta2"), [(0.5, 0.0), (0.9999, 0.99999)])
def test_extreme_betas_stay_finite(optimizer, beta1, beta2):
    config = Config(**SHAPE, optimizer=optimizer, beta1=beta1, beta2=beta2)
    made = make_optimizer(config)
    params, points = run(made, config)
    assert np.all(np.isfinite(points))
    assert np.all(np.isfinite(made.evaluation_point(params, np.empty_like(params.buffer))))


# --- gradient norm ---------------------------------------------------------------------------


def test_gradients_of_replicas_are_added_into_the_first():
    n = 2 * BLOCK + 5
    own, *others = (np.random.default_rng(i).standard_normal(n, np.float32) for i in range(3))
    wanted = own + others[0] + others[1]
    squares = sum_gradients(own, others)
    assert np.array_equal(own, wanted)
    assert squares == pytest.approx(float(np.sum(wanted.astype(np.float64) ** 2)), rel=1e-6)


def test_the_squared_norm_is_that_of_all_gradients_together():
    grads = slope(np.zeros(3 * BLOCK + 5), 0).astype(np.float32)
    assert sum_gradients(grads, []) == pytest.approx(
        np.linalg.norm(grads.astype(np.float64)) ** 2, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("place", [0, BLOCK, -1])
def test_the_norm_of_a_gradient_that_left_the_finite_numbers_is_not_finite(bad, place):
    grads = np.zeros(2 * BLOCK + 5, np.float32)
    grads[place] = bad
    assert not math.isfinite(sum_gradients(grads, []))


# --- schedules -------------------------------------------------------------------------------


def rates(n_steps, **changes):
    config = Config(lr=0.01, **changes)
    return [learning_rate(config, step, n_steps) for step in range(n_steps)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_up_rises_in_equal_steps_to_the_full_rate(schedule):
    first = rates(200, schedule=schedule, warmup_frac=0.05)[:11]
    assert first[:10] == pytest.approx([0.001 * (i + 1) for i in range(10)], rel=1e-12)
    assert first[9] == first[10] == 0.01


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_warm_up_the_first_rate_is_the_full_one(schedule):
    assert rates(50, schedule=schedule, warmup_frac=0.0)[0] == 0.01


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
@pytest.mark.parametrize("n_steps", [7, 100, 1999])
@pytest.mark.parametrize("low", [0.0, 0.1, 1.0])
def test_the_last_rate_is_exactly_the_lowest(schedule, n_steps, low):
    got = rates(n_steps, schedule=schedule, min_lr_frac=low)
    assert got[-1] == 0.01 * low
    assert max(got) == 0.01
    assert min(got[n_steps // 2 :]) == got[-1]


def test_cosine_is_half_a_wave_between_full_and_lowest():
    got = rates(101, schedule="cosine", warmup_frac=0.0, min_lr_frac=0.2)
    wanted = [0.002 + 0.008 * math.cos(math.pi * i / 200) ** 2 for i in range(101)]
    assert got == pytest.approx(wanted, rel=1e-12)


def test_wsd_is_flat_and_then_a_straight_line_down():
    got = rates(101, schedule="wsd", warmup_frac=0.0, decay_frac=0.2, min_lr_frac=0.0)
    assert got[:81] == [0.01] * 81
    assert got[81:] == pytest.approx([0.01 * (19 - i) / 20 for i in range(20)], abs=1e-15)


def test_constant_is_constant():
    assert rates(50, schedule="constant", warmup_frac=0.0) == [0.01] * 50


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedule_free_warms_up_and_then_never_decays(schedule):
    got = rates(100, schedule=schedule, optimizer="schedule_free", warmup_frac=0.1)
    assert got[:10] == pytest.approx([0.001 * (i + 1) for i in range(10)], rel=1e-12)
    assert got[10:] == [0.01] * 90


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_the_shortest_runs_have_a_usable_rate(schedule, n_steps):
    assert all(0 < rate <= 0.01 for rate in rates(n_steps, schedule=schedule, warmup_frac=0.9))
