"""The word on a batch, from the scores of its runs alone."""

import pytest

from agent.search import batches
from agent.search.actions import Batch, Kind, Node, Step, Trial
from agent.search.batches import MAX_SKIPPED
from agent.search.scores import Scores
from agent.search.verdict import Noise

NOISE = Noise(s_d=0.01, df=8)
HEAD, BASE = Node("head", 7, 0, 1.4), Node("base", 1, 0, 1.5)
STEPS = [Step(Node("first", 6, 0, 1.45), 0.05, "base"), Step(HEAD, 0.05, "first")]


def scores(head: list[float], base: list[float]) -> Scores:
    """Of both configurations on seeds 1, 2, …; only the shard that confirms counts."""
    found, n = Scores(), 0
    for key, of_seeds in (("head", head), ("base", base)):
        for seed, bpb in enumerate(of_seeds, start=1):
            n += 1
            kind: Kind = "confirm"
            found.add(Trial(n, key, seed, kind, "finished", 9.9, bpb))
    return found


def a_batch(n_seeds: int) -> Batch:
    return Batch(HEAD, BASE, STEPS, list(range(1, n_seeds + 1)))


def test_gains_are_of_the_seeds_that_both_have_run_on() -> None:
    found = batches.gains(a_batch(3), scores([1.40, 1.42, 1.41], [1.50, 1.49]))
    assert found == pytest.approx({1: 0.10, 2: 0.07})


def test_one_pair_is_no_word() -> None:
    assert batches.due(a_batch(1), scores([1.4], [1.5]), NOISE, 0, STEPS) is None


def test_a_clear_gain_is_told_of_every_step_the_head_holds() -> None:
    found = batches.due(a_batch(2), scores([1.40, 1.40], [1.50, 1.51]), NOISE, 0, STEPS)
    assert found is not None
    assert (found.run_id, found.against_id, found.decision.verdict) == (7, 1, "confirmed")
    assert [(run_id, echo.evidence) for run_id, echo in found.echoes] == [(6, {"with": 7})]


def test_a_loss_takes_back_what_was_built_on_it_too() -> None:
    later = Step(Node("later", 9, 0, 1.3), 0.1, "head")
    found = batches.due(a_batch(2), scores([1.6, 1.6], [1.5, 1.5]), NOISE, 0, [*STEPS, later])
    assert found is not None
    assert found.decision.verdict == "refuted"
    assert [run_id for run_id, _ in found.echoes] == [6, 9]


def test_too_many_seeds_without_a_run_leave_it_undecided() -> None:
    batch = a_batch(1)
    batch.skipped = set(range(10, 11 + MAX_SKIPPED))
    found = batches.due(batch, scores([1.4], [1.5]), NOISE, 0, STEPS)
    assert found is not None
    assert found.decision.verdict == "undecided"
