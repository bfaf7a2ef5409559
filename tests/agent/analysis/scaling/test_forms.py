"""The laws: what they foretell, and that their slopes are those of the numbers."""

import numpy as np
import pytest

from agent.analysis.scaling.forms import (
    FLOOR,
    FORMS,
    NO_FLOOR,
    ONE_EXPONENT,
    REPETITION,
    Form,
    Points,
    foretold,
    in_words,
    log_loss,
    worth,
)

# Muennighoff et al. 2023, arXiv:2305.16264: the constants behind their figures.
LN_A, LN_B, LN_E, EXPONENT, R = 6.255414, 7.3049974, 0.6254804, 0.3526596, 15.387756
MUENNIGHOFF = np.array([[LN_A, LN_B, EXPONENT, EXPONENT, LN_E, np.log(R)]])
ROWS = {FLOOR: [6.0, 6.5, 0.34, 0.28, 0.5], NO_FLOOR: [6.0, 6.5, 0.34, 0.28],
        REPETITION: [6.0, 6.5, 0.34, 0.28, 0.5, 2.0], ONE_EXPONENT: [6.0, 6.5, 0.3, 0.5]}


def some_points() -> Points:
    n, d = np.array([1e4, 3e5, 2e6]), np.array([5e4, 1e6, 8e6])
    return Points(n, d, np.array([5e4, 2e5, 1e5]), np.array([4.0, 3.0, 2.5]), np.arange(3))


@pytest.mark.parametrize("form", [*FORMS, ONE_EXPONENT], ids=lambda form: form.name)
def test_slopes_are_central_differences(form: Form) -> None:
    theta, points = np.array([ROWS[form]]), some_points()
    _, slopes = log_loss(form, theta, points)
    for i in range(len(form.params)):
        step = np.zeros_like(theta)
        step[0, i] = 1e-6
        up, down = (log_loss(form, theta + way * step, points)[0] for way in (1, -1))
        np.testing.assert_allclose(slopes[..., i], (up - down) / 2e-6, rtol=1e-6, atol=1e-9)


def test_a_law_is_the_sum_it_is_written_as() -> None:
    row = np.array([ROWS[FLOOR]])
    n, d = 3e5, 1e6
    by_hand = np.exp(0.5) + np.exp(6.0) / n**0.34 + np.exp(6.5) / d**0.28
    assert foretold(FLOOR, row, n, d)[0, 0] == pytest.approx(by_hand, rel=1e-12)
    assert foretold(NO_FLOOR, row[:, :4], n, d)[0, 0] == pytest.approx(
        by_hand - np.exp(0.5), rel=1e-12)
    same = np.array([[6.0, 6.5, 0.3, 0.3, 0.5]])
    assert foretold(ONE_EXPONENT, np.array([ROWS[ONE_EXPONENT]]), n, d)[0, 0] == pytest.approx(
        foretold(FLOOR, same, n, d)[0, 0], rel=1e-12)


@pytest.mark.parametrize(("passes", "share"), [(1, 1.0), (4, 0.936), (16, 0.662), (1e9, 0.0)])
def test_a_token_seen_again_is_worth_less(passes: float, share: float) -> None:
    """By the published constants four passes are nearly as good as new text, and 1 + R* of them
    are the most that any number is worth."""
    u = 1e8
    ln_worth, _ = worth(np.array([passes * u]), np.array([u]), np.log(R))
    by_hand = 1 + R * (1 - np.exp(-(passes - 1) / R))
    assert np.exp(ln_worth[0]) / u == pytest.approx(by_hand, rel=1e-9)
    assert np.exp(ln_worth[0]) / (passes * u) == pytest.approx(share, abs=0.03)
    assert by_hand <= 1 + R + 1e-9


def test_published_constants_foretell_as_the_formula_does() -> None:
    n, d, u = 2.8e9, 55e9, 14e9  # the size and text of their first figure, four passes
    worth_d = u + u * R * (1 - np.exp(-(d / u - 1) / R))
    by_hand = np.exp(LN_E) + np.exp(LN_A) / n**EXPONENT + np.exp(LN_B) / worth_d**EXPONENT
    assert foretold(REPETITION, MUENNIGHOFF, n, d, u)[0, 0] == pytest.approx(by_hand, rel=1e-12)
    fresh = foretold(REPETITION, MUENNIGHOFF, n, d)[0, 0]
    assert fresh < by_hand < foretold(REPETITION, MUENNIGHOFF, n, u)[0, 0]


def test_less_text_than_tokens_is_what_repeats() -> None:
    """A run that has not seen all of its text yet saw as many different tokens as it saw."""
    found = worth(np.array([1e5]), np.array([4e5]), np.log(R))[0]
    assert np.exp(found[0]) == pytest.approx(1e5)


def test_constants_have_their_names() -> None:
    found = in_words(REPETITION, np.array(ROWS[REPETITION]))
    assert found["A"] == pytest.approx(np.exp(6.0))
    assert (found["alpha"], found["R*"]) == (0.34, pytest.approx(np.exp(2.0)))
