"""What ends a run at a quarter of its budget, and what keeps that in check."""

import pytest

from agent.trial import rung
from engine.config import Config
from engine.training.optim import learning_rate

GOOD = [1.0 + i / 10 for i in range(10)]  # rungs of ten runs, the best first
RANKED: list[float | None] = [0.5 + i / 10 for i in range(10)]  # their ends, in the same order


def test_the_better_three_of_ten_bound_the_next() -> None:
    assert rung.limit(GOOD, RANKED, 0.5) == 1.2
    assert rung.limit(GOOD[::-1], RANKED[::-1], 0.5) == 1.2
    assert rung.word(GOOD, RANKED, 0.5).reason == (
        "1.2000 bits/byte at the rung bounds the better 30 % of 10 runs (Spearman 1.00 between "
        "rung and end over 10 runs)")


@pytest.mark.parametrize(("n", "n_good"), [(10, 3), (11, 4), (13, 4), (14, 5), (20, 6), (100, 30)])
def test_a_share_that_is_no_whole_number_of_runs_is_rounded_up(n: int, n_good: int) -> None:
    rungs = [float(i) for i in range(1, n + 1)]
    assert rung.limit(rungs, list(rungs), 0.5) == n_good


def test_nine_rungs_are_too_few() -> None:
    assert rung.word(GOOD[:9], RANKED[:9], 0.5) == rung.Word(
        None, "9 runs have been at the rung, and it takes 10 to know what is good there")


def test_a_pruned_run_counts_at_the_rung_and_not_at_the_end() -> None:
    ends = [*RANKED[:6], None, None, None, None]
    assert rung.limit(GOOD, ends, 0.5) == 1.2
    assert rung.word(GOOD, [*RANKED[:5], *[None] * 5], 0.5) == rung.Word(
        None, "5 runs have both a rung and an end, and it takes 6 to know whether the rung tells "
        "the end")


@pytest.mark.parametrize(("draw", "max_bpb"), [(0.0, None), (0.0999, None), (0.1, 1.2),
                                               (0.9999, 1.2)])
def test_one_in_ten_goes_on_whatever_its_rung(draw: float, max_bpb: float | None) -> None:
    assert rung.limit(GOOD, RANKED, draw) == max_bpb


def test_who_goes_on_by_chance_is_told_so() -> None:
    assert rung.word(GOOD, RANKED, 0.05).reason == (
        "it goes on whatever its rung, as one run in ten does: the rung is checked by it")


@pytest.mark.parametrize(("ends", "rho", "max_bpb"), [
    ([1.0, 2.0, 3.0, 6.0, 5.0, 4.0], 0.77, 1.2), ([4.0, 2.0, 1.0, 3.0, 5.0, 6.0], 0.60, 1.2),
    ([4.0, 3.0, 1.0, 2.0, 5.0, 6.0], 0.49, None), ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], -1.00, None)])
def test_a_rung_whose_order_is_not_that_of_the_ends_is_off(
        ends: list[float], rho: float, max_bpb: float | None) -> None:
    found = rung.word(GOOD, [*ends, *[None] * 4], 0.5)
    assert (found.max_bpb, f"Spearman {rho:.2f} between" in found.reason) == (max_bpb, True)
    assert found.reason.startswith("the rung is off") is (max_bpb is None)
    assert found.reason.endswith("over 6 runs, under 0.6") is (max_bpb is None)


def test_ends_that_do_not_differ_tell_nothing_of_the_rung() -> None:
    assert rung.word(GOOD, [1.0] * 10, 0.5) == rung.Word(
        None, "the rung is off: the 10 runs that went on do not differ")


# --- Spearman's rank correlation -------------------------------------------------------------


@pytest.mark.parametrize(("first", "second", "rho"), [
    # Wikipedia, "Spearman's rank correlation coefficient": IQ and hours of television.
    ([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], [7, 27, 2, 50, 28, 29, 20, 12, 6, 17],
     -29 / 165),
    # R, ?cor.test: Hunter L and assessors' score of canned tuna; cor.test gives 0.6.
    ([44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1],
     [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8], 0.6),
    # With a tie: scipy.stats.spearmanr's own example.
    ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 0.8207826816681233),
])
def test_spearman_gives_published_values(
        first: list[float], second: list[float], rho: float) -> None:
    assert rung.spearman(first, second) == pytest.approx(rho, rel=1e-12)
    assert rung.spearman(second, first) == pytest.approx(rho, rel=1e-12)
    assert rung.spearman(first, [-value for value in second]) == pytest.approx(-rho, rel=1e-12)


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert rung.ranks([3.0, 1.0, 3.0, 2.0, 3.0]) == [4.0, 1.0, 4.0, 2.0, 4.0]
    assert rung.ranks([5.0, 5.0]) == [1.5, 1.5]


@pytest.mark.parametrize("constant", [[], [1.0], [2.0, 2.0, 2.0]])
def test_what_does_not_vary_has_no_correlation(constant: list[float]) -> None:
    assert rung.spearman(constant, constant) is None


# --- where a rung compares -------------------------------------------------------------------


@pytest.mark.parametrize(("config", "kind"), [
    (Config(schedule="cosine"), "cosine"),  # at the same share of the same fall
    (Config(schedule="cosine", warmup_frac=0.26), None),
    (Config(schedule="cosine", optimizer="schedule_free"), "schedule_free"),  # an average
    (Config(schedule="constant"), "constant"),
    (Config(schedule="constant", decay_frac=0.9), "constant"),  # it has no decay
    (Config(schedule="constant", warmup_frac=0.26), None),
    (Config(schedule="wsd"), "wsd"),
    (Config(schedule="wsd", warmup_frac=0.25, decay_frac=0.75), "wsd"),
    (Config(schedule="wsd", decay_frac=0.76), None),
    (Config(schedule="wsd", warmup_frac=0.3), None),
], ids=lambda value: value.describe() if isinstance(value, Config) else str(value))
def test_a_rung_compares_runs_of_one_kind_of_schedule(config: Config, kind: str | None) -> None:
    assert rung.kind(config) == kind
    assert (rung.step_of(config, 400 * config.tokens_per_step) == 100) is (kind is not None)


@pytest.mark.parametrize("n_steps", range(3, 43))
@pytest.mark.parametrize(("warmup_frac", "decay_frac"), [
    (0.25, 0.75), (0.0, 0.75), (0.25, 0.0), (0.03, 0.2), (0.21, 0.71)])
def test_the_update_before_the_rung_has_the_full_learning_rate(
        n_steps: int, warmup_frac: float, decay_frac: float) -> None:
    config = Config(schedule="wsd", warmup_frac=warmup_frac, decay_frac=decay_frac)
    step = rung.step_of(config, n_steps * config.tokens_per_step)
    assert step is not None
    assert 0 < step < n_steps
    assert learning_rate(config, step - 1, n_steps) == pytest.approx(config.lr, rel=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2])
def test_a_run_too_short_for_a_quarter_has_no_rung(n_steps: int) -> None:
    config = Config(schedule="constant")
    assert rung.step_of(config, n_steps * config.tokens_per_step) is None
