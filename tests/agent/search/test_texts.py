"""What other text would change in a gain, against numpy's own sums and against made-up truth."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.ledger.records import Blocks
from agent.search.texts import Spread, spread
from agent.search.verdict import Noise, interval

Pairs = list[tuple[Blocks | None, Blocks | None]]


def pairs(saved: NDArray[Any], n_bytes: NDArray[Any]) -> Pairs:
    """Base and head by seed, where the head saves (seeds, blocks) bits."""
    sizes = tuple(n_bytes.tolist())
    return [(Blocks(tuple((3.0 * n_bytes + row).tolist()), sizes),
             Blocks(tuple((3.0 * n_bytes).tolist()), sizes)) for row in saved]


def variance(found: Spread | None) -> float:
    assert found is not None
    return found.variance


def test_blocks_of_one_size_vary_as_two_way_tables_do() -> None:
    saved = np.random.default_rng(0).normal(5.0, 2.0, (4, 30)) + np.linspace(0, 9, 30)
    blocks = saved.mean(axis=0)
    rest = saved - blocks - saved.mean(axis=1, keepdims=True) + saved.mean()
    expected = np.var(blocks, ddof=1) - np.sum(rest**2) / (3 * 29) / 4
    found = spread([pairs(saved, np.full(30, 7))])
    assert found is not None
    assert found.n_blocks == 30
    assert found.variance == pytest.approx(expected / 30 / 7**2)


def test_what_is_in_proportion_to_bytes_is_no_spread() -> None:
    n_bytes = np.arange(1, 41)
    assert variance(spread([pairs(np.outer([0.1, 0.3], n_bytes), n_bytes)])) == pytest.approx(
        0, abs=1e-20)


def test_what_only_seeds_do_to_blocks_is_not_counted_twice() -> None:
    rng, n_bytes = np.random.default_rng(1), np.full(40, 10)
    found = [variance(spread([pairs(rng.normal(0, 1, (3, 40)), n_bytes)])) for _ in range(300)]
    over_seeds = 1 / 3 / 40 / 10**2  # of a mean of 3 · 40 independent numbers
    assert np.mean(found) < 0.25 * over_seeds


def test_gains_of_batches_add_up_block_by_block() -> None:
    bits, n_bytes = np.random.default_rng(2).normal(0, 1, (1, 20)), np.full(20, 10)
    once = variance(spread([pairs(bits, n_bytes)]))
    assert variance(spread([pairs(bits, n_bytes)] * 2)) == pytest.approx(4 * once)
    assert variance(spread([pairs(bits, n_bytes), pairs(-bits, n_bytes)])) == pytest.approx(0)


def test_runs_that_tell_of_other_blocks_or_of_none_have_no_spread() -> None:
    known = pairs(np.ones((2, 3)), np.full(3, 5))
    other = pairs(np.ones((1, 3)), np.full(3, 6))
    whole = pairs(np.ones((2, 1)), np.full(1, 5))
    assert spread([[*known, (known[0][0], None)]]) is None
    assert spread([[*known, *other]]) is None
    assert spread([whole]) is spread([[(None, None)]]) is spread([]) is None


# --- the interval ----------------------------------------------------------------------------


def test_an_interval_over_seeds_and_texts_is_never_narrower_than_over_seeds() -> None:
    noise = Noise(0.02, 4)
    alone = interval(0.1, 2, noise)
    assert interval(0.1, 2, noise, Spread(0.0, 30)) == alone
    assert interval(0.1, 2, noise, Spread(1e-5, 30)) == alone  # its own t would be the smaller
    low, high = interval(0.1, 2, noise, Spread(1e-3, 30))
    assert low < alone[0] < alone[1] < high
    # texts alone: t(0.975; 29) = 2.0452, tabulated
    assert interval(0.1, 2, Noise(1e-9, 4), Spread(1e-3, 30))[1] == pytest.approx(
        0.1 + 2.0452 * math.sqrt(1e-3), abs=1e-5)


@pytest.mark.parametrize("texts", [0.0, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("n_seeds", [2, 5])
def test_the_interval_holds_the_gain_on_all_texts_as_often_as_it_says(
        n_seeds: int, texts: float) -> None:
    """Texts and seeds are drawn anew; `texts` is what the former move a mean by, to a seed's."""
    rng, n_bytes, n_covered, n_nights = np.random.default_rng(3), np.full(32, 1), 0, 1500
    for _ in range(n_nights):
        saved = (0.7 + rng.normal(0, 1, (n_seeds, 1)) + rng.normal(0, texts * 32**0.5, 32)
                 + rng.normal(0, 0.5 * 32**0.5, (n_seeds, 32)))
        noise = Noise(math.sqrt(1.25 * rng.chisquare(5) / 5), 5)
        low, high = interval(saved.mean(), n_seeds, noise, spread([pairs(saved, n_bytes)]))
        n_covered += low <= 0.7 <= high
    assert 0.93 < n_covered / n_nights < 0.98
