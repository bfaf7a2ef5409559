"""What a law says between and beside the runs, as plain numbers for pictures."""

from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling.forms import foretold
from agent.analysis.scaling.study import Study

N_SIDE = 33  # places along an axis


@dataclass(frozen=True, slots=True)
class Surface:
    """Losses by a law over the ground of its runs, each token seen once."""

    tokens: list[float]
    sizes: list[float]  # parameters of the matrices
    loss: list[list[float]]  # of each size over the tokens, nats per token

    def frontier(self, nats: float) -> list[tuple[float, float]]:
        """(tokens, parameters) where each size falls to a loss, between the places asked for."""
        found = []
        for size, row in zip(self.sizes, self.loss, strict=True):
            if row[-1] < nats < row[0]:  # it falls along the tokens
                at = np.interp(-nats, -np.array(row), np.log(self.tokens))
                found.append((float(np.exp(at)), size))
        return found


def law_surface(study: Study, n_side: int = N_SIDE) -> Surface:
    """The law's losses between the fewest and the most of both."""
    sizes, seen = study.ground.sizes, [run.tokens for run in study.runs]
    n, d = (np.geomspace(min(ends), max(ends), n_side) for ends in (sizes, seen))
    loss = [foretold(study.best.form, study.best.draws.fit.theta, one, d)[0].tolist() for one in n]
    return Surface(d.tolist(), n.tolist(), loss)
