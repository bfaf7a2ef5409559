"""A whole study of size and data: every law with its intervals and what speaks for it, families
side by side, thresholds."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling import evidence
from agent.analysis.scaling.bootstrap import N_DRAWS, Draws, draws_of
from agent.analysis.scaling.evidence import HoldOut, LackOfFit
from agent.analysis.scaling.fit import SQUARES, fit
from agent.analysis.scaling.forms import FLOOR, FORMS, REPETITION, Form, Points, in_words
from agent.analysis.scaling.observed import (
    CONVENTIONS,
    Extent,
    Observed,
    extent,
    families_names,
    of_law,
    points_of,
    why_not,
    within_passes,
)
from agent.analysis.scaling.power import Marginal, PowerLaw, knee, marginals, power_law
from agent.analysis.scaling.thresholds import Threshold, thresholds
from engine.errors import UserError

SEED = 17  # of the draws, so that a report is the same again
REPEATED = 1.001  # passes over the different text above which a run counts as repeating
UNIT = 100_000  # parameters of a row of the marginal table

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class FittedForm:
    """One law over all runs."""

    form: Form
    convention: str
    draws: Draws
    aicc: float
    lack: LackOfFit | None
    held: HoldOut | None

    @property
    def params(self) -> dict[str, float]:
        return in_words(self.form, self.draws.fit.theta)


@dataclass(frozen=True, slots=True)
class Family:
    """One family's own law; draws are None where its runs do not tell one."""

    name: str
    ground: Extent
    draws: Draws | None
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A power law of the loss along one axis, the other held at its most."""

    axis: str  # parameters or tokens
    at: float  # the other axis
    x: list[float]
    loss: list[float]
    law: PowerLaw
    steps: list[Marginal]
    knee: float | None


@dataclass(frozen=True, slots=True)
class Study:
    """All that `agent scaling` tells."""

    runs: list[Observed]
    law: list[Observed]  # of them the points of the law; the others stand beside it
    yardsticks: dict[str, float]  # nats per token
    ground: Extent
    fits: list[FittedForm]  # the first is the one to go by
    families: list[Family]
    lines: list[Line]
    thresholds: list[Threshold]
    sigma: float | None  # of ln L over the seeds of a cell

    @property
    def best(self) -> FittedForm:
        return self.fits[0]


def study_of(runs: Sequence[Observed], yardsticks: Mapping[str, float],
             progress: Progress = lambda _what, _done, _total: None,
             n_draws: int = N_DRAWS) -> Study:
    """The study of these runs. Raises UserError, with what to run, where they are too few.

    yardsticks  name → nats per token
    """
    law = of_law(runs)
    if refusal := why_not(extent(law)):
        raise UserError(refusal)
    is_repeating = _is_repeating(law)
    forms = [form for form in FORMS if is_repeating or form is not REPETITION]
    wanted = [(form, "matrices") for form in forms]
    lead = REPETITION if is_repeating else FLOOR
    wanted += [(lead, convention) for convention in CONVENTIONS if convention != "matrices"]
    fits = []
    for i, (form, convention) in enumerate(wanted):
        progress("fitting", i, len(wanted))
        fits.append(fitted(form, convention, points_of(law, convention), n_draws))
    progress("fitting", len(wanted), len(wanted))
    fits.sort(key=lambda one: (one.convention != "matrices", one.aicc))
    draws = fits[0].draws
    return Study(list(runs), law, dict(yardsticks), extent(runs), fits,
                 families_of(runs, n_draws), lines_of(runs),
                 thresholds(points_of(runs), yardsticks, draws), _sigma(fits))


def law_draws(runs: Sequence[Observed], n_draws: int = N_DRAWS) -> Draws:
    """Their law by matrices, and its draws. Raises UserError where they are too few."""
    law = of_law(runs)
    if refusal := why_not(extent(law)):
        raise UserError(refusal)
    return _draws(law, n_draws)


def _draws(law: Sequence[Observed], n_draws: int) -> Draws:
    points, form = points_of(law), REPETITION if _is_repeating(law) else FLOOR
    return draws_of(fit(form, points), points, np.random.default_rng(SEED), n_draws)


def _is_repeating(runs: Sequence[Observed]) -> bool:
    return any(run.tokens > REPEATED * run.unique for run in runs)


def fitted(form: Form, convention: str, points: Points, n_draws: int = N_DRAWS) -> FittedForm:
    """One law with its intervals, and what speaks for and against it."""
    rng = np.random.default_rng(SEED)
    squares = fit(form, points, SQUARES)
    lack = evidence.lack_of_fit(squares, points)
    held = evidence.hold_out(form, points, rng, lack.sigma if lack else None, n_draws // 4)
    return FittedForm(form, convention, draws_of(fit(form, points), points, rng, n_draws),
                      evidence.aicc(squares, points), lack, held)


def families_of(runs: Sequence[Observed], n_draws: int = N_DRAWS) -> list[Family]:
    """Each family's own law, that of the most runs first."""
    own: dict[str, list[Observed]] = defaultdict(list)
    for run in within_passes(runs):
        own[run.family].append(run)
    found = []
    for name, its in sorted(own.items(), key=lambda one: (-len(one[1]), one[0])):
        ground = extent(its)
        refusal = why_not(ground)
        found.append(Family(name, ground, None if refusal else _draws(its, n_draws), refusal))
    return found


def lines_of(runs: Sequence[Observed]) -> list[Line]:
    """The loss over parameters at the most tokens, and over tokens at the largest size, of the
    family of the most runs on the most text; means over seeds."""
    name = families_names(runs)[0]
    own = [run for run in runs if run.family == name]
    whole = [run for run in own if run.unique >= min(run.tokens, max(r.unique for r in own))]
    most, largest = max(run.tokens for run in whole), max(run.n_all for run in whole)
    wanted = (("parameters", float(most), [(run.n_all, run) for run in whole
                                           if run.tokens == most]),
              ("tokens", float(largest), [(run.tokens, run) for run in whole
                                          if run.n_all == largest]))
    found = []
    for axis, at, pairs in wanted:
        means: dict[int, list[float]] = defaultdict(list)
        for x, run in pairs:
            means[x].append(run.loss)
        if len(means) < 2:
            continue
        xs = [float(x) for x in sorted(means)]
        losses = [sum(means[int(x)]) / len(means[int(x)]) for x in xs]
        steps = marginals(xs, losses, UNIT)
        found.append(Line(axis, at, xs, losses, power_law(xs, losses), steps, knee(steps)))
    return found


def _sigma(fits: Sequence[FittedForm]) -> float | None:
    return next((one.lack.sigma for one in fits if one.lack), None)
