"""How large a model the time left can carry, and what it is foretold to score, with its interval.

Every answer is an average over many laws that could have given what was measured:

    ln L(N, D) = ln L(N₀, D₀) + ln law(N, D) − ln law(N₀, D₀)

(N₀, D₀) is what the night's own runs have shown, so that each law is corrected to the night's own
recipe by one constant factor. With runs enough the laws are those of the study's bootstrap. With
fewer they are drawn from what such laws have been (GuessedLaws) and weighed by how well they
foretell the way of the night's own runs: a guess, and told as one. The loss of a run in the middle
of its way is not that of a run which ends there, since its rate has not fallen yet: by how much it
is above was looked at on cosine's curves, and is a judgement for the other schedules (UNSETTLED).

What no law knows widens the interval: seeds, a rate that is carried to another width, a recipe
that was found at one budget and is used at another, and that a law is none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np

from agent.analysis.scaling.bootstrap import Draws
from agent.analysis.scaling.forms import Form, foretold, worth
from engine.model import Array

SEED = 29  # of the draws, so that a plan is the same again
N_LAWS = 6000  # drawn where the runs are too few to tell one
N_SAMPLES = 4000  # of the foretold loss
SEED_SD = 0.01  # of ln L over seeds, where a study has not measured it
# Of ln L for each e-fold of parameters, since a rate is carried to another width, and of tokens,
# since the recipe is used at another budget. A law was fitted to rates that were carried so.
CARRIED_SD = {"law": (0.012, 0.012), "guess": (0.035, 0.02)}
# Of the log of a guessed gain, for each e-fold of tokens: a recipe that was found at one budget is
# not the best at another, so the gain is smaller than a law of the best recipes says. From seven
# harvests of 8 to 65 times the tokens, on two texts; five on two others agree (DEVLOG).
CARRIED_GAIN = {"law": 0.0, "guess": -0.2}
PASSES_SD = 0.03  # the same of passes over the text beyond the first, which differ by the text
N_TRUSTED = 4  # runs of a group that count as many
LEAST_SD = 0.004  # a law is not the truth
MOST_PASSES = 16.0  # of a text: beyond it, a repeat is worth nothing (Muennighoff, R* 15.4)
MOST_GROWN = 8.0  # times the parameters of the matrices, where a guess is all there is
CAUTION = 0.5  # standard deviations that a less certain plan has to be better by

# What a law of these small models has been, measured on three texts. Medians and standard
# deviations of logs: exponents, and the tokens before learning begins beside those of a run.
PRIOR = {"alpha": (0.40, 0.40), "beta": (0.60, 0.50), "delay": (0.25, 1.2)}
# The text's own floor lies so many steps below the trigram's loss as that is below the bigram's.
PRIOR_STEPS = (0.5, 3.0)
PRIOR_BELOW = 0.95  # of what was measured: the floor is below
PRIOR_NO_GRAMS = (0.3, 0.7)  # of the loss that was measured, where no such losses are known
PRIOR_OF_DATA = (4.5, 0.7)  # of a beta distribution: the data's share of what is above the floor
PRIOR_REPEATS = (15.4, 0.6)  # R* of Muennighoff et al. 2023, arXiv:2305.16264
GUESS_SD = 0.3  # of the log of a guessed gain: no law has its very form
# Where a text's trigram is far below its bigram, it has patterns that are learnt at once, and a
# loss falls faster than its way so far says: for each e-fold between the two beyond the first, by
# so much the log of a gain is larger, and so much less sure.
STEEP_FROM, STEEP, STEEP_SD = 0.2, 1.2, 0.8
LAW_SD = 0.08  # of the log of a gain that a fitted law foretells
# ln of a loss at a share of a run over that of a run which ends there, and its standard deviation.
# Of ln L, by schedule: how far the middle of a run is above, and how sure that is.
UNSETTLED = {"cosine": (0.025, 0.03), "wsd": (0.04, 0.03), "constant": (0.0, 0.02)}
SHARES = (0.2, 0.8)  # of a run where its loss is looked at for the way it takes

Basis = Literal["law", "guess"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ground:
    """What the night's own runs of the configuration to grow have shown."""

    n: float  # parameters of the blocks' matrices
    d: float  # tokens of a run
    unique: float  # tokens of the text; infinite where nobody counted them
    loss: float  # nats per token, mean over seeds
    n_runs: int
    sigma: float | None  # of ln L over seeds; None where nobody measured it
    schedule: str
    grams: tuple[float, float] | None = None  # nats per token of the text's bigram and trigram
    way: tuple[tuple[float, float], ...] = ()  # share of a run, and its loss there

    @property
    def sd(self) -> float:
        return self.sigma if self.sigma is not None else SEED_SD


class Laws(Protocol):
    """Laws that could be true, and how much each counts."""

    @property
    def weights(self) -> Array:
        """(laws,), their sum 1."""

    @property
    def basis(self) -> Basis: ...

    @property
    def gain(self) -> tuple[float, float]:
        """Of the log of a gain's size beside what they foretell: mean and standard deviation. A
        gain is the log of what is above the floor, over what is above it later."""

    def floor_at(self, ground: Ground) -> Array:
        """Each law's floor in parts of the ground's loss, (laws,)."""

    def ln_ratio(self, ground: Ground, n: Array, d: Array) -> Array:
        """ln of each law's loss at points over that at the ground, (laws, points)."""


@dataclass(frozen=True, slots=True)
class FittedLaws:
    """Those of a study that has runs enough: its bootstrap's."""

    form: Form
    theta: Array  # (laws, params)
    weights: Array
    basis: Basis = "law"
    gain: tuple[float, float] = (0.0, LAW_SD)

    def ln_ratio(self, ground: Ground, n: Array, d: Array) -> Array:
        here = foretold(self.form, self.theta, ground.n, ground.d, min(ground.d, ground.unique))
        there = foretold(self.form, self.theta, n, d, np.minimum(d, ground.unique))
        found: Array = np.log(there) - np.log(here)
        return found

    def floor_at(self, ground: Ground) -> Array:
        if not self.form.has_floor:
            return np.zeros(len(self.theta))
        here = foretold(self.form, self.theta, ground.n, ground.d, min(ground.d, ground.unique))
        found: Array = np.exp(self.form.columns(self.theta)["lnE"][:, 0]) / here[:, 0]
        return found


@dataclass(frozen=True, slots=True)
class GuessedLaws:
    """Laws drawn from what such laws have been, (laws,) each:

        L(N, D) / L(N₀, D₀) = floor + of_size (N/N₀)^−α + of_data ((D'/D'₀ + delay)/(1 + delay))^−β

    floor + of_size + of_data = 1. The delay lets a loss fall ever faster at first, as it does
    where a text has much that is learnt at once: no power of D alone can.
    """

    floor: Array
    of_size: Array
    of_data: Array
    alpha: Array
    beta: Array
    delay: Array
    ln_r: Array
    weights: Array
    basis: Basis = "guess"
    gain: tuple[float, float] = (0.0, GUESS_SD)

    def ln_ratio(self, ground: Ground, n: Array, d: Array) -> Array:
        u = np.minimum(d, ground.unique)
        ln_here, _ = worth(np.array([ground.d]), np.array([min(ground.d, ground.unique)]),
                           self.ln_r[:, None])
        ln_there, _ = worth(d, u, self.ln_r[:, None])
        delay, beta = self.delay[:, None], self.beta[:, None]
        data = ((np.exp(ln_there - ln_here) + delay) / (1 + delay)) ** -beta
        size = (n / ground.n) ** -self.alpha[:, None]
        found: Array = np.log(self.floor[:, None] + self.of_size[:, None] * size
                              + self.of_data[:, None] * data)
        return found

    def floor_at(self, ground: Ground) -> Array:
        return self.floor


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


def laws_of(draws: Draws) -> FittedLaws:
    """Those of a study that has runs enough."""
    n = len(draws.theta)
    return FittedLaws(draws.fit.form, draws.theta, np.full(n, 1 / n))


def laws_guessed(ground: Ground, others: Sequence[Sequence[tuple[float, float, float]]] = (),
                 n_laws: int = N_LAWS) -> GuessedLaws:
    """Laws drawn from what such laws have been, weighed by the ground's way and by other runs.

    others  runs on the same text that differ in size and tokens alone, (n, d, loss) each: a group
            has a recipe of its own, so only the differences inside it tell
    """
    rng = np.random.default_rng(SEED)
    if ground.grams is None:
        floor = rng.uniform(*PRIOR_NO_GRAMS, n_laws)
    else:
        steps = rng.uniform(*PRIOR_STEPS, n_laws)
        floor = ground.grams[1] / ground.loss * np.exp(-steps * _step(ground.grams))
        floor = np.minimum(floor, PRIOR_BELOW * rng.uniform(0.5, 1, n_laws))
    of_data = (1 - floor) * rng.beta(*PRIOR_OF_DATA, n_laws)
    alpha, beta, delay, r = (
        median * np.exp(sd * rng.standard_normal(n_laws))
        for median, sd in (*PRIOR.values(), PRIOR_REPEATS))
    even = GuessedLaws(floor, 1 - floor - of_data, of_data, alpha, beta, delay, np.log(r),
                       np.full(n_laws, 1 / n_laws), gain=_ahead(ground))
    log_weight = _told_by_way(ground, even)
    for group in others:
        log_weight += _told_by_group(group, ground, even)
    weights = np.exp(log_weight - log_weight.max())
    return replace(even, weights=weights / weights.sum())


def _step(grams: tuple[float, float]) -> float:
    """ln of a bigram's loss over a trigram's."""
    return max(0.0, math.log(grams[0] / grams[1]))


def _ahead(ground: Ground) -> tuple[float, float]:
    beyond = max(0.0, _step(ground.grams) - STEEP_FROM) if ground.grams else 0.0
    is_learnt = ground.grams is not None and ground.loss < ground.grams[1]
    return 0.0 if is_learnt else STEEP * beyond, math.hypot(GUESS_SD, STEEP_SD * beyond)


def _told_by_way(ground: Ground, laws: Laws) -> Array:
    """Log likelihood of the losses that the ground's runs had on their way, (laws,).

    They are of the same runs, so that together they count as one.
    """
    ahead, sd = UNSETTLED.get(ground.schedule, UNSETTLED["cosine"])
    way = [(share, loss) for share, loss in ground.way if SHARES[0] <= share <= SHARES[1]]
    if not way:
        return np.zeros(len(laws.weights))
    shares = np.array([share for share, _ in way])
    ln = np.log([loss for _, loss in way]) - math.log(ground.loss) - ahead
    found = laws.ln_ratio(ground, np.full(len(way), ground.n), shares * ground.d)
    spread = sd**2 + 2 * ground.sd**2 / max(1, ground.n_runs)
    likelihood: Array = -0.5 * ((ln - found) ** 2 / spread).mean(axis=1)
    return likelihood


def _told_by_group(group: Sequence[tuple[float, float, float]], ground: Ground,
                   laws: Laws) -> Array:
    """The same of runs that share a recipe of their own, whose level is not known; many of them
    count as N_TRUSTED, since no law has their very form."""
    if len(group) < 2:
        return np.zeros(len(laws.weights))
    n, d, loss = (np.array([one[i] for one in group], float) for i in range(3))
    missed = np.log(loss) - laws.ln_ratio(ground, n, d)
    missed -= missed.mean(axis=1, keepdims=True)
    of_size, of_tokens = CARRIED_SD[laws.basis]
    spread = (of_size * np.abs(np.log(n / ground.n)) + ground.sd) ** 2 + (
        of_tokens * np.log(d / ground.d)) ** 2
    likelihood: Array = -0.5 * (missed**2 / spread).mean(axis=1) * min(len(group), N_TRUSTED)
    return likelihood


# --- what they foretell ----------------------------------------------------------------------


def foretell(laws: Laws, ground: Ground, n: float, d: float) -> Expected:
    """The loss of a model of n parameters after d tokens, by the night's own recipe."""
    ln = laws.ln_ratio(ground, np.array([n]), np.array([d]))[:, 0]
    rng = np.random.default_rng([SEED, 1])
    which = rng.choice(len(ln), N_SAMPLES, p=laws.weights)
    mean, sd = laws.gain
    mean += CARRIED_GAIN[laws.basis] * max(0.0, math.log(d / ground.d))
    floor = laws.floor_at(ground)[which]
    gap = np.log((np.exp(ln[which]) - floor) / (1 - floor))  # what is left above the floor
    gap *= np.exp(mean + sd * rng.standard_normal(N_SAMPLES))
    samples = np.log(floor + (1 - floor) * np.exp(gap))
    samples += sd_beside(laws, ground, n, d) * rng.standard_normal(N_SAMPLES)
    low, mean, high = np.percentile(samples, (2.5, 50, 97.5))
    return Expected(*(float(ground.loss * math.exp(one)) for one in (mean, low, high)))


def sd_beside(laws: Laws, ground: Ground, n: float, d: float) -> float:
    """Standard deviation of ln L that no law knows of."""
    of_size, of_tokens = CARRIED_SD[laws.basis]
    passes = max(0.0, math.log(max(1.0, d / ground.unique)) - math.log(
        max(1.0, ground.d / ground.unique)))
    return math.sqrt(LEAST_SD**2 + ground.sd**2 * (1 + 1 / max(1, ground.n_runs))
                     + (of_size * math.log(n / ground.n)) ** 2
                     + (of_tokens * math.log(d / ground.d)) ** 2 + (PASSES_SD * passes) ** 2)


# --- the plan --------------------------------------------------------------------------------


def grow(laws: Laws, ground: Ground, shapes: Sequence[Shape[T]]) -> Grown[T] | None:
    """The shape and the tokens that promise the least loss, the less certain at a discount.

    None where no shape has time for as many tokens as the ground's runs had.
    """
    most_text = int(min(MOST_PASSES * ground.unique, 1 << 60))
    best: tuple[float, Grown[T]] | None = None
    for shape in shapes:
        if laws.basis == "guess" and shape.n > MOST_GROWN * ground.n:
            continue
        tokens = min(shape.most_tokens, max(most_text, int(ground.d)))
        if tokens < ground.d:
            continue
        found = foretell(laws, ground, shape.n, tokens)
        cost = math.log(found.mean) + CAUTION * sd_beside(laws, ground, shape.n, tokens)
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
