"""What a night says of its runs: one row each, what changed in them, a claim in a block."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.night import told
from agent.search.campaign import Standing
from agent.search.silent import Silent
from agent.search.verdict import Decision
from agent.words.lines import Page, Row, laid_out
from engine.config import Config
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW

CLAIM = Decision("confirmed", {
    "gain_bpb": 0.2501, "low_bpb": 0.2312, "high_bpb": 0.269, "n_blocks": 12, "n": 2, "z": 15.45,
    "least_z": 4.54}, "2 steps together 0.2501 bits/byte better over 2 fresh seeds")


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "night.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        yield ledger


def row_of(ledger: Ledger, run: Run, verdict: Any, reason: str = "because",
           **evidence: Any) -> Row | None:
    return told.decided(ledger, run, None, Decision(verdict, evidence, reason)).row


def test_an_ideas_row_says_what_changed_and_not_the_whole_reason(night: Ledger) -> None:
    found = told.decided(night, night.run("E1"), night.run("B2"),
                         Decision("kept", {}, "0.0232 bits/byte better than the head"))
    assert found.row == Row("E1", night.run("E1").val_bpb, "kept", "learning rate 3e-3 → 2e-3")
    assert str(found) == ("E1: 2.500 nats/token, 1.159 bits/byte → kept: 0.0232 bits/byte better "
                          "than the head")


def test_a_run_that_scored_below_the_head_and_was_discarded_says_against_what(
        night: Ledger) -> None:
    e1 = night.run("E1")
    assert e1.val_bpb is not None
    on = {"gain_bpb": -0.002, "head_bpb": e1.val_bpb - 0.01, "seed": 3, "head_seed": 3}
    idea = dataclasses.replace(night.run("E2"), val_bpb=e1.val_bpb - 0.008, seed=3)
    lucky = told.decided(night, idea, e1, Decision("discarded", on, "because"))
    assert lucky.below == ("0.0020 bits/byte worse than 1.149 of seed 3",)
    assert told.decided(night, night.run("E2"), e1, Decision("discarded", on, "-")).below == ()
    assert [len(line) <= 80 for line in laid_out(lucky, "14:38:24", Page())] == [True, True]


def test_a_baselines_row_says_its_seed_alone(night: Ledger) -> None:
    row = row_of(night, night.run("B2"), "baseline")
    assert row
    assert row.what == "seed 0"


@pytest.mark.parametrize(("strategy", "what"), [
    ("confirm", "E1 on fresh seed 7"), ("ablate", "without E1, seed 7")])
def test_the_arm_of_a_comparison_says_of_which(night: Ledger, strategy: str, what: str) -> None:
    run = example.queue(night, Config(lr=2e-3), strategy=strategy, seed=7,
                        parent_id=night.run("E1").id)
    row = row_of(night, run, "recorded")
    assert row
    assert row.what == what


@pytest.mark.parametrize("strategy", ["grid", "hand"])
def test_a_run_without_a_parent_says_its_configuration(night: Ledger, strategy: str) -> None:
    run = example.queue(night, Config(n_embd=64, lr=5e-4), strategy=strategy)
    row = row_of(night, run, "recorded")
    assert row
    assert row.what == run.config_text


def test_a_broken_run_says_what_broke(night: Ledger) -> None:
    run = dataclasses.replace(night.run("E4"), state="killed", error="over --max-ram 3,000 MB")
    row = row_of(night, run, "killed")
    assert row
    assert row.what == "over --max-ram 3,000 MB"


def test_a_parent_that_is_gone_or_of_another_version_breaks_no_line(night: Ledger) -> None:
    e1 = night.run("E1")
    orphan = dataclasses.replace(e1, parent_id=999)
    assert row_of(night, orphan, "kept") == Row("E1", e1.val_bpb, "kept", e1.config_text)
    odd = dataclasses.replace(e1, config=e1.config | {"no_such_field": 1})
    assert told.changes(e1, odd) == ""
    assert row_of(night, odd, "kept") is not None


def test_a_run_that_waits_says_why_in_full(night: Ledger) -> None:
    found = told.waiting(night.run("E1"), "the disk is full; " * 8)
    assert str(found).startswith("E1 waits: the disk is full")
    assert " ".join(laid_out(found, "14:38:24", Page(60))).count("full") == 8


def test_a_claim_is_a_block_with_interval_checks_steps_and_changes(night: Ledger) -> None:
    e1, e2, base = (night.run(name) for name in ("E1", "E2", "B2"))
    night.decide(e1.id, e2.id, "confirmed", "rule/1", {"with": "E2"}, "a step", NOW)
    found = told.decided(night, e2, base, CLAIM)
    assert (found.is_apart, found.level) == (True, "always")
    assert found.below == (
        "0.2501 bits/byte better than B2 (95 %: +0.2312 to +0.2690)",
        "checked on 2 fresh seeds, on text that selected nothing: z 15.4, least 4.5",
        "steps: E1, E2",
        "width 128 → 64")


def test_a_claim_over_the_arm_of_a_test_names_the_run_it_stands_for(night: Ledger) -> None:
    """Nobody knows C1; E1, whose configuration it had, was on the screen."""
    e1 = night.run("E1")
    arm = example.queue(night, Config(lr=2e-3), strategy="confirm", seed=7, parent_id=e1.id)
    found = told.decided(night, night.run("E2"), arm, CLAIM)
    assert found.below[0] == "0.2501 bits/byte better than E1 (95 %: +0.2312 to +0.2690)"
    orphan = dataclasses.replace(arm, parent_id=999)
    assert told.decided(night, night.run("E2"), orphan, CLAIM).below[0].startswith(
        f"0.2501 bits/byte better than {arm.label} (")


def test_what_a_claim_means_for_its_steps_is_no_line_of_its_own(night: Ledger) -> None:
    found = told.decided(night, night.run("E1"), None,
                         Decision("confirmed", {"with": 3}, "a step of what is confirmed"))
    assert laid_out(found, "14:38:24", Page()) == []


def test_a_step_that_stays_is_a_row_with_what_leaving_it_out_costs(night: Ledger) -> None:
    found = told.decided(night, night.run("E1"), None,
                         Decision("confirmed", {"cost_bpb": 0.1}, "without it 0.1 worse"))
    assert (found.is_apart, found.row and found.row.what) == (
        False, "0.1000 bits/byte worse without it: it stays")


@pytest.mark.parametrize(("verdict", "evidence", "reason"), [
    ("refuted", {"gain_bpb": -0.0123, "n": 3}, "4 steps together 0.0123 bits/byte worse over 3 "
     "fresh seeds, z -1.20: rolled back to what was confirmed before"),
    ("undecided", {"gain_bpb": 0.0123, "n": 5}, "0.0123 bits/byte better over 5 fresh seeds, z "
     "1.90, under 2.31 after 5 pairs: it stays provisional"),
    ("ablated", {"cost_bpb": 0.0012}, "without it 0.0012 bits/byte worse, at most +0.0100 (90 %), "
     "less than half the spread of a seed: dropped, simpler wins")])
@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_later_word_on_a_run_stands_whole_whatever_the_width(
        night: Ledger, verdict: Any, evidence: dict[str, Any], reason: str, width: int) -> None:
    found = told.decided(night, night.run("E1"), None, Decision(verdict, evidence, reason))
    lines = laid_out(found, "14:38:24", Page(width))
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= width
    assert len(lines) == 1 or width < 80


def test_the_noise_is_said_once_the_last_seed_has_ended(night: Ledger) -> None:
    def noise(**known: Any) -> str | None:
        if known:
            night.update_calibration(1, **known)
        return told.noise(night, night.calibration(1))

    assert noise() is None
    assert noise(mean_bpb=1.712, n=1) == (
        "baseline 1.712 bits/byte on one seed, so its noise is not known")
    assert noise(sigma_bpb=0.004, n=5) == "baseline 1.712 ± 0.004 bits/byte over 5 seeds"
    assert noise(sigma_bpb=0.00012) == "baseline 1.71200 ± 0.00012 bits/byte over 5 seeds"
    example.queue(night, strategy="baseline", seed=1)
    assert noise() is None


LONG = ("no strategy found anything that fits: tpe has nothing to try from 128d/4L: 464 over the "
        "limit of 1 s, and so on; learning_rate has nothing to try; random has nothing")


@pytest.mark.parametrize("reason", [LONG, "the night's time is over", "a plateau: " + "x " * 200])
@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("silent", [None, Silent(0.2501, 0.2412, 1, 0.2, 0.3, 12)])
def test_the_end_of_a_search_is_at_most_three_lines_or_twice_as_many_narrow_ones(
        reason: str, width: int, silent: Silent | None) -> None:
    found = told.over(reason, 12, Standing("head E9"), silent)
    lines = laid_out(found, "14:38:24", Page(width))
    assert len(lines) <= (6 if width < 80 or len(reason) > 80 else 3)
    assert max(map(len, lines)) <= width
    assert "agent status" in " ".join(lines[-2:])


def test_the_end_says_the_reason_without_its_particulars() -> None:
    found = told.over(LONG, 12, Standing("head E9, confirmed"), None)
    assert str(found) == ("over: no strategy found anything that fits; 12 runs ended this "
                          "night; head E9, confirmed")
    assert found.below[1] == "nothing is confirmed yet; head E9, confirmed"


def test_the_end_of_one_run_by_hand_is_one_line() -> None:
    found = told.over("1 run done, as asked", 1, None, None)
    assert laid_out(found, "14:38:24", Page()) == [
        "14:38:24  over: 1 run done, as asked; 1 run ended this night"]


def test_a_configuration_is_not_told_twice(night: Ledger) -> None:
    e1, b2 = night.run("E1"), night.run("B2")
    assert e1.config_text not in told.started(e1)
    assert b2.config_text in told.started(b2)


def test_a_search_that_came_to_its_end_says_what_helps() -> None:
    reason = ("a plateau: 55 runs in a row, of any kind, kept nothing; go on with an idea of your "
              "own (`agent enqueue`), more --run-tokens, or another --seed")
    found = told.over(reason, 94, Standing("head E3"), None)
    assert found.below[-1] == ("go on with an idea of your own (`agent enqueue`), more "
                               "--run-tokens, or another --seed")
    assert "agent status" in told.over("the night's time is over", 9, Standing(), None).below[-1]


def test_the_end_names_a_test_that_was_cut_short_and_of_which_night_a_claim_is() -> None:
    silent = Silent(0.25, 0.24, 1, 0.2, 0.3, 12)

    def second(before_bpb: float) -> str:
        return told.over("late", 9, Standing(before_bpb=before_bpb), silent).below[1]

    assert second(0.0) == "confirmed this night +0.2500, silent test +0.2400"
    assert second(0.25) == "nothing new confirmed; before +0.2500, silent test +0.2400"
    assert second(0.2) == (
        "confirmed this night +0.0500, in all +0.2500, silent test +0.2400")
    cut_short = "test of E9 cut short after 1 of 2 to 5 pairs; `agent run` goes on"
    end = told.over("late", 9, Standing("head E9", untested=cut_short), None)
    assert end.below[1:] == ("nothing is confirmed yet", cut_short)


def test_a_run_by_hand_says_how_long_it_will_be(night: Ledger) -> None:
    run = dataclasses.replace(night.run("E1"), label="T1", budget_tokens=64_000)
    config = Config(seq_len=16, batch_size=2)
    assert told.asked_for(run, config) == "T1: 2,000 steps of 32 tokens, 64,000 in all"
