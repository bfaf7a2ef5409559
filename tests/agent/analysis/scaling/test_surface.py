"""The law between the runs."""

import numpy as np

from agent.analysis.scaling.forms import foretold
from agent.analysis.scaling.study import Study
from agent.analysis.scaling.surface import law_surface


def test_it_spans_the_runs_and_falls_along_both_axes(found: Study) -> None:
    its = law_surface(found, 5)
    assert np.allclose([its.sizes[0], its.sizes[-1]],
                       [min(found.ground.sizes), max(found.ground.sizes)])
    assert np.allclose([its.tokens[0], its.tokens[-1]], [5e4, 8e6])
    loss = np.array(its.loss)
    assert loss.shape == (5, 5)
    assert (np.diff(loss, axis=0) < 0).all()
    assert (np.diff(loss, axis=1) < 0).all()


def test_a_frontier_is_where_the_law_falls_to_a_loss(found: Study) -> None:
    its = law_surface(found, 200)
    form, theta = found.best.form, found.best.draws.fit.theta
    points = its.frontier(3.6)
    assert len(points) > 50
    for tokens, size in points[::30]:
        assert np.isclose(foretold(form, theta, size, tokens)[0, 0], 3.6, rtol=1e-3)
    assert its.frontier(99.0) == []
