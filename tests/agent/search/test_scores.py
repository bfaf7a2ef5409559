"""The noise of a difference: what is pooled, and of how many independent numbers."""

import itertools
import math
import statistics

import numpy as np
import pytest

from agent.search.actions import Trial
from agent.search.scores import Scores
from agent.search.student import quantile

BASELINE = [1.50, 1.51, 1.49, 1.505, 1.495]


def scores_of(found: dict[str, dict[int, float]]) -> Scores:
    """Scores by configuration and seed; those of `base` are the baseline's."""
    number, known = itertools.count(1), Scores()
    for key, its in found.items():
        for seed, bpb in its.items():
            kind = "baseline" if key == "base" else "confirm"
            known.add(Trial(next(number), key, seed, kind, "finished", bpb, bpb))
    return known


def test_each_further_configuration_on_the_same_seeds_counts_once_at_most() -> None:
    """Of k on n seeds (k − 1)(n − 1) numbers are independent, however many pairs they make."""
    base = dict(enumerate(BASELINE))
    for k, expected in ((0, 4), (1, 4 + 1), (2, math.floor(7**2 / (4 + 3**2 / 2))),
                        (4, math.floor(14**2 / (4 + 10**2 / 4)))):
        variants = {f"v{i}": {0: 1.4 + 0.01 * i, 1: 1.41 - 0.02 * i} for i in range(k)}
        noise = scores_of({"base": base} | variants).noise
        assert noise is not None
        assert noise.df == expected


def test_pairs_that_share_no_run_count_in_full() -> None:
    apart = {"a": {10: 1.4, 11: 1.5}, "b": {10: 1.3, 11: 1.2},
             "c": {20: 1.1, 21: 1.2}, "d": {20: 1.3, 21: 1.6}}
    noise = scores_of({"base": dict(enumerate(BASELINE))} | apart).noise
    assert noise is not None
    assert noise.df == 4 + 2


@pytest.mark.parametrize("n_variants", [0, 2, 4])
def test_an_interval_by_that_noise_holds_as_often_as_it_says(n_variants: int) -> None:
    """A head and variants of it on two of the baseline's seeds, then three new pairs: Gaussian."""
    rng, n = np.random.default_rng(n_variants), 3000
    held = 0
    for _ in range(n):
        own = rng.normal(0.0, 0.01, (1 + n_variants, 2))
        known = scores_of({"base": dict(enumerate(rng.normal(1.5, 0.01, 5))),
                           **{f"v{i}": dict(enumerate(its)) for i, its in enumerate(own)}})
        gain = statistics.fmean(rng.normal(0.0, 0.01 * 2**0.5, 3))
        noise = known.noise
        assert noise is not None
        held += abs(gain) <= quantile(0.975, noise.df) * noise.s_d / 3**0.5
    assert 0.94 <= held / n <= 0.97
