"""Student's t: how many standard errors an interval reaches with few seeds; and Fisher's F.

By the incomplete beta function, so that nothing but the standard library is needed.
Source: Abramowitz and Stegun 1964, 26.7.1 for t, 26.6.2 for F, 26.5.8 and 26.5.2 for the beta
function.
"""

import math

TINY = 1e-300  # stands for a zero that would end the continued fraction
CLOSE = 1e-15  # two successive values that count as one
MAX_TERMS = 100_000  # the fraction needs about the square root of df


def cdf(t: float, df: float) -> float:
    """Probability that a t of df degrees of freedom is at most t; df is over 0."""
    tail = 0.5 * _beta_share(df / (df + t * t), df / 2, 0.5)
    return 1 - tail if t > 0 else tail


def quantile(share: float, df: float) -> float:
    """The t below which that share of the distribution lies.

    share  over 0 and under 1
    df     degrees of freedom, over 0; Welch's need not be whole
    """
    if not (0 < share < 1 and df > 0):
        raise ValueError(f"no quantile {share} of a t with {df} degrees of freedom")
    if share < 0.5:
        return -quantile(1 - share, df)
    low, high = 0.0, 1.0
    while cdf(high, df) < share and math.isfinite(high * high):
        low, high = high, 2 * high
    while True:  # halving ends where no number is left between the two
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        low, high = (middle, high) if cdf(middle, df) < share else (low, middle)


def f_tail(ratio: float, df: float, df_below: float) -> float:
    """Probability that an F of df over df_below degrees of freedom is above a ratio of at least 0.

    Two variances of the same thing differ so much by chance that often.
    """
    return _beta_share(df_below / (df_below + df * ratio), df_below / 2, df / 2)


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly its mirror does not
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x))
    return front * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction 1/(1+ d₁/(1+ d₂/(1+ …))), evaluated forwards (Lentz 1976)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, MAX_TERMS):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < CLOSE:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > TINY else TINY
