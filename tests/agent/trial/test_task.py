"""A task is read from a job as strictly as any foreign file."""

from typing import Any

import pytest

from agent.trial.task import Task


def test_a_job_without_a_task_has_none() -> None:
    assert Task.of(None) is None
    assert Task.of({"kind": "given", "loss": "ipo"}) == Task(kind="given", loss="ipo")


@pytest.mark.parametrize(("values", "told"), [
    ({"kind": "guess", "loss": "ipo"}, "kind='guess' of its task is not one of given"),
    ({"kind": "given", "loss": "ipo", "beta": "x"}, "beta='x' of its task is not a finite number"),
    ({"kind": "given", "loss": "ipo", "beta": float("nan")}, "beta=nan of its task"),
    ({"kind": "given", "loss": "ipo", "more": 1}, "unexpected keyword"), (3, "must be a mapping")])
def test_what_is_no_task_of_ours_is_refused(values: Any, told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=told):
        Task.of(values)
