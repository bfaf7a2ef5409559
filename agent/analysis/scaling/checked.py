"""Every run beside what a law foretold of it: the largest by a law that did not see them."""

from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling.evidence import FLOPS, largest
from agent.analysis.scaling.fit import fit
from agent.analysis.scaling.forms import log_loss
from agent.analysis.scaling.observed import Observed, points_of
from agent.analysis.scaling.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One run and what was foretold of it."""

    run: Observed
    foretold: float  # nats per token
    is_held_out: bool  # foretold by the law of the smaller runs alone

    @property
    def error_percent(self) -> float:
        """Measured over foretold, less one: above 0 the run did worse than the law."""
        return 100 * (self.run.loss / self.foretold - 1)

    @property
    def flops(self) -> float:
        return float(FLOPS) * self.run.n_matrices * self.run.tokens


def against_law(study: Study) -> list[Checked]:
    """In the order of the study's runs; nothing is held out where too little would be left."""
    form, points = study.best.form, points_of(study.runs)
    which = largest(points) if study.best.held else np.zeros(len(points), bool)
    ln = log_loss(form, study.best.draws.fit.theta[None], points)[0][0]
    if which.any():
        held = fit(form, points.only(~which))
        ln = np.where(which, log_loss(form, held.theta[None], points)[0][0], ln)
    return [Checked(run=run, foretold=float(np.exp(its)), is_held_out=bool(is_held))
            for run, its, is_held in zip(study.runs, ln, which, strict=True)]
