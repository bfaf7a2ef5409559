"""The contract every strategy keeps, what they share, and a golden file of their proposals.

    python -m tests.strategies.test_strategies --write     rewrites tests/golden/strategies.json
"""

import dataclasses
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import BOUNDS, OPTIMIZERS, SCHEDULES, Config
from engine.errors import NoProposal
from strategies import STRATEGIES, testing
from strategies.base import (
    MAX_CANDIDATES,
    Change,
    Limits,
    Outcome,
    Proposal,
    door,
    fresh,
    legal_heads,
    legal_width,
    scores,
    why_not,
)
from strategies.testing import (
    BUDGET,
    CONTRACT,
    FAILURES,
    LARGEST,
    NO_LIMITS,
    PARENT,
    SMALLEST,
    Claim,
    outcome,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "strategies.json"
every_strategy = pytest.mark.parametrize("name", STRATEGIES)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def propose(name: str, parent: Config = PARENT, history: Sequence[Outcome] = (), seed: int = 0,
            limits: Limits = Limits()) -> Proposal:  # noqa: B008 (frozen)
    return STRATEGIES[name](parent, history, seeded(seed), limits)


def proposals(name: str, n_seeds: int, **options: Any) -> list[Proposal]:
    return [propose(name, seed=seed, **options) for seed in range(n_seeds)]


def answer(name: str, **options: Any) -> Proposal | str:
    """The proposal, or the words of the refusal."""
    return testing.answer(STRATEGIES[name], **options)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    width = draw(st.integers(4, 400)) * 2
    heads = draw(st.sampled_from([h for h in range(1, 65) if width % (2 * h) == 0]))
    return Config(
        n_embd=width, n_head=heads, n_layer=draw(st.integers(1, 64)),
        n_hidden=draw(st.none() | st.integers(1, 16384)), tied=draw(st.booleans()),
        vocab_size=draw(st.integers(257, 32768)), seq_len=draw(st.integers(4, 2048)),
        batch_size=draw(st.integers(1, 1024)), grad_accum=draw(st.integers(1, 256)),
        optimizer=draw(st.sampled_from(OPTIMIZERS)), schedule=draw(st.sampled_from(SCHEDULES)),
        **{field: draw(st.floats(*BOUNDS[field])) for field in (
            "lr", "rope_base", "warmup_frac", "decay_frac", "min_lr_frac", "weight_decay",
            "beta1", "beta2", "clip")})


# --- the contract ----------------------------------------------------------------------------


@every_strategy
@pytest.mark.parametrize("claim", CONTRACT)
def test_contract(name: str, claim: Claim) -> None:
    claim(name, STRATEGIES[name])


@every_strategy
@settings(max_examples=40, deadline=None, derandomize=True)
@given(parent=configs(), seed=st.integers(0, 999))
def test_any_legal_parent_gets_a_legal_proposal_or_words(
        name: str, parent: Config, seed: int) -> None:
    testing.legal_or_words(name, STRATEGIES[name], parent, seed)


@every_strategy
def test_the_default_gets_a_proposal_with_every_seed(name: str) -> None:
    assert len(testing.proposals(STRATEGIES[name], 20, history=FAILURES)) == 20


@every_strategy
def test_seeds_lead_to_different_proposals(name: str) -> None:
    assert len({proposal.config.hash for proposal in proposals(name, 30)}) >= 2


@every_strategy
@pytest.mark.parametrize("parent", [SMALLEST, LARGEST])
def test_a_refusal_names_strategy_and_parent(name: str, parent: Config) -> None:
    answers = [answer(name, parent=parent, seed=seed) for seed in range(5)]
    assert all(found.startswith(f"{name} has nothing to try from {parent.describe()}: ")
               for found in answers if isinstance(found, str))


@every_strategy
@pytest.mark.parametrize(("limits", "words"), list(zip(testing.UNMET, [
    "over the limit of 1,000 parameters", "over the limit of 1 MB",
    "under the 50 steps that 100 tokens must leave",
    "outside the 2,000 to 2,100 this corpus supports", "over the limit of 4 tokens a window",
    "over the limit of 1 s"], strict=True)))
def test_limits_that_nothing_meets_are_named(name: str, limits: Limits, words: str) -> None:
    with pytest.raises(NoProposal, match=words):
        propose(name, limits=limits)


@every_strategy
def test_a_night_ends_where_all_has_been_tried(name: str) -> None:
    answers = list(testing.night(name, STRATEGIES[name]))
    assert isinstance(answers[-1], Proposal) or "already tried" in answers[-1]
    assert len(answers) >= (200 if name in ("random", "tpe") else 8)


@every_strategy
def test_tried_at_another_budget_may_be_tried_again(name: str) -> None:
    first = propose(name)
    elsewhere = outcome(first.config, budget_tokens=BUDGET // 2)
    assert propose(name, history=[elsewhere]) == first
    assert propose(name, history=[outcome(first.config)]) != first


# --- what they share -------------------------------------------------------------------------


def test_endless_stream_is_cut_and_its_refusals_counted() -> None:
    endless = itertools.repeat(Change({}, "no change"))
    with pytest.raises(NoProposal) as refusal:
        fresh(endless, PARENT, [], Limits(), "stuck")
    assert str(refusal.value) == ("stuck has nothing to try from 128d/4L AdamW lr=3e-3: "
                                  f"{MAX_CANDIDATES} the same as the parent")


def test_empty_stream_says_there_is_no_step() -> None:
    with pytest.raises(NoProposal, match="lr=3e-3: it has no step to take from there"):
        fresh([], PARENT, [], Limits(), "stuck")


def test_first_candidate_that_fits_is_taken() -> None:
    stream = [Change({}, "a"), Change({"n_layer": 5}, "b"), Change({"n_layer": 64}, "c"),
              Change({"lr": 0.00234567}, "d"), Change({"clip": 2.0}, "e")]
    found = fresh(stream, PARENT, [outcome(n_layer=5)], Limits(), "any")
    assert found == Proposal(Config(lr=2.3e-3), "learning rate 3e-3 → 2.3e-3: d", "any")


def test_no_idea_leaves_the_order_in_which_its_parent_reads_the_text() -> None:
    stream = [Change({"lr": 2e-3, "data_order": "circular"}, "a")]
    parent = Config(data_order="linear")
    assert fresh(stream, parent, [], Limits(), "any").config == Config(
        lr=2e-3, data_order="linear")
    barrier = door(parent, [], Limits())(Config(lr=2e-3))
    assert barrier == "on the text in another order than the parent's"


def test_values_past_the_bounds_are_brought_inside() -> None:
    stream = [Change({"lr": 7.0, "batch_size": 5000, "min_lr_frac": -1.0}, "far")]
    config = fresh(stream, PARENT, [], NO_LIMITS, "any").config
    assert (config.lr, config.batch_size, config.min_lr_frac) == (1.0, 1024, 0.0)


def test_neighbourhood_of_a_diverged_run_is_refused() -> None:
    diverged = [outcome(bpb=None, state="diverged", lr=6e-3)]
    stream = [Change({"lr": 5e-3}, "beside"), Change({"lr": 2e-2}, "beyond")]
    with pytest.raises(NoProposal, match="2 too near a run that diverged"):
        fresh(stream, PARENT, diverged, Limits(), "any")
    assert fresh([Change({"lr": 4e-3}, "below")], PARENT, diverged, Limits(), "any")
    assert fresh([Change({"lr": 6e-3, "clip": 0.5}, "other")], PARENT, diverged, Limits(), "any")


def test_memory_that_sufficed_before_is_no_obstacle() -> None:
    small = outcome(bpb=None, state="killed", is_out_of_memory=True)
    stream = [Change({"lr": 2e-3}, "as large")]
    with pytest.raises(NoProposal, match="1 predicted at the memory of a run that ran out of it"):
        fresh(stream, PARENT, [small], Limits(), "any")
    assert fresh(stream, PARENT, [small, outcome(lr=1e-3)], Limits(), "any")


def finals(*values: float) -> list[Outcome]:
    return [outcome(bpb=bpb, lr=(i + 1) * 1e-4) for i, bpb in enumerate(values)]


def test_scores_average_the_seeds_of_a_configuration_best_first() -> None:
    found = scores([outcome(bpb=1.5), outcome(bpb=1.1, clip=0.5), outcome(bpb=1.1)], BUDGET)
    assert [(s.config.clip, s.bpb, s.has_finished) for s in found] == [
        (0.5, 1.1, True), (1.0, pytest.approx(1.3), True)]


@pytest.mark.parametrize("state", ["diverged", "killed", "failed"])
def test_failure_scores_as_the_90th_percentile_and_comes_last(state: str) -> None:
    history = [outcome(bpb=0.5, state=state, clip=0.5),
               *finals(*(1 + i / 10 for i in range(10)))]
    found = scores(history, BUDGET)
    assert found[-1] == (outcome(clip=0.5).config, pytest.approx(1.8), False)
    assert [s.has_finished for s in found] == [True] * 10 + [False]


def test_failed_seed_weighs_on_the_mean_of_its_configuration() -> None:
    history = [outcome(bpb=1.0), outcome(bpb=None, state="diverged"), *finals(1.4)]
    assert [s.bpb for s in scores(history, BUDGET)] == [pytest.approx(1.2), 1.4]


@pytest.mark.parametrize(("rung", "counts_as"), [
    (1.2, 1.4), (1.9, 1.9), (None, 1.4), (float("nan"), 1.4)])
def test_pruned_run_scores_as_its_rung_or_a_failure_whichever_is_worse(
        rung: float | None, counts_as: float) -> None:
    pruned = dataclasses.replace(outcome(bpb=0.9, clip=0.5), is_pruned=True, rung_bpb=rung)
    assert scores([*finals(1.0, 1.4), pruned], BUDGET)[-1] == (pruned.config, counts_as, False)


@pytest.mark.parametrize("other", [
    outcome(bpb=None, state="queued", clip=0.5), outcome(bpb=None, state="lost", clip=0.5),
    outcome(bpb=0.1, clip=0.5, budget_tokens=BUDGET // 2), outcome(bpb=None, clip=0.5)])
def test_trials_that_judge_nothing_have_no_score(other: Outcome) -> None:
    assert [s.config for s in scores([other, outcome()], BUDGET)] == [PARENT]


def test_loss_that_is_no_number_counts_as_a_failure() -> None:
    broken = outcome(bpb=float("nan"), clip=0.5)
    assert scores([broken, *finals(1.4)], BUDGET)[-1] == (broken.config, 1.4, False)


def test_nothing_is_scored_while_no_trial_has_finished() -> None:
    assert scores(FAILURES, BUDGET) == []


@pytest.mark.parametrize(("limits", "words"), [
    (Limits(), None),
    (Limits(max_params=1_311_872), None),
    (Limits(max_params=1_311_871),
     "1,311,872 parameters, over the limit of 1,311,871 parameters"),
    (Limits(max_mb=10.0), f"{PARENT.peak_mb:.0f} MB predicted, over the limit of 10 MB"),
    (Limits(budget_tokens=50 * 1024), None),
    (Limits(budget_tokens=49 * 1024),
     "49 steps, under the 50 steps that 50,176 tokens must leave"),
    (Limits(min_vocab=1025), "vocabulary 1,024, outside the 1,025 to 32,768 this corpus supports"),
    (Limits(max_vocab=1000), "vocabulary 1,024, outside the 257 to 1,000 this corpus supports"),
    (Limits(max_seq_len=127), "windows of 128, over the limit of 127 tokens a window"),
    (Limits(max_s=1999.0, run_s=lambda config, budget: budget / 1000),
     "2,000 s predicted, over the limit of 1,999 s"),
    (Limits(max_s=2000.0, run_s=lambda config, budget: budget / 1000), None),
    (Limits(max_s=0.001), None),
    (Limits(run_s=lambda config, budget: 1e9), None),
])
def test_why_not_says_what_stands_in_the_way(limits: Limits, words: str | None) -> None:
    assert why_not(PARENT, limits) == words


def test_heads_of_any_even_width_are_even() -> None:
    assert all(width % (2 * legal_heads(width, width / 32)) == 0 for width in range(8, 4097, 2))


def test_heads_of_a_legal_width_have_16_to_64_features() -> None:
    sizes = [width // legal_heads(width, width / 32) for width in range(16, 1025, 16)]
    assert 16 <= min(sizes) <= max(sizes) <= 64


@pytest.mark.parametrize(("n_embd", "preferred", "heads"), [
    (128, 4, 4), (128, 1, 2), (128, 64, 8), (192, 6, 6), (192, 7, 8), (8, 4, 4), (8, 1, 1)])
def test_heads_come_nearest_to_the_preferred_count(
        n_embd: int, preferred: int, heads: int) -> None:
    assert legal_heads(n_embd, preferred) == heads


@pytest.mark.parametrize(("wanted", "width"), [
    (-5, 8), (8, 8), (11, 8), (13, 16), (30, 32), (150, 144), (153, 160), (99999, 4096)])
def test_width_is_the_nearest_that_splits(wanted: float, width: int) -> None:
    assert legal_width(wanted) == width


# --- golden ----------------------------------------------------------------------------------


PARENTS = {"default": PARENT,
           "lion": Config(n_embd=192, n_head=6, n_layer=3, optimizer="lion", lr=3e-4, tied=True),
           "smallest": SMALLEST}
HISTORIES = {"empty": [], "mixed": [outcome(verdict="baseline", bpb=1.2), *FAILURES,
                                    outcome(lr=2e-3, bpb=1.25, verdict="discarded")]}


def golden() -> list[dict[str, Any]]:
    rows = []
    for name, parent, past, seed in itertools.product(STRATEGIES, PARENTS, HISTORIES, range(3)):
        found = answer(name, parent=PARENTS[parent], history=HISTORIES[past], seed=seed)
        row: dict[str, Any] = {"strategy": name, "parent": parent, "history": past, "seed": seed}
        if isinstance(found, Proposal):
            changes = PARENTS[parent].difference(found.config)
            row |= {"to": {field: new for field, (_, new) in changes.items()},
                    "reason": found.reason}
        rows.append(row if isinstance(found, Proposal) else row | {"refused": found})
    return rows


def test_proposals_are_those_of_the_golden_file() -> None:
    assert golden() == json.loads(GOLDEN.read_text(encoding="utf-8"))


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in golden())
    GOLDEN.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


@pytest.mark.parametrize("parent", [Config(n_kv_head=2), Config(mixer="rwkv"),
                                    Config(mixer="rwkv", n_kv_head=4, n_head=8)], ids=str)
def test_shared_heads_and_rwkv_are_kept_by_every_strategy_that_takes_a_step(
        parent: Config) -> None:
    """Unless they are what it moves, as some do now and then: tests/strategies/test_newcomers."""
    for name, seed in itertools.product(STRATEGIES, range(5)):
        found = answer(name, parent=parent, seed=seed)
        if isinstance(found, str) or "mixer" in parent.difference(found.config):
            continue
        assert found.config.mixer == parent.mixer
        assert found.config.n_head % found.config.kv_heads == 0
        assert (found.config.kv_heads < found.config.n_head) == (
            parent.n_kv_head is not None and found.config.n_head > 1)
