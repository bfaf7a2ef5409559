"""The scheduler's bench: a worker waits as long as the scheduler takes, and no more."""

import itertools
import json
from dataclasses import replace

import pytest

from tests.bench.scale import PARTS, RUN_S, Scale, measure, table


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Scale]:
    """Nights of four workers whose scheduler takes nearly nothing, or seconds, for each part."""
    return {step_s: measure(4, tmp_path_factory.mktemp("scale"), 8, 1e9,
                            cpu=itertools.count(0.0, step_s).__next__)
            for step_s in (1e-5, RUN_S / 10)}


def test_a_quick_scheduler_keeps_all_busy(found: dict[float, Scale]) -> None:
    quick = found[1e-5]
    assert (quick.workers, quick.runs, quick.ended_by) == (4, 8, "runs")
    assert 0.95 < quick.busy <= 1.0
    assert quick.load < 0.01
    assert set(quick.ms) == {*PARTS, "ticks"}
    assert sum(quick.ms.values()) == pytest.approx(quick.run_ms)
    assert quick.run_ms == pytest.approx(1e3 * quick.cpu_s / quick.runs)


def test_a_slow_one_does_not(found: dict[float, Scale]) -> None:
    slow = found[RUN_S / 10]
    assert slow.busy < 0.5
    assert slow.load == pytest.approx(1.0)
    assert slow.most_workers < 4


def test_it_is_told_in_a_table_and_as_json(found: dict[float, Scale]) -> None:
    told = table([replace(one, ended_by="runs") for one in found.values()])
    assert told.splitlines()[0].split()[:3] == ["workers", "runs", "busy"]
    assert json.dumps([one.busy for one in found.values()])
