"""Each run beside the law; the largest beside one that did not see them."""

import numpy as np

from agent.analysis.scaling.checked import against_law
from agent.analysis.scaling.evidence import largest
from agent.analysis.scaling.forms import foretold
from agent.analysis.scaling.observed import points_of
from agent.analysis.scaling.study import Study


def test_runs_keep_their_order_and_the_largest_are_held_out(found: Study) -> None:
    checked = against_law(found)
    assert [one.run for one in checked] == found.runs
    assert [one.run for one in checked if one.is_of_law] == found.law
    held = [one.is_held_out for one in checked if one.is_of_law]
    assert held == largest(points_of(found.law)).tolist()
    assert not any(one.is_held_out for one in checked if not one.is_of_law)
    assert 0 < sum(held) < len(held) / 4


def test_what_is_not_held_out_is_foretold_by_the_law_of_all(found: Study) -> None:
    one = next(one for one in against_law(found) if not one.is_held_out)
    wanted = foretold(found.best.form, found.best.draws.fit.theta, one.run.n_matrices,
                      one.run.tokens, one.run.unique)[0, 0]
    assert np.isclose(one.foretold, wanted)
    assert np.isclose(one.error_percent, 100 * (one.run.loss / wanted - 1))


def test_made_noise_is_what_the_law_leaves(found: Study) -> None:
    errors = [one.error_percent for one in against_law(found) if one.is_of_law]
    assert 0.5 < np.std(errors) < 2  # of 1 %
