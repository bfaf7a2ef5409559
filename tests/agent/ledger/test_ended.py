"""What ended in a study: light rows with what was ever decided on them, and its claims."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ended import claims, ended_runs, leads
from agent.ledger.ledger import Ledger
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "night.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        yield ledger


def test_what_ended_is_told_in_order_without_what_runs_or_waits(night: Ledger) -> None:
    assert [(run.label, run.verdict, run.is_kept) for run in ended_runs(night, 1, NOW)] == [
        ("B2", "baseline", 0), ("E1", "kept", 1), ("E2", "discarded", 0)]


def test_a_later_verdict_counts_and_the_earlier_one_is_remembered(night: Ledger) -> None:
    run = night.run("E1")
    night.decide(run.id, None, "confirmed", "rule/1", {}, "because", NOW)
    night.decide(run.id, None, "refuted", "rule/1", {}, "because", NOW)
    (found,) = (one for one in ended_runs(night, 1, NOW) if one.label == "E1")
    assert (found.verdict, found.is_kept, found.is_confirmed) == ("refuted", 1, 1)


def test_from_a_stamp_on_runs_of_no_study_and_of_others_are_told_too(night: Ledger) -> None:
    other = example.add_study(night)
    for study in (None, other):
        example.queue(night, strategy="grid", calibration_id=study, seed=40 + (study or 0))
    night.requeue(night.run("E3").id, NOW, "for a test", "requeue")
    while run := night.claim(NOW, 1):
        if run.label.startswith("G"):
            example.finish(night, run, 3.0, NOW)
    found = {run.label: run.is_of_study for run in ended_runs(night, 1, NOW)}
    assert found == {"B2": 1, "E1": 1, "E2": 1, "G1": 0, "G2": 0}
    assert [run.label for run in ended_runs(night, 1, "2027")] == ["B2", "E1", "E2"]


def test_only_a_gain_over_fresh_seeds_is_a_claim(night: Ledger) -> None:
    e1, base = night.run("E1"), night.run("B2")
    night.decide(e1.id, base.id, "confirmed", "rule/1", {"cost_bpb": 0.1}, "it stays", NOW)
    night.decide(e1.id, base.id, "confirmed", "rule/1", {"with": "E2"}, "a step", NOW)
    assert claims(night, 1) == []
    night.decide(e1.id, base.id, "confirmed", "rule/1", {
        "gain_bpb": 0.25, "low_bpb": 0.2, "high_bpb": 0.3, "n": 2, "n_blocks": None, "z": 9.0},
        "better", NOW)
    (claim,) = claims(night, 1)
    assert (claim.label, claim.against, claim.gain_bpb, claim.n_seeds, claim.is_over_texts) == (
        "E1", "B2", 0.25, 2, 0)
    assert claims(night, 2) == []


def test_leads_are_the_runs_that_became_the_best_and_still_count(night: Ledger) -> None:
    assert [(label, at) for label, at, _ in leads(night, 1)] == [
        ("B2", "2026-03-24T22:05:00Z"), ("E1", "2026-03-24T22:11:00Z")]
    night.decide(night.run("E1").id, None, "refuted", "rule/1", {}, "because", NOW)
    assert [label for label, *_ in leads(night, 1)] == ["B2"]


def test_a_claim_over_the_arm_of_a_test_names_the_run_it_stands_for(night: Ledger) -> None:
    e1, e2 = night.run("E1"), night.run("E2")
    evidence = {"gain_bpb": 0.25, "low_bpb": 0.2, "high_bpb": 0.3, "n": 2, "z": 9.0}
    for strategy, seed in (("confirm", 7), ("ablate", 8)):
        arm = example.queue(night, strategy=strategy, seed=seed, parent_id=e1.id)
        night.decide(e2.id, arm.id, "confirmed", "rule/1", evidence, "better", NOW)
    assert [claim.against for claim in claims(night, 1)] == ["E1", arm.label]  # A1 is its own
