"""The model-guided strategy: what it learns, what it ignores and how long it takes."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import OPTIMIZERS, SCHEDULES, Config
from strategies import tpe
from strategies.base import Limits, Outcome, scores
from tests.strategies.test_strategies import BUDGET, PARENT, configs, outcome, proposals, propose

NOISE = 0.01
ROOM = Limits(budget_tokens=BUDGET, max_params=10**9, max_mb=1e6, min_steps=1)


def surface(config: Config) -> float:
    """A bowl in learning rate, weight decay and width; its bottom is 1.2."""
    to_adam = 10.0 if config.optimizer == "lion" else 1.0
    return (1.2 + 0.10 * math.log(config.lr * to_adam / 2e-3) ** 2
            + 0.03 * math.log(config.weight_decay / to_adam / 0.2) ** 2
            + 0.08 * math.log(config.n_embd / 200) ** 2)


def night(seed: int, is_blind: bool = False) -> list[Config]:
    """Proposals one after the other; a blind night hides every result from the strategy."""
    rng = np.random.default_rng(seed)
    history: list[Outcome] = []
    for _ in range(60):
        config = tpe.propose(PARENT, [] if is_blind else history, rng, ROOM).config
        history.append(outcome(config, bpb=surface(config) + NOISE * rng.normal()))
    return [o.config for o in history]


def wins_against_random(n_nights: int) -> int:
    return sum(min(map(surface, night(seed))) < min(map(surface, night(seed + 1000, True)))
               for seed in range(n_nights))


def test_it_finds_a_lower_point_than_random_draws() -> None:
    assert wins_against_random(5) >= 4


@pytest.mark.slow
def test_it_beats_random_draws_in_four_nights_of_five() -> None:
    assert wins_against_random(40) >= 32


def known(n: int, score: Callable[[Config], float] = surface) -> list[Outcome]:
    """The first n draws from the whole space with their scores."""
    return [outcome(p.config, bpb=score(p.config))
            for p in proposals("tpe", n, limits=ROOM)]


def drawn(history: Sequence[Outcome], n: int = 40, **options: Any) -> list[Config]:
    found = proposals("tpe", n, history=history, limits=ROOM, **options)
    return [p.config for p in found]


def middle_rate(found: Sequence[Config]) -> float:
    rates = [c.lr * (10 if c.optimizer == "lion" else 1) for c in found]
    return float(np.median(np.log(rates)))


def test_draws_gather_where_the_best_results_are() -> None:
    def far(config: Config) -> float:
        return abs(math.log(config.lr * (10 if config.optimizer == "lion" else 1) / 2e-2))

    assert middle_rate(drawn(known(60, far))) > middle_rate(drawn([])) + 0.5


def test_choices_follow_the_best_results() -> None:
    found = drawn(known(60, lambda c: 1.5 if c.optimizer == "adamw" else 2.0))
    assert sum(c.optimizer == "adamw" for c in found) > 30


def test_what_failed_repels_as_what_scored_badly_does() -> None:
    failing = [dataclasses.replace(o, state="diverged", val_bpb=None)
               if o.config.optimizer == "lion" else o for o in known(60, lambda c: 1.5)]
    assert sum(c.optimizer == "lion" for c in drawn(failing)) < sum(
        c.optimizer == "lion" for c in drawn([])) / 2


def test_what_was_pruned_is_never_among_the_good() -> None:
    pruned = [dataclasses.replace(o, is_pruned=True, rung_bpb=0.1, val_bpb=0.1)
              for o in known(30)]
    history = [*pruned, *known(31)[30:]]
    reason = propose("tpe", history=history, limits=ROOM).reason
    assert "among the best 1 of 31 results" in reason


def test_nine_results_are_too_few_and_ten_are_enough() -> None:
    few, enough = (propose("tpe", history=known(n), limits=ROOM).reason for n in (9, 10))
    assert few.endswith(
        "a draw from the whole space, since the model needs 10 results and has 9")
    assert "the model finds it" in enough


def test_seeds_of_one_configuration_are_one_result() -> None:
    again = [dataclasses.replace(o, seed=seed) for o in known(9) for seed in (1, 2, 3)]
    assert "and has 9" in propose("tpe", history=again, limits=ROOM).reason


def test_reason_says_what_the_model_expects() -> None:
    history = known(40)
    best = scores(history, BUDGET)
    n_good = math.ceil(tpe.GOOD * 40)
    reason = propose("tpe", history=history, limits=ROOM).reason
    assert f"times as likely among the best {n_good} of 40 results" in reason
    assert f"({best[0].bpb:.3f} to {best[n_good - 1].bpb:.3f} bits/byte) as among the rest" in (
        reason)


def test_results_at_another_budget_or_vocabulary_count_by_their_bits_per_byte() -> None:
    elsewhere = [dataclasses.replace(o, budget_tokens=BUDGET // 2) for o in known(20)]
    assert "has 0" in propose("tpe", history=elsewhere, limits=ROOM).reason
    other = [dataclasses.replace(o, config=dataclasses.replace(o.config, vocab_size=512),
                                 val_loss=9.0) for o in known(20)]
    found = propose("tpe", history=other, limits=ROOM)
    assert "of 20 results" in found.reason
    assert found.config.vocab_size == PARENT.vocab_size


def test_it_owes_nothing_to_the_parent_but_fields_it_does_not_move() -> None:
    here, there = (propose("tpe", parent=parent, history=known(20), limits=ROOM).config
                   for parent in (PARENT, Config(lr=1e-2, n_layer=2, vocab_size=512)))
    assert here.difference(there).keys() == {"vocab_size"}


def inert_fields(config: Config) -> set[str]:
    return {name for name, place in zip(tpe.NAMES, tpe._points([config])[0], strict=True)
            if math.isnan(place)}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs())
def test_a_point_leads_back_to_its_configuration(config: Config) -> None:
    point = tpe._points([config])[0]
    fields = tpe._fields(point, config)
    inert = inert_fields(config)
    for name in {"optimizer", "tied", "n_layer", "batch_size"} - inert:
        assert fields[name] == getattr(config, name)
    assert fields["lr"] == pytest.approx(config.lr, rel=1e-6)
    assert not inert & fields.keys()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_field_counts_exactly_where_it_changes_the_training(
        optimizer: str, schedule: str) -> None:
    config = Config(optimizer=optimizer, schedule=schedule)
    for axis in tpe.AXES:
        low = getattr(config, axis.name) * (0.9 if axis.is_momentum else 2)
        changed = dataclasses.replace(config, **{axis.name: low})
        assert (changed.hash == config.hash) == (
            axis.name in inert_fields(config))


def test_density_of_the_model_sums_to_one() -> None:
    """Averaged over points drawn evenly it is 1 within four standard errors."""
    n = len(tpe.NAMES)
    even = tpe.Mixture(np.empty((0, n)), (np.zeros(12), np.ones(12)))
    rng = np.random.default_rng(0)
    good = np.full((3, n), math.nan)
    good[:, 0] = [0.0, 0.3, 0.9]
    good[:, 13] = [0, 1, 1]
    draws = even.draw(4000, rng)
    draws[:, [4, 5, 12, 14]] = math.nan
    draws = draws[~np.isnan(draws[:, 13])]
    model = tpe.Mixture(good, (np.zeros(12), np.ones(12)))
    ratio = np.exp(model.log_density(draws)) * 3
    assert ratio.mean() == pytest.approx(1.0, abs=4 * ratio.std() / math.sqrt(len(ratio)))


def test_good_results_outside_the_usual_range_widen_it() -> None:
    wide = [outcome(lr=lr, bpb=1.0 + i / 100, clip=1 + i / 10)
            for i, lr in enumerate([0.2] * 4 + [1e-3] * 16)]
    assert max(c.lr for c in drawn(wide)) > 0.05


def test_zeros_stand_at_the_low_end_and_never_break_the_model() -> None:
    zeros = {"weight_decay": 0.0, "warmup_frac": 0.0, "min_lr_frac": 0.0, "beta2": 0.0}
    history = [outcome(lr=i * 1e-4, bpb=1 + i / 100, **zeros) for i in range(1, 30)]
    assert all(math.isfinite(c.weight_decay) for c in drawn(history, 5))


def test_candidates_past_the_first_batch_are_tried_where_it_does_not_fit() -> None:
    limits = Limits(max_params=200_000, max_vocab=1024)
    found = proposals("tpe", 10, history=known(30), limits=limits)
    assert all(p.config.n_params <= 200_000 for p in found)


def test_two_hundred_results_take_milliseconds() -> None:
    history = known(200)
    spent = []
    for seed in range(5):
        start = time.process_time()
        propose("tpe", history=history, seed=seed, limits=ROOM)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1  # 20 ms where the machine is quiet


@settings(max_examples=25, deadline=None, derandomize=True)
@given(history=st.lists(st.tuples(configs(), st.none() | st.floats(0.5, 9.0)), max_size=30),
       seed=st.integers(0, 99))
def test_any_history_gives_a_legal_proposal(
        history: list[tuple[Config, float | None]], seed: int) -> None:
    outcomes = [outcome(config, bpb=bpb, state="finished" if bpb else "failed")
                for config, bpb in history]
    found = propose("tpe", history=outcomes, seed=seed, limits=ROOM).config
    assert Config.from_dict(found.to_dict()) == found
