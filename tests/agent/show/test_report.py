"""Runs and corpora as plain text."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.show import report
from agent.show.status import detail
from engine.config import Config
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        yield ledger


def page(ledger: Ledger, label: str, width: int = 60, sample: str | None = None) -> str:
    return report.run_page(detail(ledger, ledger.run(label)), sample, width)


def words_of(text: str) -> str:
    return " ".join(text.split())


# --- the list --------------------------------------------------------------------------------


def test_a_wide_list_has_every_column_and_the_whole_configuration(night: Ledger) -> None:
    lines = report.run_list(night.runs(), {}, 200).splitlines()
    assert lines[0].split() == ["run", "status", "params", "steps", "nats", "bits/B", "unigram",
                                "tok/s", "took", "config"]
    assert lines[4].split(maxsplit=10) == ["E1", "finished", "1.3M", "2,000", "2.500", "1.159",
                                           "-56.7%", "20,000", "2", "min", "128d/4L AdamW lr=2e-3"]


@pytest.mark.parametrize("width", [30, 45, 60, 72, 90])
def test_a_narrow_list_fits_and_keeps_label_and_status(night: Ledger, width: int) -> None:
    lines = report.run_list(night.runs(), {}, width).splitlines()
    assert max(map(len, lines)) <= width
    assert [line.split()[:2] for line in lines[-2:]] == [["E3", "running"], ["E4", "queued"]]


def test_the_first_line_of_a_run_s_page_fits_too(night: Ledger) -> None:
    config = dataclasses.replace(Config(), lr=1.23e-4, schedule="constant", beta1=0.7, clip=0.3,
                                 weight_decay=0.21, warmup_frac=0.11, seq_len=24, batch_size=4)
    run = example.queue(night, config, seed=9)
    for width in (40, 60, 80):
        lines = report.run_page(detail(night, run), None, width).splitlines()
        assert max(map(len, lines)) <= width
        assert lines[0].startswith(f"{run.label} queued, 128d/4L")
        assert " ".join("\n".join(lines).split()).startswith(
            f"{run.label} queued, {run.config_text} why ")


def test_losses_are_the_last_to_go(night: Ledger) -> None:
    assert report.run_list(night.runs(), {}, 60).split("\n")[0].split() == [
        "run", "status", "nats", "bits/B", "unigram", "config"]
    assert report.run_list(night.runs(), {}, 45).split("\n")[0].split() == [
        "run", "status", "nats", "config"]


def test_a_verdict_says_more_than_finished(night: Ledger) -> None:
    runs = night.runs()
    verdicts = {night.run("E1").id: "kept"}
    statuses = [line.split()[1] for line in report.run_list(runs, verdicts, 80).splitlines()[3:6]]
    assert statuses == ["finished", "kept", "finished"]


def test_no_runs_are_said_to_be_none() -> None:
    assert report.run_list([], {}, 60) == "no runs"


# --- one run ---------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["B1", "B2", "E1", "E2", "E3", "E4"])
@pytest.mark.parametrize("width", [45, 60, 100])
def test_no_line_of_a_page_is_too_long(night: Ledger, label: str, width: int) -> None:
    text = page(night, label, width, "Once upon a time there was a little fox. " * 9)
    assert max(map(len, text.splitlines())) <= width


def test_a_page_tells_what_changed_and_why(night: Ledger) -> None:
    text = words_of(page(night, "E1"))
    assert text.startswith("E1 finished, 128d/4L AdamW lr=2e-3")
    assert "why learning_rate: a smaller step, as the curve is rough" in text
    assert "parent B2, 128d/4L AdamW lr=3e-3" in text
    assert "changed lr 0.003 → 0.002" in text
    assert "n_hidden default" in text
    assert "tied no" in text


def test_a_page_tells_sizes_times_and_memory(night: Ledger) -> None:
    text = words_of(page(night, "E1"))
    assert "size 1,311,872 parameters, 262,144 of them in embedding and head" in text
    assert "budget 2,048,000 tokens, seed 0" in text
    assert "result 2.5000 nats/token, 1.1590 bits/byte, -56.7% against the unigram; " \
           "training 2.4500" in text
    assert "memory predicted 173 MB, measured 168 MB" in text
    assert "started 2026-03-24 22:06 UTC, ended 2026-03-24 22:11 UTC" in text
    assert "speed 20,000 tok/s, 2 min" in text


def test_a_page_tells_the_decision_with_its_evidence_in_words(night: Ledger) -> None:
    text = words_of(page(night, "E1"))
    assert "kept against B2, 2026-03-24 22:11 UTC, rule rule/1" in text
    assert "because 0.0232 bits/byte better than the head on one seed, with a noise of" in text
    assert ("evidence 1.1590 bits/byte, head 1.1822, gain +0.0232, n 1, noise of a difference "
            "0.0028") in text


def test_evidence_no_rule_here_knows_is_named_as_it_is(night: Ledger) -> None:
    assert "evidence 1.1822 bits/byte, seed 0" in words_of(page(night, "B2"))
    night.decide(night.run("E2").id, None, "failed", "other/2", {"error": None}, "r", NOW)
    assert "rule other/2 because r evidence none" in words_of(page(night, "E2"))


def test_a_page_has_the_curve_and_the_yardsticks(night: Ledger) -> None:
    lines = page(night, "E1").splitlines()
    assert any(line.startswith(" 3.44 ┤") and line.endswith("bigram") for line in lines)
    rows = [line.split() for line in lines]
    assert ["trigram", "2.8600", "1.3259"] in rows
    assert ["→", "E1", "2.5000", "1.1590"] in rows


def test_a_page_ends_with_the_last_sample(night: Ledger) -> None:
    text = page(night, "E1", sample="Once upon a time\nthere was \x1b[31ma fox")
    assert text.endswith("its last sample\n  Once upon a time\n  there was \ufffd[31ma fox")


def test_a_run_without_result_shows_what_it_has(night: Ledger) -> None:
    text = page(night, "E4")
    assert "result" not in text
    assert "→ E4" not in text
    assert "trigram" in text


def test_a_failed_run_says_why(night: Ledger) -> None:
    night.finish(night.run("E3").id, "killed", NOW, error="the run took 3100 MB")
    text = words_of(page(night, "E3"))
    assert text.startswith("E3 killed")
    assert "error the run took 3100 MB" in text


def test_a_published_row_shows_what_its_source_says(night: Ledger) -> None:
    text = words_of(page(night, "B1"))
    assert "config lr 3e-05, n_embd 128, n_layer 4, optimizer lion" in text
    assert "notes Plateau at unigram level" in text
    assert "source published" in text


# --- yardsticks ------------------------------------------------------------------------------


def test_baselines_name_each_corpus_and_its_sizes(night: Ledger) -> None:
    example.add_corpus(night, vocab_size=512, name="short words", unigram_nats=None,
                       unigram_bpb=None, n_stories_train=None)
    first, second = report.baselines(night.corpora()).split("\n\n")
    assert first.splitlines()[:3] == ["stories (builtin), vocabulary 1,024",
                                      "  trained on 19,000 stories, 3,100,000 tokens",
                                      "  scored on 104,000 tokens, 311,000 bytes"]
    assert [line.split() for line in first.splitlines()[3:]] == [
        ["nats/token", "bits/byte"], ["uniform", "6.9310", "3.2132"],
        ["unigram", "5.7800", "2.6796"], ["bigram", "3.4400", "1.5948"],
        ["trigram", "2.8600", "1.3259"]]
    assert second.startswith("short words (builtin), vocabulary 512\n  trained on - stories")
    assert "unigram              -          -" in second


def test_without_a_corpus_the_remedy_is_named() -> None:
    assert report.baselines([]) == "no corpus yet; `agent run --for 4m` prepares one"


def test_every_field_of_a_run_that_people_need_has_its_place(night: Ledger) -> None:
    run = dataclasses.replace(night.run("E1"), notes="a note", error="an error",
                              device="a board", code_version="1.2.3")
    found = dataclasses.replace(detail(night, night.run("E1")), run=run)
    text = words_of(report.run_page(found, None, 80))
    for fact in ("notes a note", "error an error", "machine a board", "code 1.2.3", run.uid):
        assert fact in text
