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
    is_of_law: bool  # else it stands beside it
    is_held_out: bool  # foretold by the law of the smaller runs alone

    @property
    def error_percent(self) -> float:
        """Measured over foretold, less one: above 0 the run did worse than the law."""
        return 100 * (self.run.loss / self.foretold - 1)

    @property
    def flops(self) -> float:
        return float(FLOPS) * self.run.n_matrices * self.run.tokens


def against_law(study: Study) -> list[Checked]:
    """In the order of the study's runs, also of those beside the law; held out are the law's
    largest points, and none where too little would be left.
    """
    form, law = study.best.form, points_of(study.law)
    which = largest(law) if study.best.held else np.zeros(len(law), bool)
    held = {run.label for run, its in zip(study.law, which, strict=True) if its}
    own, points = {run.label for run in study.law}, points_of(study.runs)
    ln = log_loss(form, study.best.draws.fit.theta[None], points)[0][0]
    if which.any():
        without = log_loss(form, fit(form, law.only(~which)).theta[None], points)[0][0]
        ln = np.where([run.label in held for run in study.runs], without, ln)
    return [Checked(run=run, foretold=float(np.exp(its)), is_of_law=run.label in own,
                    is_held_out=run.label in held)
            for run, its in zip(study.runs, ln, strict=True)]
