"""What a card tells of a run: the interval is Student's, and all it rests on is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.analysis.card import facts_of, mean_interval
from agent.ledger.ledger import Ledger
from engine.config import Config
from tests.agent.analysis.test_compare import ended
from tests.support import example_ledger as example


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        opened.update_calibration(example.add_study(opened), n=3, sigma_bpb=0.01)
        yield opened


def test_the_interval_of_a_mean_is_that_of_a_textbook() -> None:
    # Student 1908, The probable error of a mean: the ten differences in hours of sleep.
    hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    assert mean_interval(hours) == pytest.approx((0.7001142, 2.4598858))
    assert mean_interval([1.5]) == mean_interval([]) == (None, None)


def test_seeds_of_the_configuration_make_the_interval_and_other_runs_are_counted(
        ledger: Ledger) -> None:
    runs = [ended(ledger, Config(), seed, 1.5 + seed / 10) for seed in range(3)]
    other = ended(ledger, Config(lr=1e-3), 0, 1.9, parent_id=runs[0].id)
    found = facts_of(ledger, runs[1])
    assert sorted(found.scores_bpb) == [1.5, 1.6, 1.7]
    assert found.mean_bpb == pytest.approx(1.6)
    assert (found.low_bpb, found.high_bpb) == (pytest.approx(1.3516, abs=1e-4),
                                               pytest.approx(1.8484, abs=1e-4))
    assert (found.n_tried, found.noise_bpb, found.verdict) == (4, 0.01, None)
    found = facts_of(ledger, other)
    assert (found.scores_bpb, found.low_bpb, found.high_bpb) == ((1.9,), None, None)
    assert [step.run.label for step in found.lineage.steps] == [runs[0].label, other.label]
