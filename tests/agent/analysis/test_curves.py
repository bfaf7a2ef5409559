"""Curves: few points, means between them, bits a byte."""

import math
from pathlib import Path

import pytest

from agent.analysis.curves import MOST_POINTS, bits_per_nat, curves_of, thinned
from agent.ledger.overview import run_rows
from agent.ledger.reader import Reader
from agent.ledger.records import Metric
from tests.support import example_ledger as example


def test_points_are_means_over_stretches_that_grow() -> None:
    logged = [Metric(step, step * 100, train_loss=6 - math.log(step)) for step in range(1, 5001)]
    found = thinned(logged)
    assert len(found) <= MOST_POINTS
    ratios = [b[0] / a[0] for a, b in zip(found[-10:], found[-9:], strict=False)]
    assert all(1.0 < ratio < 1.5 for ratio in ratios)
    for tokens, loss in found[-10:]:
        assert loss == pytest.approx(6 - math.log(tokens / 100), abs=0.01)


def test_a_validation_loss_stands_in_and_a_step_without_any_is_left_out() -> None:
    assert thinned([Metric(1, 10, val_loss=3.0), Metric(2, 1000)]) == [(10, 3.0)]


def test_named_runs_come_first_and_scores_in_bits_meet_the_curve(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    with Reader.open(path) as ledger:
        rows = {row.label: row for row in run_rows(ledger)}
        corpora = {corpus.id: corpus for corpus in ledger.corpora()}
        found = curves_of(ledger, [rows["E1"]], [rows["B2"], rows["E1"], rows["E2"]], corpora)
    assert [(curve.label, curve.is_named) for curve in found] == [("E1", True), ("B2", False)]
    assert bits_per_nat(corpora[1]) == pytest.approx(example.BITS_PER_NAT)
    assert found[0].points[-1][1] == pytest.approx((2.5 - 0.05) * example.BITS_PER_NAT)
    assert found[0].end_bpb == pytest.approx(2.5 * example.BITS_PER_NAT)


def test_without_a_yardstick_there_is_no_rate() -> None:
    assert bits_per_nat(None) is None
