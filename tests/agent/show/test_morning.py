"""The morning after a night: what it came to, what it took, and what to do next."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.show.morning import Morning
from agent.show.status import Status, gather
from engine.config import Config
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW

DAWN = "2026-03-25T06:00:00Z"
LATER = "2026-03-25T07:00:00Z"
CLAIM = {"gain_bpb": 0.25, "low_bpb": 0.2, "high_bpb": 0.3, "n": 2, "n_blocks": 12, "z": 9.0}


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "night.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        yield ledger


def end(ledger: Ledger, reason: str = "the night's time is over", **data: Any) -> None:
    ledger.event("night_over", f"over: {reason}; 3 runs ended; head E1", DAWN, None,
                 {"reason": reason, "n_ended": 3, **data})


def status(ledger: Ledger, alive: bool = False) -> Status:
    return gather(ledger, LATER, is_daemon_alive=alive, read_mb=lambda pid: None, home="/nights",
                  read_sample=lambda run: f"{run.label} says: once upon a time")


def morning(ledger: Ledger) -> Morning:
    found = status(ledger).morning
    assert found is not None
    return found


def commands(ledger: Ledger) -> list[str]:
    return [hint.command for hint in morning(ledger).next]


def finish(ledger: Ledger, nats: float, at: str, verdict: Any, **how: Any) -> str:
    """Queue, run and judge one more; its label."""
    for run in ledger.runs("running"):
        ledger.requeue(run.id, at, "for a test", "requeue")
    run = example.queue(ledger, **how)
    while (claimed := ledger.claim(at, 1)) and claimed.id != run.id:
        ledger.finish(claimed.id, "failed", at, error="for a test")
        ledger.decide(claimed.id, None, "failed", "rule/1", {}, "for a test", at)
    example.finish(ledger, ledger.run(run.id), nats, at)
    ledger.decide(run.id, None, verdict, "rule/1", {}, "for a test", at)
    return run.label


def test_a_night_that_goes_on_has_no_morning(night: Ledger) -> None:
    assert status(night, alive=True).morning is None


def test_the_time_in_runs_is_a_part_of_the_night_s_whoever_killed_the_agent_before(
        night: Ledger) -> None:
    start = "2026-03-25T05:58:00Z"
    night.event("night", "taken up after a kill", start, None, {"started_at": start})
    for lr, at in ((1e-3, "2026-03-25T05:59:00Z"), (1.5e-3, "2026-03-25T05:59:30Z")):
        # Of its 104 s the first trained 44 before this night, and the second ran beside it.
        finish(night, 2.6, at, "discarded", config=Config(lr=lr))
    end(night)
    found = morning(night)
    assert (found.n_runs, found.lasted_s, found.trained_s) == (4, 120.0, 90.0)  # two were spoilt


def test_a_night_in_which_nothing_ended_has_a_morning_with_what_to_do(night: Ledger) -> None:
    night.event("night", "another", DAWN, None, {"started_at": DAWN})
    night.event("night_over", "over: asked to", LATER)
    found = status(night).morning
    assert found is not None
    assert (found.n_runs, found.n_tried, found.tokens, found.n_broken) == (0, 0, 0, 0)
    assert [(hint.command, hint.why) for hint in found.next][0] == (
        "agent run --for 8m", "goes on: 1 run queued")


def test_runs_of_a_night_are_counted_whichever_study_they_are_of(night: Ledger) -> None:
    example.queue(night, strategy="grid", calibration_id=None, seed=41)
    example.queue(night, strategy="hand", calibration_id=example.add_study(night), seed=42)
    night.requeue(night.run("E3").id, NOW, "for a test", "requeue")
    while run := night.claim(NOW, 1):
        example.finish(night, run, 3.0, NOW)
    end(night)
    found = status(night)
    assert found.morning is not None
    assert found.night is not None
    assert found.morning.n_runs == found.night.n_ended == 7


def test_it_counts_what_was_tried_and_what_it_took(night: Ledger) -> None:
    end(night)
    found = morning(night)
    assert (found.n_runs, found.n_tried, found.n_kept, found.n_confirmed) == (3, 2, 1, 0)
    assert (found.lasted_s, found.trained_s, found.tokens) == (
        8 * 3600, 3 * 104.0, 3 * example.BUDGET)
    assert found.why == "the night's time is over"


def test_a_run_by_hand_after_the_night_is_none_of_its(night: Ledger) -> None:
    end(night)
    finish(night, 1.0, LATER, "recorded", strategy="hand", calibration_id=None, seed=9)
    night.event("night_over", "over: 1 run done, as asked", LATER)
    found = morning(night)
    assert (found.n_runs, found.ended_at, found.why) == (3, DAWN, "the night's time is over")


def test_what_is_confirmed_is_told_with_interval_and_silent_test(night: Ledger) -> None:
    e1, base = night.run("E1"), night.run("B2")
    night.decide(e1.id, base.id, "confirmed", "rule/1", CLAIM, "better", DAWN)
    night.event("silent_test", "confirmed so far", DAWN, None, {
        "claimed_bpb": 0.25, "silent_bpb": 0.24, "n_batches": 1})
    end(night)
    found = morning(night)
    assert [(one.label, one.against, one.low_bpb, one.high_bpb) for one in found.claims] == [
        ("E1", "B2", 0.2, 0.3)]
    assert found.silent is not None
    assert found.silent["silent_bpb"] == 0.24
    assert found.n_confirmed == 1


def test_what_an_earlier_night_confirmed_is_no_news(night: Ledger) -> None:
    e1, base = night.run("E1"), night.run("B2")
    night.decide(e1.id, base.id, "confirmed", "rule/1", CLAIM, "better", example.NOW)
    night.event("night", "another", DAWN, None, {"started_at": DAWN})
    finish(night, 2.6, LATER, "discarded", config=Config(lr=9e-3))
    found = morning(night)
    assert (found.claims, found.n_claims_before) == ([], 1)


def test_the_course_falls_and_leaves_out_what_was_discarded(night: Ledger) -> None:
    label = finish(night, 1.0, "2026-03-24T23:00:00Z", "discarded", config=Config(lr=9e-3))
    end(night)
    found = morning(night).course
    assert label not in [point.label for point in found]
    assert [(point.label, point.at_s) for point in found] == [("B2", 300.0), ("E1", 660.0)]
    assert found[0].bpb > found[1].bpb


def test_the_course_of_a_second_night_begins_at_the_best_of_the_first(night: Ledger) -> None:
    night.event("night", "another", DAWN, None, {"started_at": DAWN})
    label = finish(night, 2.0, LATER, "kept", config=Config(lr=9e-3))
    assert [(point.label, point.at_s) for point in morning(night).course] == [
        ("E1", 0.0), (label, 3600.0)]


def test_the_best_runs_text_is_read_for_it_alone(night: Ledger) -> None:
    end(night)
    assert morning(night).sample == "E1 says: once upon a time"


def test_a_night_whose_daemon_died_has_a_morning_too(night: Ledger) -> None:
    assert "without a word" in morning(night).why
    assert morning(night).lasted_s > 0


@pytest.mark.parametrize("message", [
    "over: no strategy found anything that fits: tpe has nothing to try from 128d: 464 over the "
    "limit; learning_rate has nothing; 48 runs ended",
    "over: a plateau: 55 runs in a row kept nothing; go on with an idea; 3 runs ended"])
def test_the_long_message_of_an_older_version_is_cut_too(night: Ledger, message: str) -> None:
    night.event("night_over", message, DAWN)
    assert len(morning(night).why) < 60


def test_what_to_do_follows_from_what_happened(night: Ledger) -> None:
    end(night)
    assert commands(night) == ["agent run", "agent sample best", "agent show E1",
                               "agent run --for 8h"]
    assert morning(night).next[-1].why == "fresh seeds test what was kept"
    night.decide(night.run("E1").id, night.run("B2").id, "confirmed", "rule/1", CLAIM, "", DAWN)
    assert morning(night).next[-1].why == "goes on from there"


def test_after_a_plateau_an_own_idea_and_longer_runs_are_next(night: Ledger) -> None:
    end(night, "a plateau: 55 runs in a row kept nothing")
    assert commands(night)[-2:] == ["agent enqueue lr=2e-3", "agent run --run-tokens 8192k"]


def test_where_most_runs_broke_the_doctor_is_asked_first(night: Ledger) -> None:
    for seed in range(6):
        run = example.queue(night, seed=50 + seed)
        night.finish(run.id, "failed", example.NOW, error="no")
    end(night)
    assert commands(night) == ["agent doctor", "agent runs"]
    assert "6 of 9" in morning(night).next[1].why


def test_json_has_the_same_facts(night: Ledger) -> None:
    end(night)
    found = json.loads(json.dumps(dataclasses.asdict(status(night)), allow_nan=False))
    assert found["home"] == "/nights"
    assert found["morning"]["n_tried"] == 2
    assert found["morning"]["course"][0]["label"] == "B2"
    assert found["morning"]["next"][0]["command"] == "agent run"
