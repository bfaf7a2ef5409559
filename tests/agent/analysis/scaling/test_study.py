"""A whole study of made runs whose truth is known, and what is told of it."""

import json

import numpy as np
import pytest

from agent.analysis.scaling.forms import FLOOR, NO_FLOOR, REPETITION, foretold
from agent.analysis.scaling.observed import Observed
from agent.analysis.scaling.study import Study, study_of
from agent.analysis.scaling.told import apart, as_dict
from engine.errors import UserError

YARDSTICKS = {"uniform": 6.93, "unigram": 5.78, "bigram": 3.44, "trigram": 2.81}
ALPHAS = {"balanced": 0.35, "deep": 0.2}
R = 5.0


def made_runs(noise: float = 0.01) -> list[Observed]:
    """Two families of 5 sizes on 4 amounts of text and two seeds, and a short text seen often."""
    rng = np.random.default_rng(12)
    found = []
    for family, alpha in ALPHAS.items():
        row = np.array([[np.log(60.0), np.log(300.0), alpha, 0.37, np.log(1.2), np.log(R)]])
        for n in np.geomspace(1e4, 3e6, 5).round():
            for d, u in [*((d, d) for d in np.geomspace(5e4, 8e6, 4)), (8e6, 1e5), (2e6, 1e5)]:
                for seed in (1, 2):
                    loss = foretold(REPETITION, row, n, d, u)[0, 0] * np.exp(rng.normal(0, noise))
                    found.append(Observed(
                        label=f"G{len(found)}", family=family, config_hash=f"{family}{n}",
                        seed=seed, n_matrices=int(n), n_with_head=int(n * 1.2) + 3000,
                        n_all=int(n * 1.4) + 6000, tokens=int(d), unique=int(u), loss=loss))
    return found


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(made_runs(), YARDSTICKS, n_draws=60)


def test_what_was_made_is_found(study: Study) -> None:
    assert study.best.form is REPETITION
    assert study.ground.n_cells == 60
    assert study.sigma == pytest.approx(0.01, rel=0.2)
    alphas = {one.name: one.draws.ci95["alpha"] for one in study.families}
    for family, (low, high) in alphas.items():
        assert low <= ALPHAS[family] <= high
    assert apart(study, "alpha") == [("balanced", "deep")]
    assert apart(study, "beta") == []


def test_json_has_the_keys_that_scripts_rely_on(study: Study) -> None:
    found = json.loads(json.dumps(as_dict(study), allow_nan=False))
    assert found.keys() >= {"n_runs", "n_cells", "sizes", "decades_n", "decades_d", "fits",
                            "families", "thresholds"}
    for one in found["fits"]:
        assert one.keys() >= {"form", "params", "ci95", "aicc", "holdout_error"}
    assert [one["convention"] for one in found["fits"]] == ["matrices"] * 3 + ["with head", "all"]
    assert found["fits"][0]["ci95"]["beta"][0] <= 0.37 <= found["fits"][0]["ci95"]["beta"][1]


def test_lines_and_thresholds_are_of_the_most(study: Study) -> None:
    over_n, over_d = study.lines
    assert (over_n.axis, over_n.at, len(over_n.x)) == ("parameters", 8e6, 5)
    assert (over_d.axis, len(over_d.x)) == ("tokens", 4)
    assert over_n.law.exponent < 0
    assert len(over_n.steps) == 4
    axes = {(one.axis, one.yardstick) for one in study.thresholds}
    assert axes == {(axis, name) for axis in ("tokens", "unique") for name in YARDSTICKS}


def test_the_same_runs_give_the_same_study() -> None:
    runs = [run for run in made_runs() if run.tokens <= run.unique]
    first, second = (as_dict(study_of(runs, YARDSTICKS, n_draws=8)) for _ in range(2))
    assert first == second
    asked = {one["form"] for one in first["fits"]}
    assert asked == {FLOOR.name, NO_FLOOR.name}  # nothing repeats, so that law is not asked


def test_too_few_runs_are_refused() -> None:
    runs = [run for run in made_runs() if run.n_matrices > 1e5]
    with pytest.raises(UserError, match="of 5 sizes"):
        study_of(runs, YARDSTICKS)
