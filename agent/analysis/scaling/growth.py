"""How large a model the time left can carry, and what it is foretold to score, with its interval.

Every answer is an average over many laws that could have given what was measured:

    ln L(N, D) = ln L(N₀, D₀) + ln law(N, D) − ln law(N₀, D₀)

(N₀, D₀) is what the night's own runs have shown, so that each law is corrected to the night's own
recipe by one constant factor. With runs enough the laws are those of the study's bootstrap. With
fewer they are drawn from what such laws have been (PRIOR) and weighed by how well they foretell
the way of the night's own runs: a guess, and told as one. The loss of a run in the middle of its
way is above that of a run which ends there, since its rate has not fallen yet; by how much was
measured by schedule (UNSETTLED).

What no law knows widens the interval: seeds, a rate that is carried to another width, a recipe
that was found at one budget and is used at another.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np

from agent.analysis.scaling.bootstrap import Draws
from agent.analysis.scaling.forms import REPETITION, Form, foretold, worth
from engine.model import Array

SEED = 29  # of the draws, so that a plan is the same again
N_LAWS = 6000  # drawn where the runs are too few to tell one
N_SAMPLES = 4000  # of the foretold loss
SEED_SD = 0.01  # of ln L over seeds, where a study has not measured it
SIZE_SD = 0.012  # of ln L for each e-fold of parameters: the rate at another width
TOKENS_SD = 0.012  # the same of tokens: the recipe at another budget
PASSES_SD = 0.03  # the same of passes over the text beyond the first, which differ by the text
LEAST_SD = 0.004  # a law is not the truth
MOST_PASSES = 16.0  # of a text: beyond it, a repeat is worth nothing (Muennighoff, R* 15.4)
MOST_GROWN = 8.0  # times the parameters of the matrices, where a guess is all there is
CAUTION = 0.5  # standard deviations that a less certain plan has to be better by

# What a law of these small models has been: shares of the loss at what was measured (a floor, what
# is lost to the size, what to the data), exponents, and R* of repeats; standard deviations of logs.
PRIOR_SHARES = (3.0, 1.5, 3.0)  # of a Dirichlet distribution
PRIOR_EXPONENTS = (("alpha", 0.40, 0.35), ("beta", 0.42, 0.40))
PRIOR_REPEATS = (15.4, 0.6)  # Muennighoff et al. 2023, arXiv:2305.16264
# ln of a loss at a share of a run over that of a run which ends there, and its standard deviation.
UNSETTLED = {"cosine": (0.025, 0.03), "wsd": (0.04, 0.03), "constant": (0.0, 0.02)}
SHARES = (0.2, 0.8)  # of a run where its loss is looked at for the way it takes

Basis = Literal["law", "guess"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ground:
    """What the night's own runs of the configuration to grow have shown."""

    n: float  # parameters of the blocks' matrices
    d: float  # tokens of a run
    unique: float  # tokens of the text
    loss: float  # nats per token, mean over seeds
    n_runs: int
    sigma: float | None  # of ln L over seeds; None where nobody measured it
    schedule: str
    way: tuple[tuple[float, float], ...] = ()  # share of a run, and its loss there

    @property
    def sd(self) -> float:
        return self.sigma if self.sigma is not None else SEED_SD


@dataclass(frozen=True, slots=True)
class Laws:
    """Laws that could be true, and how much each counts."""

    form: Form
    theta: Array  # (laws, params)
    weights: Array  # (laws,), their sum 1
    basis: Basis


@dataclass(frozen=True, slots=True)
class Expected:
    """A loss in nats per token before it is measured."""

    mean: float
    low: float  # 95 % of such runs between these
    high: float


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """A model that could be grown to, and the most tokens that the time allows it."""

    config: T
    n: float  # parameters of the blocks' matrices
    most_tokens: int


@dataclass(frozen=True, slots=True)
class Grown(Generic[T]):
    """The model and the tokens that the laws prefer."""

    config: T
    tokens: int
    expected: Expected
    basis: Basis
    passes: float  # over the text
    bound: Literal["time", "text"]  # what allows no more tokens


# --- which laws ------------------------------------------------------------------------------


def laws_of(draws: Draws) -> Laws:
    """Those of a study that has runs enough."""
    n = len(draws.theta)
    return Laws(draws.fit.form, draws.theta, np.full(n, 1 / n), "law")


def laws_guessed(ground: Ground, others: Sequence[Sequence[tuple[float, float, float]]] = (),
                 n_laws: int = N_LAWS) -> Laws:
    """Laws drawn from what such laws have been, weighed by the ground's way and by other runs.

    others  runs on the same text that differ in size and tokens alone, (n, d, loss) each: a group
            has a recipe of its own, so only the differences inside it tell
    """
    rng = np.random.default_rng(SEED)
    shares = rng.dirichlet(PRIOR_SHARES, n_laws)
    alpha, beta = (mean * np.exp(sd * rng.standard_normal(n_laws))
                   for _, mean, sd in PRIOR_EXPONENTS)
    ln_r = math.log(PRIOR_REPEATS[0]) + PRIOR_REPEATS[1] * rng.standard_normal(n_laws)
    ln_loss = math.log(ground.loss)
    ln_d, _ = worth(np.array([ground.d]), np.array([min(ground.d, ground.unique)]), ln_r[:, None])
    ln_e, ln_n, ln_data = (ln_loss + np.log(np.maximum(shares[:, i], 1e-9)) for i in range(3))
    theta = np.stack([ln_n + alpha * math.log(ground.n), ln_data + beta * ln_d[:, 0],
                      alpha, beta, ln_e, ln_r], axis=1)
    log_weight = _told_by_way(ground, theta)
    for group in others:
        log_weight += _told_by_group(group, ground, theta)
    weights = np.exp(log_weight - log_weight.max())
    return Laws(REPETITION, theta, weights / weights.sum(), "guess")


def _ln_ratio(form: Form, theta: Array, ground: Ground, n: Array, d: Array) -> Array:
    """ln of each law's loss at points over that at the ground, (laws, points)."""
    here = foretold(form, theta, ground.n, ground.d, min(ground.d, ground.unique))
    there = foretold(form, theta, n, d, np.minimum(d, ground.unique))
    found: Array = np.log(there) - np.log(here)
    return found


def _told_by_way(ground: Ground, theta: Array) -> Array:
    """Log likelihood of the losses that the ground's runs had on their way, (laws,).

    They are of the same runs, so that together they count as one.
    """
    ahead, sd = UNSETTLED.get(ground.schedule, UNSETTLED["cosine"])
    way = [(share, loss) for share, loss in ground.way if SHARES[0] <= share <= SHARES[1]]
    if not way:
        return np.zeros(len(theta))
    shares = np.array([share for share, _ in way])
    ln = np.log([loss for _, loss in way]) - math.log(ground.loss) - ahead
    found = _ln_ratio(REPETITION, theta, ground, np.full(len(way), ground.n), shares * ground.d)
    spread = sd**2 + 2 * ground.sd**2 / max(1, ground.n_runs)
    likelihood: Array = -0.5 * ((ln - found) ** 2 / spread).mean(axis=1)
    return likelihood


def _told_by_group(group: Sequence[tuple[float, float, float]], ground: Ground,
                   theta: Array) -> Array:
    """The same of runs that share a recipe of their own, whose level is not known."""
    if len(group) < 2:
        return np.zeros(len(theta))
    n, d, loss = (np.array([one[i] for one in group], float) for i in range(3))
    missed = np.log(loss) - _ln_ratio(REPETITION, theta, ground, n, d)
    missed -= missed.mean(axis=1, keepdims=True)
    spread = (2 * SIZE_SD * np.abs(np.log(n / ground.n)) + ground.sd) ** 2 + (
        2 * TOKENS_SD * np.log(d / ground.d)) ** 2
    likelihood: Array = -0.5 * (missed**2 / spread).sum(axis=1)
    return likelihood


# --- what they foretell ----------------------------------------------------------------------


def foretell(laws: Laws, ground: Ground, n: float, d: float) -> Expected:
    """The loss of a model of n parameters after d tokens, by the night's own recipe."""
    ln = _ln_ratio(laws.form, laws.theta, ground, np.array([n]), np.array([d]))[:, 0]
    rng = np.random.default_rng([SEED, 1])
    which = rng.choice(len(ln), N_SAMPLES, p=laws.weights)
    samples = ln[which] + sd_beside(ground, n, d) * rng.standard_normal(N_SAMPLES)
    low, mean, high = np.percentile(samples, (2.5, 50, 97.5))
    return Expected(*(float(ground.loss * math.exp(one)) for one in (mean, low, high)))


def sd_beside(ground: Ground, n: float, d: float) -> float:
    """Standard deviation of ln L that no law knows of."""
    passes = max(0.0, math.log(max(1.0, d / ground.unique)) - math.log(
        max(1.0, ground.d / ground.unique)))
    return math.sqrt(LEAST_SD**2 + ground.sd**2 * (1 + 1 / max(1, ground.n_runs))
                     + (SIZE_SD * math.log(n / ground.n)) ** 2
                     + (TOKENS_SD * math.log(d / ground.d)) ** 2 + (PASSES_SD * passes) ** 2)


# --- the plan --------------------------------------------------------------------------------


def grow(laws: Laws, ground: Ground, shapes: Sequence[Shape[T]]) -> Grown[T] | None:
    """The shape and the tokens that promise the least loss, the less certain at a discount.

    None where no shape has time for as many tokens as the ground's runs had.
    """
    most_text = int(MOST_PASSES * ground.unique)
    best: tuple[float, Grown[T]] | None = None
    for shape in shapes:
        if laws.basis == "guess" and shape.n > MOST_GROWN * ground.n:
            continue
        tokens = min(shape.most_tokens, max(most_text, int(ground.d)))
        if tokens < ground.d:
            continue
        found = foretell(laws, ground, shape.n, tokens)
        cost = math.log(found.mean) + CAUTION * sd_beside(ground, shape.n, tokens)
        if best is None or cost < best[0]:
            best = cost, Grown(shape.config, tokens, found, laws.basis, tokens / ground.unique,
                               "time" if tokens == shape.most_tokens else "text")
    return None if best is None else best[1]


def most_tokens(run_s: Callable[[int], float], tokens_per_step: int, seconds: float) -> int:
    """The most tokens, in whole steps, whose run takes no longer; 0 where not one step does."""
    low, high = 0, 1
    while run_s(high * tokens_per_step) <= seconds and high < 1 << 40:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        fits = run_s(middle * tokens_per_step) <= seconds
        low, high = (middle, high) if fits else (low, middle)
    return low * tokens_per_step
