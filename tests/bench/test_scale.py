"""The scheduler's bench: a worker waits as long as the scheduler takes, and no more."""

import itertools
import json
from dataclasses import replace

import pytest

from tests.bench.scale import RUN_S, Scale, measure, table


def a_clock(step_s: float) -> "itertools.count[float]":
    """Processor time that goes on by so much at each look, so that each call takes that."""
    return itertools.count(0.0, step_s)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Scale]:
    """Nights of four workers whose scheduler takes 1 ms, or 15 minutes, for each call."""
    nights = {}
    for step_s in (0.001, 15 * RUN_S):
        clock = a_clock(step_s)
        nights[step_s] = measure(4, tmp_path_factory.mktemp("scale"), 8, 1e9,
                                 cpu=clock.__next__)
    return nights


def test_a_quick_scheduler_keeps_all_busy(found: dict[float, Scale]) -> None:
    quick = found[0.001]
    assert (quick.workers, quick.runs, quick.ended_by) == (4, 8, "runs")
    assert quick.busy > 0.95
    assert quick.ms["queue"] == pytest.approx(1.0)
    assert quick.decisions_per_s == pytest.approx(1e3 / quick.run_ms)


def test_a_slow_one_does_not(found: dict[float, Scale]) -> None:
    slow = found[15 * RUN_S]
    assert slow.busy < 0.5
    assert slow.most_workers < 4


def test_it_is_told_in_a_table_and_as_json(found: dict[float, Scale]) -> None:
    told = table([replace(one, ended_by="runs") for one in found.values()])
    assert told.splitlines()[0].split()[:3] == ["workers", "runs", "busy"]
    assert json.dumps([one.busy for one in found.values()])
