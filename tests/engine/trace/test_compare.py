"""How a tensor is off is told by what would have led to it."""

import numpy as np
import pytest

from engine.trace.compare import compare, named, size

X = np.random.default_rng(0).standard_normal((60, 40))
KNOWN = {"√head size": 32**0.5, "tokens": 16}


def off(actual: np.ndarray) -> tuple[str, str]:
    found = compare(actual.astype(np.float32), X, {"twice: two of it": lambda: X**2}, KNOWN)
    assert found is not None
    return found.kind, found.words


def test_rounding_is_no_deviation() -> None:
    assert compare(X.astype(np.float32), X, {}, {}) is None
    assert compare(np.zeros((2, 2)), np.zeros((2, 2)), {}, {}) is None


def test_each_kind_is_told_by_what_would_have_led_to_it() -> None:
    assert off(X * 32**0.5) == ("scale", "it is 5.657 (√head size) times what its inputs give")
    assert off(X / 16) == ("scale", "it is 0.0625 (1/tokens) times what its inputs give")
    assert off(X * 0) == ("left out", "it is zero everywhere")
    assert off(X**2) == ("twice", "two of it")
    part = X.copy()
    part[:20] *= 3
    assert off(part) == ("scale", "20 of its 60 rows are 3 times what its inputs give")
    one = X.copy()
    one[7] = 9.0
    assert off(one) == ("some rows", "1 of its 60 rows are not what its inputs give")
    assert off(np.roll(X, 1))[0] == "wrong"
    one[7, 3] = np.nan
    assert off(one)[0] == "not finite"


def test_what_float32_cannot_hold_is_an_overflow_and_unknown_inputs_tell_nothing() -> None:
    with np.errstate(over="ignore"):
        actual = (X * 1e39).astype(np.float32)
    found = compare(actual, X * 1e39, {}, {})
    assert found is not None
    assert found.kind == "overflow"
    assert compare(actual, np.full_like(X, np.nan), {}, {}) is None


@pytest.mark.parametrize(("factor", "told"), [(16.01, "16.01 (tokens)"), (7.0, "7")])
def test_a_factor_is_named_where_it_has_a_name(factor: float, told: str) -> None:
    assert named(factor, KNOWN) == told


def test_a_size_is_summed_in_double() -> None:
    assert size(np.full((1 << 10, 1 << 10), 1e25, np.float32)) == pytest.approx(1e25 * 1024)
