"""Vector forms that fail at some lengths, offsets or values only."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.proof.functions import faults_of_functions, faults_of_sums
from engine.proof.operations import NUMPY

Spoil = Callable[[Any], None]


def tail(out: Any) -> None:
    """The last of a length that is no multiple of four."""
    if out.size % 4 == 3 and out.size > 8:
        out[-1] = 0.5


def unaligned(out: Any) -> None:
    if out.ctypes.data % 16:
        out[0] = 0.5


def long_alone(out: Any) -> None:
    if out.size > 500:
        out[500] = np.nan


def last_digits(out: Any) -> None:
    out *= np.asarray(1 + 1e-5, out.dtype)


@pytest.mark.parametrize("name", ["power", "exp", "tanh", "log", "sqrt"])
@pytest.mark.parametrize("spoil", [tail, unaligned, long_alone, last_digits])
def test_a_function_that_is_wrong_in_places_is_found(name: str, spoil: Spoil) -> None:
    right = getattr(NUMPY, name)

    def function(x: Any, out: Any) -> None:
        right(x, out=out)
        spoil(out)
    found = faults_of_functions(dataclasses.replace(NUMPY, **{name: function}))
    assert len(found) == 1
    assert " and not " in found[0]


def test_a_sum_that_forgets_the_rest_is_told_with_its_length() -> None:
    def forgets(x: Any, dtype: Any = None) -> Any:
        return np.sum(x[: x.size // 8 * 8] if x.size > 8 else x, dtype=dtype)
    assert faults_of_sums(dataclasses.replace(NUMPY, sum=forgets))[0].startswith(
        "the sum of 9 numbers is ")


def test_numpy_here_is_right() -> None:
    assert faults_of_functions(NUMPY) + faults_of_sums(NUMPY) == []
