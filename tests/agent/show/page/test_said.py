"""Findings in sentences, no more than what the numbers allow."""

import dataclasses

import pytest

from agent.analysis.findings import Findings
from agent.show.page import said


def test_the_published_night_in_one_sentence(record: Findings) -> None:
    assert said.headline(record) == ("E54 is 0.542 bits/byte better than the baseline, confirmed "
                                     "on fresh seeds; most came from the learning rate")
    assert "On text that decided nothing the gain is 0.563 bits/byte." in said.lede(record)
    assert said.eyebrow(record) == "study 1 · tinystories-train · 500k tokens a run"
    assert [fact.value for fact in said.facts(record)] == ["+0.542", "1.333", "90", "1 h 12 min"]


def test_what_no_fresh_seed_has_judged_is_not_called_confirmed(night: Findings) -> None:
    assert said.headline(night) == ("E1 is 0.023 bits/byte better than the baseline, not confirmed "
                                    "yet")
    assert "E3 is running now." in said.lede(night)


def test_a_baseline_that_nothing_beat(night: Findings) -> None:
    assert night.winner is not None
    alone = dataclasses.replace(night, winner=dataclasses.replace(
        night.winner, is_baseline=True, val_bpb=1.18))
    assert said.headline(alone) == ("The baseline stands at 1.180 bits/byte; nothing beat it in 2 "
                                    "tries yet")


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"running": ["B1"]}, "B1 is running; nothing has finished yet"),
    ({"n_runs": 2}, "2 runs ended, and no baseline has finished yet"),
    ({"n_queued": 3}, "3 runs wait; none has begun"), ({}, "Nothing has run here yet")])
def test_before_there_is_a_winner(empty: Findings, changes: dict[str, object],
                                  sentence: str) -> None:
    tally = dataclasses.replace(empty.tally, **changes)  # type: ignore[arg-type]
    assert said.headline(dataclasses.replace(empty, tally=tally)) == sentence


def test_a_night_that_runs_is_not_told_to_begin(empty: Findings) -> None:
    busy = dataclasses.replace(empty, tally=dataclasses.replace(empty.tally, running=["B1"]))
    assert said.lede(busy).endswith("confirm. This page shows what it finds.")
    assert "`agent run --for 8h` begins one" in said.lede(empty)


def test_published_rows_alone_are_called_that(empty: Findings) -> None:
    assert said.headline(dataclasses.replace(empty, published=[{"ID": "B1"}])) == (
        "1 published run, and none of this ledger's own yet")


def test_yardsticks_are_passed_or_ahead(record: Findings) -> None:
    assert said.passed(record, 1.5) == "past the bigram; the trigram's 1.306 is ahead"
    assert said.passed(record, 1.2) == "past the trigram's 1.306"
    assert said.passed(record, 9.0) == "the unigram's 2.686 is ahead"


@pytest.mark.parametrize(("n", "word"), [
    (None, "-"), (12, "12"), (1234, "1.23k"), (2_048_000, "2.05M"), (5_120_000_000, "5.12G")])
def test_tokens_are_short(n: int | None, word: str) -> None:
    assert said.tokens(n) == word


def test_a_step_of_many_fields_is_called_by_its_run(record: Findings) -> None:
    assert record.chain is not None
    link = next(link for link in record.chain.links if link.label == "E21")
    many = dataclasses.replace(link, fields=["lr", "n_embd", "clip"])
    found = dataclasses.replace(record, chain=dataclasses.replace(
        record.chain, links=[many, record.chain.links[0]]))
    assert said.headline(found).endswith("; most came from E21, which changed 3 fields")
