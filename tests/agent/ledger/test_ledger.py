"""The ledger's promises: rows survive, states change once, and what it shows is what it holds."""

import csv
import dataclasses
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger import queries
from agent.ledger.experiments import EXPERIMENT_COLUMNS
from agent.ledger.ledger import Ledger
from agent.ledger.reader import glance
from agent.ledger.records import Metric, NewCalibration, NewCorpus, NewRun, Run
from engine.config import Config
from engine.errors import LedgerError, StorageError

ROOT = Path(__file__).resolve().parents[3]
NOW = "2026-03-24T10:11:12Z"
LATER = "2026-03-24T10:21:12Z"

HEADER = "ID,Date,Params,Config,Steps,val_loss,vs Unigram,Status,Notes\n"
PUBLISHED = [
    ["B1", "03-24", "1.3M", "128d/4L Lion lr=3e-5", "2000", "6.17", "-1.3%", "Baseline",
     "Plateau at unigram level"],
    ["μ1", "03-24", "1.3M", "128d/4L AdamW lr=3e-4", "300", "6.37", "+1.9%", "Micro",
     "AdamW converges 3x faster"],
    ["μ2", "03-24", "1.3M", "128d/4L Lion lr=3e-5", "300", "6.56", "+5.0%", "Micro",
     "Lion converges slower"],
    ["E2", "03-24", "3.7M", "192d/6L AdamW lr=6e-4", "-", "div", "-", "Failed",
     "lr too high, diverged"],
    ["E3", "03-24", "1.3M", "128d/4L AdamW lr=3e-4 clip=5", "400", "~6.5", "+4%", "Killed",
     "Still above unigram"],
    ["μ3", "03-24", "1.3M", "128d/4L 5-story overfit", "~500", "5.38", "-13.9%", "Micro",
     "Below unigram. Architecture works."],
]


def as_csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([EXPERIMENT_COLUMNS, *rows])
    return text.getvalue()


def new_corpus(**changes: Any) -> NewCorpus:
    return dataclasses.replace(
        NewCorpus(name="stories", source="builtin", text_sha256="aa", vocab_size=1024,
                  tokenizer_sha256="bb", search_sha256="cc", created_at=NOW, unigram_nats=5.78),
        **changes)


def new_calibration(**changes: Any) -> NewCalibration:
    return dataclasses.replace(
        NewCalibration(created_at=NOW, corpus_id=1, text_sha256="aa", budget_tokens=1000,
                       config=Config().to_dict(), run_s=12.5), **changes)


def new_run(**changes: Any) -> NewRun:
    return dataclasses.replace(
        NewRun(uid=uuid.uuid4().hex, created_at=NOW, strategy="random", config=Config(), seed=0,
               budget_tokens=1000, corpus_id=1, calibration_id=1, reason="to see"), **changes)


def running(ledger: Ledger, **changes: Any) -> Run:
    ledger.queue(new_run(**changes))
    run = ledger.claim(NOW)
    assert run is not None
    return run


def finished(ledger: Ledger, val_bpb: float, **changes: Any) -> Run:
    return ledger.finish(running(ledger, **changes).id, "finished", LATER, val_bpb=val_bpb)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """An open ledger with one corpus and one study."""
    with Ledger.open(path) as ledger:
        ledger.add_corpus(new_corpus())
        ledger.add_calibration(new_calibration())
        yield ledger


# --- queuing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("strategy", "labels"), [
    ("baseline", ["B1", "B2"]), ("grid", ["G1", "G2"]), ("hand", ["T1", "T2"]),
    ("random", ["E1", "E2"]), ("scale_up", ["E1", "E2"]),
])
def test_labels_count_up_per_strategy(ledger: Ledger, strategy: str, labels: list[str]) -> None:
    got = [ledger.queue(new_run(strategy=strategy, seed=seed)).label for seed in (0, 1)]
    assert got == labels


def test_labels_pass_the_tenth(ledger: Ledger) -> None:
    labels = [ledger.queue(new_run(seed=seed)).label for seed in range(12)]
    assert labels[-3:] == ["E10", "E11", "E12"]


def test_labels_go_on_after_published_ones(ledger: Ledger) -> None:
    ledger.import_published(as_csv(PUBLISHED), NOW)
    assert ledger.queue(new_run(strategy="baseline")).label == "B2"
    assert ledger.queue(new_run(seed=1)).label == "E4"


def test_queued_run_holds_what_its_config_says(ledger: Ledger) -> None:
    config = Config(n_embd=64, lr=1e-3, n_hidden=100)
    run = ledger.queue(new_run(config=config, predicted_mb=31.5, cores="0-3"))
    assert Config.from_dict(run.config) == config
    assert (run.config_hash, run.config_text) == (config.hash, config.describe())
    assert (run.n_params, run.n_params_embedding) == (config.n_params, 2 * 1024 * 64)
    assert (run.state, run.attempts, run.events_offset) == ("queued", 0, 0)
    assert (run.predicted_mb, run.cores, run.reason) == (31.5, "0-3", "to see")


def test_same_run_is_not_queued_twice(ledger: Ledger) -> None:
    ledger.queue(new_run())
    with pytest.raises(LedgerError, match=r"^E1 \(queued\) has this configuration, seed 0 and "
                                          r"budget of 1000 tokens; change one of them$"):
        ledger.queue(new_run(strategy="baseline"))


def test_same_training_in_other_words_is_not_queued_twice(ledger: Ledger) -> None:
    ledger.queue(new_run(config=Config(n_hidden=None)))
    with pytest.raises(LedgerError, match="E1"):
        ledger.queue(new_run(config=Config(n_hidden=512)))


@pytest.mark.parametrize("state", ["finished", "diverged"])
def test_run_with_a_result_is_not_repeated(ledger: Ledger, state: Any) -> None:
    ledger.finish(running(ledger).id, state, LATER)
    with pytest.raises(LedgerError, match=f"E1 \\({state}\\)"):
        ledger.queue(new_run())


@pytest.mark.parametrize("state", ["killed", "failed"])
def test_run_without_a_result_can_be_repeated(ledger: Ledger, state: Any) -> None:
    ledger.finish(running(ledger).id, state, LATER)
    assert ledger.queue(new_run()).label == "E2"


def test_lost_run_can_be_repeated(ledger: Ledger) -> None:
    ledger.mark_lost(running(ledger).id, LATER)
    assert ledger.queue(new_run()).label == "E2"


@pytest.mark.parametrize("changes", [{"seed": 1}, {"budget_tokens": 2000}, {"corpus_id": 2}])
def test_another_seed_budget_or_corpus_is_another_run(
        ledger: Ledger, changes: dict[str, int]) -> None:
    ledger.add_corpus(new_corpus(vocab_size=512))
    ledger.queue(new_run())
    assert ledger.queue(new_run(**changes)).label == "E2"


def test_the_file_itself_refuses_a_repeated_run(ledger: Ledger, path: Path) -> None:
    ledger.queue(new_run())
    copy = "INSERT INTO runs (uid, label, created_at, state, strategy, config, config_hash, " \
           "config_text, seed, budget_tokens, corpus_id) SELECT 'x', 'x', created_at, state, " \
           "strategy, config, config_hash, config_text, seed, budget_tokens, corpus_id FROM runs"
    by_hand = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        by_hand.execute(copy)
    by_hand.close()


# --- the life of a run -----------------------------------------------------------------------


def test_claim_takes_the_oldest_queued_run(ledger: Ledger) -> None:
    first, second = ledger.queue(new_run()), ledger.queue(new_run(seed=1))
    claimed = ledger.claim(NOW, pid=77)
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.pid) == (first.id, "running", 77)
    assert (claimed.started_at, claimed.heartbeat_at, claimed.attempts) == (NOW, NOW, 1)
    assert ledger.run(second.id).state == "queued"


def test_claim_finds_nothing_when_nothing_waits(ledger: Ledger) -> None:
    running(ledger)
    assert ledger.claim(NOW) is None


def test_two_concurrent_claimers_never_get_the_same_run(ledger: Ledger, path: Path) -> None:
    for seed in range(40):
        ledger.queue(new_run(seed=seed))
    claimed: list[int] = []

    def claim_all() -> None:
        with Ledger.open(path) as own:
            while (run := own.claim(NOW)) is not None:
                claimed.append(run.id)

    threads = [threading.Thread(target=claim_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 41))


def test_threads_may_share_a_ledger(ledger: Ledger) -> None:
    def write() -> None:
        for number in range(25):
            ledger.event("tick", str(number), NOW)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.events()) == 100


def test_worker_is_noted_on_its_run(ledger: Ledger) -> None:
    run = running(ledger)
    ledger.start(run.id, LATER, pid=4321)
    assert (ledger.run(run.id).pid, ledger.run(run.id).heartbeat_at) == (4321, LATER)


def test_trial_without_heartbeat_becomes_lost(ledger: Ledger) -> None:
    silent, alive = running(ledger), running(ledger, seed=1)
    assert ledger.heartbeat(alive.id, LATER)
    assert [run.id for run in ledger.stale(LATER, older_than_s=120)] == [silent.id]
    lost = ledger.mark_lost(silent.id, LATER)
    assert (lost.state, lost.ended_at) == ("lost", LATER)
    assert lost.error == f"no sign of life since {NOW}"
    assert ledger.events(run_id=silent.id)[0].kind == "lost"
    assert ledger.stale(LATER, older_than_s=120) == []


def test_run_is_stale_only_after_the_limit(ledger: Ledger) -> None:
    running(ledger)
    assert ledger.stale(LATER, older_than_s=600) == []
    assert len(ledger.stale(LATER, older_than_s=599)) == 1


def test_heartbeat_of_an_ended_run_changes_nothing(ledger: Ledger) -> None:
    run = finished(ledger, 1.2)
    assert not ledger.heartbeat(run.id, "2026-03-24T23:00:00Z")
    assert ledger.run(run.id) == run


def test_requeued_run_keeps_its_start_and_its_place_in_the_events(ledger: Ledger) -> None:
    run = running(ledger)
    ledger.ingest(run.id, [Metric(10, 100, 6.0)], 512, NOW)
    waiting = ledger.requeue(run.id, LATER, "the daemon was restarted")
    assert (waiting.state, waiting.pid) == ("queued", None)
    again = ledger.claim(LATER)
    assert again is not None
    assert (again.id, again.attempts, again.started_at) == (run.id, 2, NOW)
    assert (again.events_offset, again.steps, again.tokens) == (512, 10, 100)
    assert ledger.events()[0].message == "the daemon was restarted"


def test_finish_records_the_outcome(ledger: Ledger) -> None:
    run = running(ledger)
    done = ledger.finish(run.id, "finished", LATER, steps=20, tokens=1000, val_loss=2.5,
                         val_bpb=1.2, vs_unigram=-0.5, peak_mb=80.0, tok_per_s=900.0)
    assert (done.state, done.ended_at, done.steps) == ("finished", LATER, 20)
    assert (done.val_loss, done.val_bpb, done.vs_unigram) == (2.5, 1.2, -0.5)
    assert ledger.run(run.id) == done


def test_number_that_is_not_finite_is_missing(ledger: Ledger) -> None:
    run = running(ledger)
    ledger.ingest(run.id, [Metric(1, 10, float("nan"), grad_norm=float("inf"))], 0, NOW)
    done = ledger.finish(run.id, "diverged", LATER, val_loss=float("inf"))
    ledger.decide(run.id, None, "diverged", "r1", {"losses": [1.0, float("nan")]}, "up", LATER)
    assert done.val_loss is None
    assert ledger.metrics(run.id) == [Metric(1, 10)]
    assert ledger.decisions()[0].evidence == {"losses": [1.0, None]}


def test_run_ends_once(ledger: Ledger) -> None:
    run = finished(ledger, 1.2)
    with pytest.raises(LedgerError, match="^E1 is finished, so it cannot be ended; only a run "
                                          "that is queued or running can$"):
        ledger.finish(run.id, "killed", LATER)
    assert ledger.run(run.id) == run


@pytest.mark.parametrize(("act", "message"), [
    (lambda ledger: ledger.requeue(1, LATER, "again"), "E1 is killed, so it cannot be queued"),
    (lambda ledger: ledger.mark_lost(1, LATER), "E1 is killed, so it cannot be marked lost"),
    (lambda ledger: ledger.start(1, LATER, 5), "E1 is killed, so it cannot be given a worker"),
    (lambda ledger: ledger.ingest(1, [], 9, LATER), "E1 is killed, so it cannot be given metr"),
])
def test_ended_run_stays_as_it_is(ledger: Ledger, act: Any, message: str) -> None:
    run = ledger.finish(running(ledger).id, "killed", LATER, error="over 3 GB")
    with pytest.raises(LedgerError, match=message):
        act(ledger)
    assert ledger.run(run.id) == run


def test_unknown_id_is_named(ledger: Ledger, path: Path) -> None:
    with pytest.raises(LedgerError, match=f"^{path} has no row 9 in its table runs$"):
        ledger.finish(9, "failed", LATER)


# --- metrics ---------------------------------------------------------------------------------


def test_resumed_worker_may_log_the_same_steps_again(ledger: Ledger) -> None:
    run = running(ledger)
    ledger.ingest(run.id, [Metric(1, 10, 6.0, 6.5, 3.0, lr=1e-3), Metric(2, 20, 5.5)], 100, NOW)
    ledger.ingest(run.id, [Metric(2, 20, 5.4), Metric(3, 30, 5.0)], 200, NOW)
    ledger.ingest(run.id, [Metric(1, 10, 6.0)], 300, LATER)
    assert ledger.metrics(run.id) == [
        Metric(1, 10, 6.0, 6.5, 3.0, lr=1e-3), Metric(2, 20, 5.4), Metric(3, 30, 5.0)]
    assert (ledger.run(run.id).events_offset, ledger.run(run.id).heartbeat_at) == (300, LATER)


def test_metrics_and_their_offset_are_taken_together_or_not_at_all(ledger: Ledger) -> None:
    run = running(ledger)
    torn: Any = Metric(2, None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        ledger.ingest(run.id, [Metric(1, 10, 6.0), torn], 100, LATER)
    assert ledger.metrics(run.id) == []
    assert ledger.run(run.id) == run


# --- decisions -------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [
    "UPDATE decisions SET verdict = 'kept'", "DELETE FROM decisions",
    "UPDATE decisions SET reason = '' WHERE id = 1",
])
def test_decisions_are_append_only(ledger: Ledger, path: Path, change: str) -> None:
    run = finished(ledger, 1.2)
    ledger.decide(run.id, None, "baseline", "noise-1", {"b": 1, "a": 2}, "first", LATER)
    by_hand = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only; add a new one"):
        by_hand.execute(change)
    evidence = by_hand.execute("SELECT evidence FROM decisions").fetchall()
    by_hand.close()
    assert evidence == [('{"a": 2, "b": 1}',)]


def test_decision_is_forced_to_the_disk_and_other_commits_are_not(ledger: Ledger) -> None:
    run = finished(ledger, 1.2)
    seen: list[str] = []
    ledger._connection.set_trace_callback(seen.append)
    ledger.decide(run.id, None, "baseline", "noise-1", {}, "first", LATER)
    ledger.event("tick", "on", LATER)
    ledger._connection.set_trace_callback(None)
    order = [text for text in seen if text.startswith(("PRAGMA sync", "BEGIN", "COMMIT"))]
    assert order == ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE", "COMMIT",
                     "PRAGMA synchronous = NORMAL", "BEGIN IMMEDIATE", "COMMIT"]


def test_running_run_cannot_be_decided(ledger: Ledger) -> None:
    run = running(ledger)
    with pytest.raises(LedgerError, match="^E1 is running, so it cannot be decided; only a run "
                                          "that is finished or pruned or diverged"):
        ledger.decide(run.id, None, "kept", "noise-1", {}, "too early", NOW)


def test_decisions_come_newest_first_with_the_names_of_both_runs(ledger: Ledger) -> None:
    base = finished(ledger, 1.3, strategy="baseline")
    better = finished(ledger, 1.2, seed=1)
    ledger.decide(base.id, None, "baseline", "noise-1", {}, "first", NOW)
    ledger.decide(better.id, base.id, "kept", "noise-1", {"gain": 0.1}, "better", LATER)
    newest, oldest = ledger.decisions()
    assert (newest.label, newest.against, newest.verdict) == ("E1", "B1", "kept")
    assert (oldest.label, oldest.against, oldest.evidence) == ("B1", None, {})
    assert ledger.decisions(run_id=base.id) == [oldest]
    assert ledger.decisions(limit=1) == [newest]


def test_undecided_are_ended_measured_runs_without_a_verdict(ledger: Ledger) -> None:
    ledger.import_published(as_csv(PUBLISHED), NOW)
    decided, open_, _ = finished(ledger, 1.2), finished(ledger, 1.3, seed=1), running(
        ledger, seed=2)
    ledger.queue(new_run(seed=3))
    ledger.decide(decided.id, None, "kept", "noise-1", {}, "better", NOW)
    assert [run.id for run in ledger.undecided()] == [open_.id]


def test_first_finished_baseline_is_the_incumbent_until_something_is_kept(
        ledger: Ledger) -> None:
    assert ledger.incumbent(1) is None
    failed = running(ledger, strategy="baseline")
    ledger.finish(failed.id, "failed", LATER)
    base = finished(ledger, 1.3, strategy="baseline", seed=1)
    finished(ledger, 1.25, strategy="baseline", seed=2)
    other = finished(ledger, 1.2, seed=3)
    assert ledger.incumbent(1) == base
    ledger.decide(other.id, base.id, "kept", "noise-1", {}, "better", NOW)
    assert ledger.incumbent(1) == other


def test_latest_kept_run_is_the_incumbent(ledger: Ledger) -> None:
    first, second = finished(ledger, 1.3), finished(ledger, 1.2, seed=1)
    ledger.decide(second.id, None, "kept", "noise-1", {}, "better", NOW)
    ledger.decide(first.id, None, "kept", "noise-1", {}, "better", NOW)
    assert ledger.incumbent(1) == first
    ledger.decide(first.id, None, "discarded", "noise-2", {}, "it was luck", LATER)
    assert ledger.incumbent(1) == second


def test_an_incumbent_belongs_to_its_study(ledger: Ledger) -> None:
    other = ledger.add_calibration(new_calibration(budget_tokens=2000))
    run = finished(ledger, 1.2, calibration_id=other, budget_tokens=2000, strategy="baseline")
    assert (ledger.incumbent(1), ledger.study_runs(1)) == (None, [])
    assert ledger.incumbent(other) == run
    assert ledger.study_runs(other) == [run]


def test_best_ignores_failures(ledger: Ledger) -> None:
    finished(ledger, 1.3)
    good = finished(ledger, 1.2, seed=1)
    for seed, state in enumerate(("killed", "failed", "diverged"), start=2):
        ledger.finish(running(ledger, seed=seed).id, state, LATER, val_bpb=0.5)  # type: ignore[arg-type]
    running(ledger, seed=9)
    assert ledger.best() == good


def test_best_leaves_out_what_was_discarded(ledger: Ledger) -> None:
    kept, lucky = finished(ledger, 1.3), finished(ledger, 1.2, seed=1)
    ledger.decide(lucky.id, kept.id, "discarded", "noise-1", {}, "within the noise", NOW)
    assert ledger.best() == kept


# --- looking things up -----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["E2", "e2", 2, "2", "abcd0123", "ABCD01"])
def test_run_is_found_by_label_id_or_uid(ledger: Ledger, key: Any) -> None:
    ledger.queue(new_run(uid="0" * 32))
    wanted = ledger.queue(new_run(uid="abcd0123" + "0" * 24, seed=1))
    assert ledger.run(key) == wanted


def test_unknown_run_is_answered_with_near_labels(ledger: Ledger) -> None:
    for seed in range(12):
        ledger.queue(new_run(seed=seed))
    with pytest.raises(LedgerError, match="^there is no run 'e13'; near it: E3, E1, E12$"):
        ledger.run("e13")


def test_unknown_run_of_an_empty_ledger_says_how_to_make_one(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="^there is no run '7'; this ledger has none yet, and "
                                          "`agent run --for 4m` makes some$"):
        ledger.run(7)


def test_short_beginning_of_a_uid_that_two_share_is_refused(ledger: Ledger) -> None:
    ledger.queue(new_run(uid="abcd1" + "0" * 27))
    ledger.queue(new_run(uid="abcd2" + "0" * 27, seed=1))
    with pytest.raises(LedgerError, match="^'abcd' begins the uid of E1 and E2; give more"):
        ledger.run("abcd")


def test_runs_are_listed_by_state_order_and_limit(ledger: Ledger) -> None:
    for seed in range(3):
        ledger.queue(new_run(seed=seed))
    ledger.claim(NOW)
    assert [run.label for run in ledger.runs()] == ["E1", "E2", "E3"]
    assert [run.label for run in ledger.runs("queued")] == ["E2", "E3"]
    assert [run.label for run in ledger.runs(limit=2, newest_first=True)] == ["E3", "E2"]


def test_counts_name_every_state_of_measured_runs(ledger: Ledger) -> None:
    ledger.import_published(as_csv(PUBLISHED), NOW)
    finished(ledger, 1.2)
    ledger.queue(new_run(seed=1))
    assert ledger.counts() == {"queued": 1, "running": 0, "finished": 1, "pruned": 0,
                               "diverged": 0, "killed": 0, "failed": 0, "lost": 0}


# --- corpora, studies, grids, events ---------------------------------------------------------


def test_corpus_is_kept_once(ledger: Ledger) -> None:
    assert ledger.add_corpus(new_corpus(name="again")) == 1
    assert ledger.add_corpus(new_corpus(vocab_size=512)) == 2
    assert (ledger.corpus(1).name, ledger.corpus(1).unigram_nats) == ("stories", 5.78)


def test_corpus_with_another_validation_slice_is_refused(ledger: Ledger, path: Path) -> None:
    with pytest.raises(LedgerError, match=f"^{path} knows the text of stories with another "
                                          "validation slice, and losses on two slices do not"):
        ledger.add_corpus(new_corpus(search_sha256="dd"))


def test_study_learns_its_noise_later(ledger: Ledger) -> None:
    assert ledger.calibration(1).sigma_bpb is None
    ledger.update_calibration(1, seeds=[0, 1, 2], n=3, sigma_nats=0.01, sigma_bpb=0.005)
    study = ledger.calibration(1)
    assert (study.seeds, study.n, study.sigma_nats, study.sigma_bpb) == ([0, 1, 2], 3, 0.01, 0.005)
    assert (study.budget_tokens, study.run_s) == (1000, 12.5)
    assert Config.from_dict(study.config) == Config()


def test_studies_of_a_text_come_newest_first(ledger: Ledger) -> None:
    newest = ledger.add_calibration(new_calibration(budget_tokens=2000))
    ledger.add_calibration(new_calibration(text_sha256="zz"))
    assert [found.id for found in ledger.calibrations("aa")] == [newest, 1]
    assert ledger.calibrations("never seen") == []


def test_unknown_study_is_named(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="has no row 5 in its table calibrations"):
        ledger.update_calibration(5, n=3)


def test_grid_comes_back_as_planned(ledger: Ledger) -> None:
    grid = ledger.grid(ledger.add_grid(["0.3M", "1M"], [10_000, 20_000], 7, "night one", NOW))
    assert (grid.sizes, grid.tokens) == (["0.3M", "1M"], [10_000, 20_000])
    assert (grid.seed, grid.note, grid.created_at) == (7, "night one", NOW)


def test_events_come_newest_first(ledger: Ledger) -> None:
    run = running(ledger)
    ledger.event("guard", "41 °C: waiting", NOW, data={"heat_c": 41.0})
    ledger.event("kill", "over 3 GB", LATER, run.id)
    newest, oldest = ledger.events()
    assert (newest.kind, newest.label, newest.at, newest.data) == ("kill", "E1", LATER, None)
    assert (oldest.message, oldest.label, oldest.data) == ("41 °C: waiting", None, {"heat_c": 41.0})
    assert ledger.events(limit=1) == [newest]
    assert ledger.events(run_id=run.id) == [newest]


# --- the experiment table --------------------------------------------------------------------


def cells(ledger: Ledger) -> list[list[str]]:
    return [list(row.values()) for row in ledger.experiments()]


def test_published_rows_come_back_cell_by_cell(ledger: Ledger) -> None:
    assert ledger.import_published(as_csv(PUBLISHED), NOW) == 6
    assert cells(ledger) == PUBLISHED
    assert [tuple(row) for row in ledger.experiments()] == [EXPERIMENT_COLUMNS] * 6


def test_the_shared_published_table_comes_back_cell_by_cell(ledger: Ledger) -> None:
    file = ROOT.parent / "shared" / "data" / "published.csv"
    if not file.exists():
        pytest.skip("the published table is not beside this checkout")
    text = file.read_text(encoding="utf-8")
    ledger.import_published(text, NOW)
    assert cells(ledger) == list(csv.reader(io.StringIO(text)))[1:]


def test_published_cells_become_numbers_where_they_are_numbers(ledger: Ledger) -> None:
    ledger.import_published(as_csv(PUBLISHED), NOW)
    got = [(r.label, r.state, r.n_params, r.steps, r.val_loss, r.vs_unigram)
           for r in ledger.runs()]
    assert got == [
        ("B1", "finished", 1_300_000, 2000, 6.17, -0.013),
        ("μ1", "finished", 1_300_000, 300, 6.37, 0.019),
        ("μ2", "finished", 1_300_000, 300, 6.56, 0.05),
        ("E2", "diverged", 3_700_000, None, None, None),
        ("E3", "killed", 1_300_000, 400, 6.5, 0.04),
        ("μ3", "finished", 1_300_000, 500, 5.38, -0.139),
    ]


def test_published_config_holds_only_what_its_cell_says(ledger: Ledger) -> None:
    ledger.import_published(as_csv(PUBLISHED), NOW)
    assert [ledger.run(label).config for label in ("B1", "E3", "μ3")] == [
        {"n_embd": 128, "n_layer": 4, "optimizer": "lion", "lr": 3e-05},
        {"n_embd": 128, "n_layer": 4, "optimizer": "adamw", "lr": 3e-4, "clip": 5.0},
        {"n_embd": 128, "n_layer": 4},
    ]
    run = ledger.run("B1")
    assert (run.seed, run.strategy, run.corpus_id, run.val_bpb) == (None, None, None, None)
    assert (run.created_at, run.started_at) == ("2026-03-24T00:00:00Z", None)


def test_word_of_a_published_config_that_is_no_field_stays_a_word(ledger: Ledger) -> None:
    row = [*PUBLISHED[0][:3], "24d/2L AdamW rank=4 n_head=2", *PUBLISHED[0][4:]]
    ledger.import_published(as_csv([row]), NOW)
    assert ledger.run("B1").config == {
        "n_embd": 24, "n_layer": 2, "optimizer": "adamw", "n_head": 2}


def test_published_failure_without_a_loss_is_failed(ledger: Ledger) -> None:
    ledger.import_published(HEADER + "E9,03-24,1M,x,-,-,-,Failed,disk full\n", NOW)
    assert (ledger.run("E9").state, ledger.run("E9").val_loss) == ("failed", None)


def test_importing_again_adds_nothing(ledger: Ledger) -> None:
    ledger.import_published(as_csv(PUBLISHED[:4]), NOW)
    assert ledger.import_published("\ufeff" + as_csv(PUBLISHED), LATER) == 2
    assert ledger.import_published(as_csv(PUBLISHED), LATER) == 0
    assert cells(ledger) == PUBLISHED
    assert [event.message for event in ledger.events()] == [
        "imported 2 published rows", "imported 4 published rows"]


@pytest.mark.parametrize(("text", "message"), [
    ("", "^the published table must begin with ID,Date,Params,.*, not nothing$"),
    ("ID,Loss\nB1,3\n", "^the published table must begin with ID,Date,.*, not ID,Loss$"),
    (HEADER + "B1,03-24,1M\n", "^row 2 of the published table has 3 cells instead of 9$"),
    (HEADER + "B1,24 March,1M,x,1,2,3,Baseline,\n",
     "^row 2 of the published table is dated '24 March'; use MM-DD$"),
])
def test_malformed_published_table_is_refused_whole(
        ledger: Ledger, text: str, message: str) -> None:
    with pytest.raises(LedgerError, match=message):
        ledger.import_published(text, NOW)
    assert ledger.runs() == []


def test_published_row_does_not_take_the_label_of_a_measured_run(
        ledger: Ledger, path: Path) -> None:
    ledger.queue(new_run(strategy="baseline"))
    with pytest.raises(LedgerError, match=f"^{path} already has a run of its own called B1; "
                                          "import the published table before the first run$"):
        ledger.import_published(as_csv(PUBLISHED), NOW)
    assert [run.label for run in ledger.runs()] == ["B1"]


def test_measured_row_is_shown_like_the_published_ones(ledger: Ledger) -> None:
    run = running(ledger, config=Config(n_embd=32, n_layer=1))
    ledger.finish(run.id, "finished", LATER, steps=300, val_loss=4.456, vs_unigram=-0.2294)
    ledger.decide(run.id, None, "kept", "noise-1", {}, "better", LATER)
    ledger.import_published(as_csv(PUBLISHED[3:4]), LATER)
    assert cells(ledger) == [PUBLISHED[3], [
        "E1", "03-24", "82.0k", "32d/1L AdamW lr=3e-3", "300", "4.46", "-22.9%", "Kept", "to see"]]


@pytest.mark.parametrize(("config", "shown"), [
    (Config(), "1.3M"), (Config(n_embd=8, n_head=1, vocab_size=257, n_layer=1), "5.2k"),
])
def test_parameters_are_shown_short(ledger: Ledger, config: Config, shown: str) -> None:
    ledger.queue(new_run(config=config))
    assert ledger.experiments()[0]["Params"] == shown


@pytest.mark.parametrize(("relative", "shown"), [
    (0.019, "+1.9%"), (-0.139, "-13.9%"), (-0.0001, "+0.0%"), (0.0, "+0.0%"), (1.5, "+150.0%"),
])
def test_distance_to_the_unigram_is_a_signed_percentage(
        ledger: Ledger, relative: float, shown: str) -> None:
    ledger.finish(running(ledger).id, "finished", LATER, vs_unigram=relative)
    assert ledger.experiments()[0]["vs Unigram"] == shown


def test_row_without_a_result_shows_its_state(ledger: Ledger) -> None:
    ledger.finish(running(ledger).id, "diverged", LATER, val_loss=9.0, vs_unigram=0.5, steps=7)
    ledger.finish(running(ledger, seed=1).id, "killed", LATER, notes="over 3 GB")
    running(ledger, seed=2)
    ledger.queue(new_run(seed=3, reason=None))
    assert [row[4:] for row in cells(ledger)] == [
        ["7", "div", "-", "Diverged", "to see"], ["-", "-", "-", "Killed", "over 3 GB"],
        ["-", "-", "-", "Running", "to see"], ["-", "-", "-", "Queued", ""]]


# --- opening ---------------------------------------------------------------------------------


def test_missing_ledger_is_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(LedgerError, match=f"^there is no ledger at {path}; `agent run` starts"):
        Ledger.open(path, read_only=True)
    assert not path.exists()


@pytest.mark.parametrize("read_only", [True, False])
def test_file_that_is_no_database_is_named(path: Path, read_only: bool) -> None:
    path.write_text("a letter, long enough to be taken for a file of some kind\n" * 50)
    with pytest.raises(LedgerError, match=f"^{path} is not a SQLite database; move it away"):
        Ledger.open(path, read_only=read_only)


def test_database_of_something_else_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=f"^{path} is a database of something else; use anoth"):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_damaged_ledger_is_named(ledger: Ledger, path: Path) -> None:
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 8192 + whole[12288:])
    with pytest.raises(LedgerError, match=f"^{path} is damaged .*`sqlite3 {path} .recover` print"):
        Ledger.open(path)


def test_folder_in_place_of_the_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=f"^{tmp_path} cannot be opened; it must be a file"):
        Ledger.open(tmp_path)


def test_lock_held_too_long_is_named(
        ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "BUSY_S", 0.0)
    with Ledger.open(path) as second, ledger._writing():
        with pytest.raises(LedgerError, match=f"^another program keeps {path} locked"):
            second.event("tick", "on", NOW)


def test_name_of_a_ledger_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1?mode=memory.db"
    with Ledger.open(path) as ledger:
        ledger.event("tick", "on", NOW)
    with Ledger.open(path, read_only=True) as reader:
        assert len(reader.events()) == 1
    assert path.exists()


# --- reading while another writes ------------------------------------------------------------


@pytest.mark.parametrize("act", [
    lambda ledger: ledger.event("tick", "on", NOW), lambda ledger: ledger.claim(NOW),
    lambda ledger: ledger.add_corpus(new_corpus(vocab_size=512)),
    lambda ledger: ledger.heartbeat(1, NOW),
])
def test_reader_cannot_write(ledger: Ledger, path: Path, act: Any) -> None:
    run = ledger.queue(new_run())
    with (Ledger.open(path, read_only=True) as reader,
          pytest.raises(LedgerError, match=f"^{path} cannot be written .*opened for reading")):
        act(reader)
    assert (ledger.runs(), ledger.events()) == ([run], [])


def test_reader_sees_each_commit_of_an_open_writer_and_nothing_else(
        ledger: Ledger, path: Path) -> None:
    with Ledger.open(path, read_only=True) as reader:
        assert reader.runs() == []
        ledger.queue(new_run())
        assert [run.label for run in reader.runs()] == ["E1"]
        with ledger._writing():
            ledger._update("runs", 1, {"notes": "not yet"})
            assert reader.run("E1").notes is None
        assert reader.run("E1").notes == "not yet"


@pytest.fixture
def protected_folder() -> Iterator[Path]:
    """A folder that the process will not be able to write once it is closed with `protect`."""
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    yield folder
    os.seteuid(user)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def protect(folder: Path) -> None:
    """Take away the right to write; root, whom no mode stops, becomes nobody for a while."""
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        (folder / "ledger.db").open("rb").close()
    except PermissionError:
        pytest.skip("the folder for temporary files is closed to others")


def test_ledger_in_a_protected_folder_can_be_read(protected_folder: Path) -> None:
    path = protected_folder / "ledger.db"
    with Ledger.open(path) as writer:
        writer.event("tick", "on", NOW)
    protect(protected_folder)
    with Ledger.open(path, read_only=True) as reader:
        assert [event.message for event in reader.events()] == ["on"]
    with pytest.raises(LedgerError, match=f"^{path} cannot be written .*write-protected$"):
        Ledger.open(path)


def test_commits_beside_a_protected_ledger_are_never_overlooked(
        ledger: Ledger, path: Path, protected_folder: Path) -> None:
    ledger.event("tick", "only in the log", NOW)
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copy(path.with_name(name), protected_folder)
        (protected_folder / name).chmod(0o444)
    protect(protected_folder)
    with pytest.raises(LedgerError, match="ledger.db cannot be opened; it must be a file in a"):
        Ledger.open(protected_folder / "ledger.db", read_only=True)


# --- accidents -------------------------------------------------------------------------------

DIE_BEFORE_COMMIT = """
    import os, signal, sys
    from agent.ledger.ledger import Ledger
    from agent.ledger.records import Metric
    ledger = Ledger.open(sys.argv[1])
    ledger._db.commit = lambda: os.kill(os.getpid(), signal.SIGKILL)
    steps = [Metric(step, step * 10, 5.0) for step in range(5000)]
    {act}
"""
WRITE_FOR_EVER = """
    import sys
    from agent.ledger.ledger import Ledger
    from agent.ledger.records import Metric
    ledger = Ledger.open(sys.argv[1])
    for n in range(10**9):
        ledger.ingest(1, [Metric(n, n)], n, "2026-03-24T10:11:12Z")
        print(n, flush=True)
"""


def script(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def assert_sound(path: Path) -> None:
    by_hand = sqlite3.connect(path)
    problems = (by_hand.execute("PRAGMA integrity_check").fetchall()
                + by_hand.execute("PRAGMA foreign_key_check").fetchall())
    by_hand.close()
    assert problems == [("ok",)]


@pytest.mark.parametrize("act", [
    "ledger.ingest(1, steps, 99, 'now')", "ledger.finish(1, 'finished', 'now', val_loss=1.0)",
    "ledger.mark_lost(1, 'now')", "ledger.requeue(1, 'now', 'again')",
])
def test_killed_writer_loses_at_most_its_own_transaction(
        ledger: Ledger, path: Path, act: str) -> None:
    run = running(ledger)
    ledger.ingest(run.id, [Metric(1, 10, 6.0)], 50, NOW)
    before = ledger.run(run.id)
    ledger.close()
    died = subprocess.run([*script(DIE_BEFORE_COMMIT.format(act=act)), str(path)], cwd=ROOT,
                          check=False)
    assert died.returncode == -9
    with Ledger.open(path, read_only=True) as reader:
        assert reader.run(run.id) == before
    assert_sound(path)
    with Ledger.open(path) as after:
        assert after.run(run.id) == before
        assert after.metrics(run.id) == [Metric(1, 10, 6.0)]
        after.finish(run.id, "finished", LATER)


def test_writer_killed_at_any_moment_keeps_what_it_committed(ledger: Ledger, path: Path) -> None:
    running(ledger)
    ledger.close()
    with subprocess.Popen([*script(WRITE_FOR_EVER), str(path)], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        reported = [int(writer.stdout.readline()) for _ in range(50)][-1]
        writer.kill()
    assert_sound(path)
    with Ledger.open(path) as after:
        logged = after.metrics(1)
        assert [metric.step for metric in logged] == list(range(len(logged)))
        assert len(logged) > reported
        assert after.run("E1").events_offset == logged[-1].step


def test_full_disk_loses_only_what_did_not_fit(ledger: Ledger, path: Path) -> None:
    run = running(ledger)
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    steps = [Metric(step, step, 5.0) for step in range(2_000)]
    with pytest.raises(StorageError, match=f"^the disk under {path} is full or failing .* free"):
        ledger.ingest(run.id, steps, 99, LATER)
    assert ledger.run(run.id) == run
    ledger._connection.execute("PRAGMA max_page_count = 1000000")
    ledger.ingest(run.id, steps, 99, LATER)
    assert len(ledger.metrics(run.id)) == 2_000
    assert_sound(path)


def test_people_read_json_and_comments_in_the_file(ledger: Ledger, path: Path) -> None:
    ledger.queue(new_run())
    by_hand = sqlite3.connect(path)
    schema, config = by_hand.execute(
        "SELECT (SELECT sql FROM sqlite_master WHERE name = 'runs'), config FROM runs").fetchone()
    by_hand.close()
    assert "-- relative: -0.013 is 1.3 % below the unigram" in schema
    assert list(json.loads(config)) == sorted(Config().to_dict())


def test_a_glance_leaves_nothing_beside_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    with glance(path) as reader:
        assert reader.runs() == []
        assert [one.name for one in tmp_path.iterdir()] == ["ledger.db"]
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.db"]


def test_a_glance_while_somebody_writes_sees_what_is_committed(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as writer:
        writer.add_grid([], [], 0, None, NOW)
        with glance(tmp_path / "ledger.db") as reader:
            assert reader.grid(1).seed == 0
