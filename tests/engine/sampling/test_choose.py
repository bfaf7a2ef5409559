"""The next token is drawn from exactly the distribution that its settings describe."""

import numpy as np
import pytest

from engine.errors import ConfigError, Diverged
from engine.sampling.choose import next_tokens

LOGITS = np.array([2.0, -1.0, 0.5, 1.5, 0.0, -3.0])
N = 200_000  # draws of a statistical test


def softmax(logits):
    weights = np.exp(logits)
    return weights / weights.sum()


def choose(logits, history=(), seed=0, **settings):
    """next_tokens of one row, as a plain int."""
    row = np.array([logits], dtype=np.float64)
    return int(next_tokens(row, [history], np.random.default_rng(seed), **settings)[0])


def draws(logits, history=(), **settings):
    rows = np.tile(logits, (N, 1))
    return next_tokens(rows, [history] * N, np.random.default_rng(11), **settings)


def assert_drawn_from(tokens, p):
    """Pearson's statistic stays within 5 standard deviations of what chance gives."""
    found = np.bincount(tokens, minlength=len(p))
    possible = p > 0
    assert not found[~possible].any()
    statistic = np.sum((found[possible] - N * p[possible]) ** 2 / (N * p[possible]))
    freedom = np.count_nonzero(possible) - 1
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize(("settings", "logits"), [
    ({}, LOGITS),
    ({"temperature": 0.5}, LOGITS * 2),
    ({"temperature": 4.0}, LOGITS / 4),
    ({"top_k": 3}, [2.0, -np.inf, 0.5, 1.5, -np.inf, -np.inf]),
    ({"top_k": 6}, LOGITS),
    ({"top_k": 100}, LOGITS),
    # shares of 0, 3, 2, 4, 1, 5: 0.495, 0.300, 0.110, 0.067, 0.025, 0.003
    ({"top_p": 0.8}, [2.0, -np.inf, 0.5, 1.5, -np.inf, -np.inf]),
    ({"top_p": 0.7}, [2.0, -np.inf, -np.inf, 1.5, -np.inf, -np.inf]),
    ({"top_p": 1.0}, LOGITS),
    # of the first three alone 0 and 3 hold 0.88, so the nucleus is taken after top-k
    ({"top_k": 3, "top_p": 0.85}, [2.0, -np.inf, -np.inf, 1.5, -np.inf, -np.inf]),
    # at temperature 0.5 the first two hold 0.95, so the nucleus is taken after the temperature
    ({"temperature": 0.5, "top_p": 0.8}, [4.0, -np.inf, -np.inf, 3.0, -np.inf, -np.inf]),
    ({"repetition_penalty": 2.0, "history": [0, 1, 1, 4]}, [1.0, -2.0, 0.5, 1.5, 0.0, -3.0]),
])
def test_draws_follow_the_closed_form(settings, logits):
    assert_drawn_from(draws(LOGITS, **settings), softmax(np.array(logits)))


def test_the_statistic_notices_a_slightly_different_temperature():
    with pytest.raises(AssertionError):
        assert_drawn_from(draws(LOGITS, temperature=1.03), softmax(LOGITS))


def test_temperature_zero_takes_the_likeliest_and_draws_nothing():
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    found = next_tokens(np.array([LOGITS, -LOGITS]), [[], []], rng, temperature=0.0)
    assert found.tolist() == [0, 5]
    assert rng.bit_generator.state == before


def test_temperature_zero_respects_the_penalty():
    assert choose(LOGITS, [0], temperature=0.0, repetition_penalty=1.5) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ids_are_int32_and_the_logits_are_left_alone(dtype):
    logits = np.array([LOGITS, LOGITS], dtype=dtype)
    kept = logits.copy()
    found = next_tokens(logits, [[0], [1]], np.random.default_rng(0), temperature=0.7, top_k=4,
                        top_p=0.9, repetition_penalty=1.3)
    assert found.dtype == np.int32
    assert found.shape == (2,)
    np.testing.assert_array_equal(logits, kept)


def test_float32_logits_choose_as_their_float64_values():
    logits = np.random.default_rng(1).normal(size=(500, 64)).astype(np.float32)
    history = [[]] * 500
    wide = next_tokens(logits.astype(np.float64), history, np.random.default_rng(2), top_p=0.9)
    narrow = next_tokens(logits, history, np.random.default_rng(2), top_p=0.9)
    np.testing.assert_array_equal(wide, narrow)


def test_draw_of_a_row_does_not_depend_on_the_other_rows():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 40, 30))
    second[17] = first[17]
    settings = {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.2}
    one, other = (
        [next_tokens(rows, [[1, 2]] * 40, np.random.default_rng(seed), **settings)[17]
         for seed in range(50)]
        for rows in (first, second)
    )
    assert one == other
    assert len(set(one)) > 5


def test_every_call_draws_one_number_a_row():
    rng, same = np.random.default_rng(6), np.random.default_rng(6)
    next_tokens(np.tile(LOGITS, (7, 1)), [[]] * 7, rng, top_k=2, top_p=0.5)
    same.random(7)
    assert rng.random() == same.random()


@pytest.mark.parametrize(("u", "token"), [(0.0, 1), (0.2, 1), (0.25, 3), (0.74, 3), (0.75, 4),
                                          (np.nextafter(1.0, 0.0), 4)])
def test_draw_inverts_the_cumulative_sums_and_skips_the_forbidden(u, token):
    class Drawn:
        def random(self, n):
            return np.full(n, u)

    with np.errstate(divide="ignore"):
        logits = np.log([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]])
    assert next_tokens(logits, [[]], Drawn()).tolist() == [token]


@pytest.mark.parametrize("settings", [
    {"top_k": 128}, {"top_p": 0.365}, {"top_k": 256, "top_p": 0.5}])
def test_of_equal_tokens_those_with_the_smallest_ids_stay(settings):
    logits = np.tile([1.0, 0.0], (5000, 256))  # the even ids together hold e / (e + 1) = 0.731
    found = next_tokens(logits, [[]] * 5000, np.random.default_rng(4), **settings)
    assert set(found.tolist()) == set(range(0, 256, 2))


def test_top_k_counts_tokens_even_where_some_are_equal():
    assert set(draws(np.array([1.0, 2.0, 1.0, 3.0, 1.0]), top_k=3).tolist()) == {0, 1, 3}


def test_top_k_above_the_allowed_tokens_never_frees_a_forbidden_one():
    tokens = draws(np.array([1.0, -np.inf, 0.0, -np.inf]), top_k=3)
    assert set(tokens.tolist()) == {0, 2}


@pytest.mark.parametrize("settings", [
    {"top_k": 1}, {"top_p": 1e-12}, {"temperature": 1e-300}, {"temperature": 0.0}])
def test_narrowest_settings_all_take_the_likeliest(settings):
    logits = np.random.default_rng(8).integers(0, 5, (300, 12)).astype(np.float32)  # many ties
    distinct = logits - 0.01 * np.arange(12)
    found = next_tokens(distinct, [[]] * 300, np.random.default_rng(9), **settings)
    np.testing.assert_array_equal(found, logits.argmax(axis=1))


def test_penalty_is_applied_once_a_token_and_only_to_its_own_row():
    logits = np.array([[1.0, 0.9, -9.0], [1.0, 0.9, -9.0], [-1.0, -1.1, -9.0]])
    history = [[0, 0, 0], [], np.array([0], dtype=np.uint16)]
    mild = next_tokens(logits, history, np.random.default_rng(0), temperature=0.0,
                       repetition_penalty=1.05)
    firm = next_tokens(logits, history, np.random.default_rng(0), temperature=0.0,
                       repetition_penalty=1.2)
    assert mild.tolist() == [0, 0, 0]  # 1/1.05 > 0.9, though 1/1.05³ is not
    assert firm.tolist() == [1, 0, 1]  # a negative logit is multiplied: −1.2 < −1.1


def test_penalty_asks_for_one_history_a_row():
    with pytest.raises(ValueError, match="shorter"):
        next_tokens(np.zeros((2, 3)), [[0]], np.random.default_rng(0), repetition_penalty=1.2)


def test_extreme_logits_and_settings_stay_finite():
    logits = np.array([[1e300, -1e300, 0.0], [-1e300, -1e300, -1e300]])
    found = next_tokens(logits, [[1], [0, 1]], np.random.default_rng(0), temperature=1e-12,
                        repetition_penalty=1e10)
    assert found.tolist() == [0, 2]


@pytest.mark.parametrize(("settings", "message"), [
    ({"temperature": -0.1}, "temperature=-0.1 is out of range; use 0 for the likeliest token, "
     "or a positive number such as 0.8"),
    ({"temperature": float("nan")}, "temperature=nan is out of range; use 0 for the likeliest "
     "token, or a positive number such as 0.8"),
    ({"temperature": float("inf")}, "temperature=inf is out of range; use 0 for the likeliest "
     "token, or a positive number such as 0.8"),
    ({"top_k": 0}, "top_k=0 leaves no token to choose; use 1 or more"),
    ({"top_p": 0.0}, "top_p=0.0 is not a share of probability; use above 0, at most 1"),
    ({"top_p": 1.5}, "top_p=1.5 is not a share of probability; use above 0, at most 1"),
    ({"top_p": float("nan")}, "top_p=nan is not a share of probability; use above 0, at most 1"),
    ({"repetition_penalty": 0.9}, "repetition_penalty=0.9 is out of range; use 1 for none, "
     "or more, such as 1.2"),
    ({"repetition_penalty": float("inf")}, "repetition_penalty=inf is out of range; use 1 for "
     "none, or more, such as 1.2"),
])
def test_settings_out_of_range_are_refused_in_one_sentence(settings, message):
    with pytest.raises(ConfigError) as error:
        choose(LOGITS, **settings)
    assert str(error.value) == message


@pytest.mark.parametrize("logits", [
    [0.0, np.nan], [0.0, np.inf], [-np.inf, -np.inf]], ids=["nan", "inf", "nothing allowed"])
def test_logits_without_a_distribution_mean_the_model_diverged(logits):
    with pytest.raises(Diverged) as error:
        choose(logits)
    assert str(error.value) == ("the logits hold NaN or infinity, or forbid every token; "
                                "the weights are of no use")
