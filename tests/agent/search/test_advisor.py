"""The idea that promises most, of all that is offered; the same for the same history."""

import math
from dataclasses import replace

import pytest

from agent.search.advisor import Known, _carried, at_rung, choose, choose_some, results
from agent.search.prior import Elsewhere, table
from engine.config import Config
from engine.errors import NoProposal
from strategies import STRATEGIES
from strategies.base import Limits, Outcome, why_not
from strategies.features import features

BUDGET = 75_000
START = Config(n_embd=64, n_layer=2, n_head=2, lr=3e-4, vocab_size=300)
ROOM = Limits(budget_tokens=BUDGET, min_steps=20, min_vocab=300, max_vocab=300)
NAMES = tuple(STRATEGIES)


def ended(config: Config = START, bpb: float | None = 2.0, seed: int = 0, *,
          state: str = "finished", rung_bpb: float | None = None) -> Outcome:
    return Outcome(config=config, seed=seed, budget_tokens=BUDGET, state=state, val_bpb=bpb,
                   is_pruned=state == "pruned", rung_bpb=rung_bpb)


def known(*outcomes: Outcome, elsewhere: tuple[Elsewhere, ...] = ()) -> Known:
    return Known(outcomes or (ended(),), elsewhere)


def pick(about: Known, names: tuple[str, ...] = NAMES, seed: int = 0,
         limits: Limits = ROOM) -> Config:
    return choose(START, about, names, [seed], limits).config


def test_the_same_history_and_seed_give_the_same_idea() -> None:
    about = known(ended(), ended(replace(START, lr=1e-3), 1.8))
    assert choose(START, about, NAMES, [3], ROOM) == choose(START, about, NAMES, [3], ROOM)


def test_an_idea_is_new_legal_and_says_what_it_changes_and_expects() -> None:
    about = known(*(ended(replace(START, lr=3e-4 * 1.3**i), 2.0 - i / 50) for i in range(8)))
    for seed in range(5):
        found = choose(START, about, NAMES, [seed], ROOM)
        assert why_not(found.config, ROOM) is None
        assert found.config.hash not in {o.config.hash for o in about.outcomes}
        assert " → " in found.reason
        assert found.strategy in NAMES


def test_some_ideas_begin_with_the_one_alone_and_none_repeats_another() -> None:
    about = known(*(ended(replace(START, lr=3e-4 * 1.3**i), 2.0 - i / 50) for i in range(8)))
    for seed in (0, 1):
        some = choose_some(START, about, NAMES, [seed], ROOM, 6)
        assert some[0] == choose(START, about, NAMES, [seed], ROOM)
        assert len({one.config.hash for one in some}) == len(some) == 6
        assert all(why_not(one.config, ROOM) is None for one in some)


def test_the_model_says_what_it_expects() -> None:
    reasons = [choose(START, known(), NAMES, [seed], ROOM).reason for seed in range(12)]
    told = [reason for reason in reasons if reason.endswith("% bits/byte expected")]
    assert len(told) >= 8  # the others are a strategy's own, whatever the model thinks


def test_what_pays_elsewhere_is_tried_first() -> None:
    good = replace(START, n_embd=96, n_head=3, lr=4e-3, batch_size=4, seq_len=32)
    rows = tuple(Elsewhere("other", BUDGET, config, bpb, 3) for config, bpb in (
        (good, 1.7), (START, 2.4), (replace(START, lr=1e-4), 2.7), (replace(START, seq_len=256),
                                                                    2.6)))
    far, near = (sum((a - b) ** 2 for a, b in zip(features(pick(known(elsewhere=rows)), BUDGET),
                                                  features(one, BUDGET), strict=True))
                 for one in (START, good))
    assert near < far / 2


@pytest.mark.parametrize("start", [
    replace(START, mixer="rwkv"), replace(START, n_kv_head=1), replace(START, bigram_buckets=600)])
def test_recipes_that_knew_no_such_field_leave_it_as_it_is(start: Config) -> None:
    """What is silent about a field is no word for or against it."""
    silent = [row.config for row in table()[1] if "ideas" not in row.study]
    assert len(silent) > 200
    for found in filter(None, (_carried(start, config) for config in silent)):
        assert (found.mixer, found.bigram_buckets) == (start.mixer, start.bigram_buckets)
        assert found.n_head == 1 or (found.kv_heads < found.n_head) == (start.n_kv_head == 1)


def test_what_was_measured_to_pay_is_among_the_first_ideas() -> None:
    """A night of five ideas, each as good as was foretold: with the table, and without."""
    def moved(elsewhere: tuple[Elsewhere, ...]) -> set[str]:
        outcomes, head = [ended()], START
        for seed in range(5):
            idea = choose(head, known(*outcomes, elsewhere=elsewhere), NAMES, [seed], ROOM)
            outcomes.append(ended(idea.config, math.exp(idea.expected[0]) if idea.expected
                                  else 2.0))
            head = min(outcomes, key=lambda one: one.val_bpb or math.inf).config
        return {*START.difference(head)}

    young = {"residual_scalars", "bigram_buckets", "mixer"}
    assert len(moved(table()[1]) & young) >= 2


def test_what_was_chosen_elsewhere_is_carried_along() -> None:
    good = replace(START, n_embd=96, n_head=3, lr=4e-3, batch_size=4, seq_len=32, mixer="rwkv")
    rows = tuple(Elsewhere("other", BUDGET, config, bpb, 3) for config, bpb in (
        (good, 1.5), (START, 2.4), (replace(START, lr=1e-4), 2.7)))
    assert "rwkv" in {pick(known(elsewhere=rows), seed=seed).mixer for seed in range(6)}


def test_where_a_field_helps_the_next_idea_goes_on_in_it() -> None:
    rates = [ended(replace(START, lr=3e-4 * 2**i), 2.4 - 0.2 * i) for i in range(4)]
    assert sum(pick(known(*rates), seed=seed).lr > 1.5e-3 for seed in range(5)) >= 4


def test_a_class_of_strategies_is_kept_to() -> None:
    for seed in range(3):
        assert choose(START, known(), ("scale_up", "scale_down"), [seed], ROOM).strategy in (
            "scale_up", "scale_down")


def test_when_nothing_fits_every_strategy_says_why() -> None:
    with pytest.raises(NoProposal, match="no strategy found anything that fits") as refusal:
        choose(START, known(), NAMES, [0], replace(ROOM, max_mb=1.0))
    assert all(name in str(refusal.value) for name in STRATEGIES)


def test_ideas_asked_for_while_others_run_are_other_ideas() -> None:
    """Four at a time, none of them ended: they lie apart, and not only by another hash."""
    about = known(ended(), ended(replace(START, lr=1e-3), 1.8))
    asked: list[Config] = []
    for seed in range(4):
        waiting = tuple(ended(config, None, state="running") for config in asked)
        asked.append(pick(known(*about.outcomes, *waiting), ("explore",), seed=seed))
    places = [features(config, BUDGET) for config in asked]
    apart = [math.dist(a, b) for i, a in enumerate(places) for b in places[:i]]
    assert min(apart) > 0.15


def test_where_no_move_fits_what_a_strategy_offers_is_taken() -> None:
    (only,) = {pick(known(), ("learning_rate",), seed=seed).hash for seed in range(3)}
    limits = replace(ROOM, is_inside=lambda config: config.hash == only)
    for seed in range(4):
        assert pick(known(), ("learning_rate", "explore"), seed, limits).hash == only


def test_where_the_head_itself_no_longer_fits_ideas_that_do_are_found() -> None:
    limits = replace(ROOM, max_params=START.n_params - 1)
    for seed in range(3):
        assert pick(known(), seed=seed, limits=limits).n_params < START.n_params


@pytest.mark.parametrize("bpb", [0.0, 1e-300])
def test_a_text_that_repeats_itself_ends_no_night(bpb: float) -> None:
    about = known(ended(bpb=bpb), ended(replace(START, lr=1e-3), 0.5), ended(
        replace(START, lr=2e-3), None, state="pruned", rung_bpb=0.0))
    for seed in range(3):
        assert why_not(pick(about, seed=seed), ROOM) is None


# --- what the model is told ------------------------------------------------------------------


def test_seeds_of_one_configuration_are_one_result_with_less_noise() -> None:
    found = results(known(*(ended(bpb=bpb, seed=i) for i, bpb in enumerate((1.9, 2.0, 2.1)))),
                    BUDGET)
    (one,) = found
    assert one.log_bpb == pytest.approx(sum(map(math.log, (1.9, 2.0, 2.1))) / 3)
    assert one.noise == pytest.approx(0.02 / math.sqrt(3))


def test_a_pruned_run_counts_as_what_runs_at_its_rung_fell_to() -> None:
    others = [ended(replace(START, lr=1e-3 + i * 1e-4), 2.0, rung_bpb=2.5) for i in range(3)]
    pruned = replace(START, lr=5e-3)
    found = results(known(*others, ended(pruned, None, state="pruned", rung_bpb=2.75)), BUDGET)
    told = next(r for r in found if r.x == features(pruned, BUDGET))
    assert told.log_bpb == pytest.approx(math.log(2.2))
    assert told.noise == 0.03  # no run of those three fell otherwise
    assert at_rung(known(*others).outcomes) == {"cosine": (pytest.approx(math.log(0.8)), 0.03)}


def test_what_is_far_worse_than_the_best_counts_no_worse_than_that() -> None:
    found = results(known(ended(), ended(replace(START, lr=1.0), 7.9), ended(
        replace(START, lr=0.5), None, state="diverged")), BUDGET)
    assert sorted(round(r.log_bpb, 6) for r in found) == [
        round(math.log(2.0), 6), *[round(math.log(3.2), 6)] * 2]


@pytest.mark.parametrize("state", ["queued", "running", "killed", "failed", "lost"])
def test_the_machines_doing_says_nothing_of_an_idea(state: str) -> None:
    assert len(results(known(ended(), ended(replace(START, lr=1e-2), None, state=state)),
                       BUDGET)) == 1


def test_other_budgets_of_this_text_are_no_results_of_this_study() -> None:
    other = replace(ended(replace(START, lr=1e-2)), budget_tokens=2 * BUDGET)
    assert len(results(known(ended(), other), BUDGET)) == 1


def test_studies_elsewhere_keep_apart() -> None:
    rows = tuple(Elsewhere(name, BUDGET, replace(START, lr=lr), bpb, 1)
                 for name, lr, bpb in (("a", 1e-3, 1.0), ("b", 2e-3, 3.0), ("a", 3e-3, 1.1)))
    assert [r.study for r in results(known(elsewhere=rows), BUDGET)] == [0, 1, 2, 1]
