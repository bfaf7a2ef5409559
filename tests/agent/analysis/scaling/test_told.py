"""Words and values of a study; what they must hold is in test_study, beside the study."""

import json

import pytest

from agent.analysis.scaling.study import study_of
from agent.analysis.scaling.told import as_dict, law_amount
from agent.words import amount
from tests.agent.analysis.scaling.test_study import YARDSTICKS, made_runs


def test_a_family_without_enough_runs_says_why() -> None:
    runs = [run for run in made_runs() if run.family == "balanced" or run.n_matrices < 2e4]
    found = as_dict(study_of(runs, YARDSTICKS, n_draws=10))
    deep = next(one for one in found["families"] if one["family"] == "deep")
    assert deep["alpha"] is None
    assert "1 of 5 sizes" in deep["why_not"]
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("n", "said"), [(999, "999"), (999_600, "1M"), (12_340, "12.3k"),
                                         (8e6, "8M"), (2.5e9, "2.5G")])
def test_amounts_have_three_digits_and_a_unit(n: float, said: str) -> None:
    assert amount(n) == said


def test_where_a_law_is_asked_no_further_it_says_so() -> None:
    assert law_amount(1000.0, "never") == "under 1k"
    assert law_amount(1001.0, "never") == "1k"
    assert law_amount(None, "never") == "never"
