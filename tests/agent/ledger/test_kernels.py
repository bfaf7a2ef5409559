"""Runs of different kernels are no pairs, and a ledger of an older version knows only numpy's."""

from types import SimpleNamespace

import pytest

from agent.ledger import is_pair, kernels_of


@pytest.mark.parametrize(("kernels", "others"), [
    (None, "c11-0123abcd"), ("numpy", "c11-0123abcd"), ("c11-0123abcd", "c11-ffffffff")])
def test_runs_of_other_kernels_are_no_pairs(kernels, others):
    run = SimpleNamespace(kernels=kernels)
    assert is_pair(run, kernels)
    assert not is_pair(run, others)


def test_a_row_that_says_nothing_is_of_numpy():
    assert kernels_of(SimpleNamespace(kernels=None)) == "numpy"
    assert is_pair(SimpleNamespace(kernels=None), "numpy")
    assert is_pair(SimpleNamespace(kernels="numpy"), None)
