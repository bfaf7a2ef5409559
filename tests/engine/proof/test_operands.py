"""Operands of any shape, that stay; results that hold nothing; products that are cut."""

import numpy as np

from engine.proof.operands import ENTRIES, MULTIPLICATIONS, UNIT, Pool, cut


def test_sizes_are_cut_by_whole_units_until_so_many_products_are_cheap() -> None:
    assert cut(7, 11, 13) == (7, 11, 13)
    for times in (1, 5):
        m, k, n = cut(8_192, 520, 20_011, times)
        assert (m % UNIT, k % UNIT, n % UNIT) == (8_192 % UNIT, 520 % UNIT, 20_011 % UNIT)
        assert times * m * k * n <= MULTIPLICATIONS or max(m, k, n) < 2 * UNIT
        assert times * max(m * k, k * n, m * n) <= ENTRIES


def test_a_result_holds_nothing_before_it_is_filled() -> None:
    pool = Pool()
    first = pool.result(2, 3)
    first[...] = 1.0
    assert np.isnan(pool.result(2, 3)).all()


def test_operands_given_out_stay_as_they_are_when_larger_ones_are_asked_for() -> None:
    pool = Pool()
    small = pool.operand(3, 5)
    before = small.copy()
    assert np.isfinite(pool.operand(3_000, 1_000)).all()
    assert (small == before).all()
