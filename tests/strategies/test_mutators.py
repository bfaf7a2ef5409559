"""What is special to each of the mutators but tpe; what they have in common is test_strategies."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from strategies import STRATEGIES, testing
from strategies.base import Limits, Outcome, Proposal
from strategies.learning_rate import parabola_minimum
from tests.strategies.test_strategies import (
    BUDGET,
    NO_LIMITS,
    PARENT,
    answer,
    configs,
    outcome,
    proposals,
    propose,
)


def test_random_changes_one_to_three_fields() -> None:
    counts = {len(PARENT.difference(p.config)) for p in proposals("random", 200)}
    assert counts == {1, 2, 3}


def test_random_reaches_every_kind_of_field() -> None:
    reached = {field for p in proposals("random", 400) for field in PARENT.difference(p.config)}
    assert reached >= {"lr", "weight_decay", "clip", "warmup_frac", "min_lr_frac", "optimizer",
                       "schedule", "tied", "beta1", "beta2", "n_embd", "n_layer", "n_head",
                       "n_hidden", "batch_size", "rope_base"}


def test_random_converts_the_rate_to_lion_and_back() -> None:
    lion = Config(optimizer="lion", lr=3e-4, weight_decay=1.0)
    to_lion = [p.config for p in proposals("random", 300) if p.config.optimizer == "lion"]
    from_lion = [p.config for p in proposals("random", 300, parent=lion)
                 if p.config.optimizer != "lion"]
    assert {(c.lr, c.weight_decay) for c in to_lion} == {(3e-4, 1.0)}
    assert {(c.lr, c.weight_decay) for c in from_lion} == {(3e-3, 0.1)}


def test_random_leaves_fields_without_effect_alone() -> None:
    parent = Config(optimizer="schedule_free")
    for proposal in proposals("random", 200, parent=parent):
        is_same_optimizer = proposal.config.optimizer == "schedule_free"
        touched = parent.difference(proposal.config).keys()
        assert not is_same_optimizer or not touched & {"schedule", "decay_frac", "min_lr_frac"}


def test_random_keeps_away_from_what_diverged() -> None:
    def raised(history: Sequence[Outcome]) -> list[float]:
        return [p.config.lr for p in proposals("random", 300, history=history)
                if PARENT.difference(p.config).keys() == {"lr"} and p.config.lr > 3.2e-3]

    assert raised([])
    assert not raised([outcome(bpb=None, state="diverged", lr=4e-3)])


@pytest.mark.parametrize(("name", "sign"), [("scale_up", 1), ("scale_down", -1)])
def test_scaling_moves_the_size_one_way_and_carries_the_recipe(name: str, sign: int) -> None:
    for p in proposals(name, 30):
        width = p.config.n_embd
        assert sign * p.config.n_params > sign * PARENT.n_params
        assert p.config.lr == pytest.approx(3e-3 * 128 / width, rel=0.05)
        assert 16 <= p.config.head_size <= 64
        assert PARENT.difference(p.config).keys() <= {"n_embd", "n_layer", "n_head", "lr"}


@pytest.mark.parametrize(("name", "sign"), [("scale_up", 1), ("scale_down", -1)])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(parent=configs(), seed=st.integers(0, 99))
def test_scaling_keeps_its_direction_from_any_parent(
        name: str, sign: int, parent: Config, seed: int) -> None:
    found = answer(name, parent=parent, seed=seed, limits=NO_LIMITS)
    n_params = found.config.n_params if isinstance(found, Proposal) else parent.n_params + sign
    assert sign * n_params > sign * parent.n_params


def test_scaling_keeps_the_ratio_of_an_explicit_hidden_width() -> None:
    parent = Config(n_hidden=256)
    for p in proposals("scale_up", 20, parent=parent):
        assert p.config.hidden == 2 * p.config.n_embd


def test_scale_down_brings_an_oversized_parent_back_within_limits() -> None:
    found = propose("scale_down", parent=Config(n_embd=512, n_layer=8, n_head=8))
    assert found.config.n_params <= Limits().max_params


def bowl(lowest: float, *rates: float) -> list[Outcome]:
    return [outcome(lr=lr, bpb=1.2 + 0.1 * math.log(lr / lowest) ** 2) for lr in rates]


def test_efficiency_first_makes_more_steps_of_a_small_budget() -> None:
    few, many = ({p.config.batch_size for p in proposals(
        "efficiency", 20, limits=Limits(budget_tokens=n * 1024))} for n in (300, 3000))
    assert few == {2}
    assert many == {4, 8, 16}


def test_learning_rate_finds_the_bottom_of_a_bowl_from_three_rates() -> None:
    found = propose("learning_rate", history=bowl(2e-3, 1e-3, 3e-3, 6e-3))
    assert found.config == Config(lr=2e-3)
    assert found.reason == ("learning rate 3e-3 → 2e-3: minimum of a parabola through 3 rates "
                            "from 1e-3 (1.248 bits/byte) to 6e-3 (1.321 bits/byte)")


def test_learning_rate_trusts_a_fit_only_to_twice_the_tried_rates() -> None:
    assert propose("learning_rate", history=bowl(0.5, 1e-3, 2e-3, 3e-3)).config.lr == 6e-3


def test_learning_rate_does_not_repeat_a_rate_within_a_tenth() -> None:
    found = proposals("learning_rate", 20, history=bowl(2.1e-3, 1e-3, 2e-3, 6e-3))
    assert 2.1e-3 not in {p.config.lr for p in found}


@given(st.lists(st.integers(-40, 0), min_size=3, max_size=6, unique=True),
       st.lists(st.floats(1.0, 2.0), min_size=6, max_size=6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_parabola_agrees_with_polyfit(tenths: list[int], losses: list[float]) -> None:
    xs, ys = [t / 10 for t in tenths], losses[:len(tenths)]
    c, b, _ = np.polyfit(xs, ys, 2)
    minimum = parabola_minimum(xs, ys)
    if minimum is None:
        assert c < 1e-9
    elif c > 1e-3:
        assert minimum == pytest.approx(-b / (2 * c), rel=1e-6, abs=1e-6)


def test_learning_rate_averages_seeds_and_ignores_other_budgets_and_recipes() -> None:
    noisy = [dataclasses.replace(o, val_bpb=(o.val_bpb or 0) + d, seed=seed)
             for o in bowl(2e-3, 1e-3, 3e-3, 6e-3) for seed, d in ((1, -0.3), (2, 0.3))]
    foreign = [outcome(lr=9e-3, bpb=0.1, budget_tokens=BUDGET // 2),
               outcome(lr=9e-3, bpb=0.1, clip=0.5)]
    assert propose("learning_rate", history=noisy + foreign).config == Config(lr=2e-3)


@pytest.mark.parametrize("history", [
    [outcome(bpb=1.2), outcome(lr=4.5e-3, bpb=1.1)],  # a higher rate was better: go on
    [outcome(bpb=1.2), outcome(lr=2e-3, bpb=1.3)],  # a lower one was worse: turn round
])
def test_learning_rate_continues_where_it_improved(history: list[Outcome]) -> None:
    best = max(o.config.lr for o in history)
    assert all(p.config.lr > best for p in proposals("learning_rate", 20, history=history))


@pytest.mark.parametrize("history", [
    [outcome(bpb=None, state="diverged", lr=6e-3)],
    [outcome(bpb=1.2), outcome(bpb=None, state="diverged", lr=6e-3)],
    [outcome(bpb=1.2), outcome(lr=4.5e-3, bpb=1.3)],
])
def test_learning_rate_turns_away_from_divergence_and_loss(history: list[Outcome]) -> None:
    assert all(p.config.lr < 3e-3 for p in proposals("learning_rate", 20, history=history))


@pytest.mark.parametrize(("tried", "is_up"), [
    ([outcome(bpb=1.2, clip=0.5), outcome(lr=2e-3, bpb=1.3, clip=0.5)], True),
    ([outcome(bpb=1.2, clip=0.5), outcome(lr=6e-3, bpb=1.3, clip=0.5)], False),
    ([outcome(lr=9e-3, bpb=1.2, clip=0.5), outcome(lr=6e-3, bpb=1.3, clip=0.5)], True),
    ([outcome(lr=1e-3, bpb=1.2, clip=0.5), outcome(lr=2e-3, bpb=1.3, clip=0.5)], False),
])
def test_learning_rate_goes_where_other_recipes_found_better_rates(
        tried: list[Outcome], is_up: bool) -> None:
    found = proposals("learning_rate", 20, history=[outcome(bpb=1.1), *tried])
    assert {p.config.lr > 3e-3 for p in found} == {is_up}


def test_learning_rate_learns_nothing_from_a_recipe_that_never_finished() -> None:
    broken = [outcome(bpb=None, state="diverged", lr=lr, clip=0.5) for lr in (5e-3, 9e-3)]
    found = proposals("learning_rate", 20, history=[outcome(bpb=1.1), *broken])
    assert {p.config.lr > 3e-3 for p in found} == {False, True}


def test_learning_rate_brings_the_rates_of_another_width_to_its_own() -> None:
    tried = [outcome(lr=lr, bpb=bpb, n_embd=64) for lr, bpb in ((3e-3, 1.3), (9e-3, 1.2))]
    found = proposals("learning_rate", 20, history=[outcome(bpb=1.1), *tried])
    assert {p.config.lr > 3e-3 for p in found} == {True}  # 9e-3 at 64 is 4.5e-3 at 128


def test_learning_rate_does_not_follow_another_optimizer() -> None:
    tried = [outcome(lr=lr, bpb=bpb, optimizer="lion") for lr, bpb in ((3e-3, 1.2), (2e-3, 1.3))]
    found = proposals("learning_rate", 20, history=[outcome(bpb=1.1), *tried])
    assert {p.config.lr > 3e-3 for p in found} == {False, True}


def test_learning_rate_steps_less_boldly_where_a_like_recipe_s_best_rate_is_known() -> None:
    tried = [outcome(lr=lr, bpb=bpb, clip=0.5) for lr, bpb in ((3e-3, 1.2), (2e-3, 1.3),
                                                                (6e-3, 1.4))]
    found = proposals("learning_rate", 20, history=[outcome(bpb=1.1), *tried])
    assert {p.config.lr for p in found} == {2e-3, 4.5e-3}


def test_learning_rate_stays_under_a_rate_that_failed() -> None:
    failed = outcome(bpb=None, state="failed", lr=8e-3)
    rates = [p.config.lr for p in proposals("learning_rate", 40, history=[outcome(), failed])]
    assert max(rates) < 8e-3
    steep = propose("learning_rate", history=[*bowl(9e-3, 1e-3, 2e-3, 3e-3), failed])
    assert steep.config.lr == pytest.approx(8e-3 / (1.25 * 1.05), rel=0.02)


def test_learning_rate_does_not_blame_the_rate_for_memory() -> None:
    large = outcome(bpb=None, state="failed", lr=4e-3, is_out_of_memory=True)
    history = [outcome(bpb=1.2), outcome(lr=1e-3, bpb=1.3), large]
    assert max(p.config.lr for p in proposals("learning_rate", 40, history=history)) > 4e-3


def test_learning_rate_takes_a_pruned_rate_for_a_worse_one() -> None:
    pruned = dataclasses.replace(outcome(lr=4.5e-3, bpb=1.0), is_pruned=True, rung_bpb=1.3)
    found = proposals("learning_rate", 20, history=[outcome(bpb=1.2), pruned])
    assert all(p.config.lr < 3e-3 for p in found)


def test_learning_rate_triples_or_thirds_from_nothing() -> None:
    rates = {p.config.lr for p in proposals("learning_rate", 60)}
    assert rates == {1e-3, 9e-3}


@pytest.mark.parametrize(("parent", "lr"), [
    (Config(lr=3e-4), 9e-4), (Config(lr=2e-2), 6.7e-3),
    (Config(lr=3e-5, optimizer="lion"), 9e-5), (Config(lr=3e-3, n_embd=64, n_head=4), 9e-3)])
def test_learning_rate_starts_towards_the_rate_of_the_default_recipe(
        parent: Config, lr: float) -> None:
    assert {p.config.lr for p in proposals("learning_rate", 20, parent=parent)} == {lr}


def test_learning_rate_goes_to_the_schedule_once_bracketed() -> None:
    found = proposals("learning_rate", 40, history=bowl(3e-3, 2e-3, 3e-3, 4.5e-3))
    touched = {field for p in found for field in PARENT.difference(p.config)}
    assert touched == {"warmup_frac", "min_lr_frac", "schedule"}
    assert "the learning rate is bracketed around 3e-3" in found[0].reason


def test_sequence_length_holds_the_tokens_of_a_step() -> None:
    found = [p.config for p in proposals("sequence_length", 30)]
    assert {c.seq_len > 128 for c in found} == {True, False}
    assert all(c.tokens_per_step == pytest.approx(1024, rel=0.25) for c in found)


def test_sequence_length_accumulates_fewer_passes_when_the_batch_is_one() -> None:
    parent = Config(batch_size=1, grad_accum=8)
    found = [p.config for p in proposals("sequence_length", 20, parent=parent)]
    assert {c.seq_len > 128 for c in found} == {True, False}
    assert all(c.tokens_per_step == pytest.approx(1024, rel=0.25) for c in found)


def test_sequence_length_prefers_the_side_that_holds_the_tokens() -> None:
    parent = Config(batch_size=1)  # a longer window cannot keep to 128 tokens a step
    found = [p.config for p in proposals("sequence_length", 20, parent=parent)]
    assert all(c.seq_len < 128 and c.tokens_per_step == 128 for c in found)


def test_sequence_length_goes_shorter_at_the_longest_window_allowed() -> None:
    limits = Limits(max_seq_len=128)
    assert all(p.config.seq_len < 128 for p in proposals("sequence_length", 20, limits=limits))


def test_sequence_length_turns_round_after_a_discard() -> None:
    longer = outcome(seq_len=256, batch_size=4, verdict="discarded", strategy="sequence_length")
    assert all(p.config.seq_len < 128
               for p in proposals("sequence_length", 20, history=[longer]))


def test_efficiency_knows_every_kind_of_saving() -> None:
    kinds = {frozenset(PARENT.difference(p.config)) for p in proposals("efficiency", 60)}
    assert kinds == {frozenset({"n_embd", "n_layer", "lr"}), frozenset({"batch_size", "lr"}),
                     frozenset({"vocab_size"}), frozenset({"tied"})}
    night = [found for found in testing.night("efficiency", STRATEGIES["efficiency"])
             if isinstance(found, Proposal)]
    later = [p for p in night if {"n_kv_head", "qk_norm"} & PARENT.difference(p.config).keys()]
    assert sorted(PARENT.difference(p.config).popitem() for p in later) == [
        ("n_kv_head", (None, 2)), ("qk_norm", (False, True))]
    assert not set(map(id, later)) & set(map(id, night[:6]))  # what is known comes first


def test_efficiency_widens_at_equal_parameters_and_roots_the_rate_of_a_batch() -> None:
    for config in (p.config for p in proposals("efficiency", 60)):
        assert config.n_layer == 4 or config.n_params == pytest.approx(1_311_872, rel=0.1)
        root = 3e-3 * math.sqrt(config.batch_size / 8)
        assert config.batch_size == 8 or config.lr == pytest.approx(root, rel=0.03)


def test_efficiency_leaves_the_layers_where_no_width_keeps_the_parameters() -> None:
    parent = Config(n_embd=16, n_head=1, n_layer=2)  # 41k; one layer is 37k at 16, 58k at 24
    assert all(p.config.n_layer == 2 for p in proposals("efficiency", 40, parent=parent))


def test_efficiency_stops_at_the_smallest_vocabulary_of_the_corpus() -> None:
    found = proposals("efficiency", 60, limits=Limits(min_vocab=700))
    assert {p.config.vocab_size for p in found} == {700, 1024}
