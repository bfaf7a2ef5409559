"""What `agent status` and `agent show` gather from the ledger."""

import dataclasses
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.find import find_run
from agent.ledger.ledger import Ledger
from agent.show.status import Status, detail, gather, ladder, uniform_bpb
from engine.config import Config
from engine.errors import LedgerError
from tests.support import example_ledger as example
from tests.support.example_ledger import BITS_PER_NAT, NOW, START
from tests.support.parts import a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "night.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        yield ledger


def look(ledger: Ledger, now: str = NOW, alive: bool = True) -> Status:
    return gather(ledger, now, is_daemon_alive=alive, read_mb=lambda pid: 101.5)


def only_run_by_hand(ledger: Ledger, config: Config, nats: float) -> None:
    example.queue(ledger, config, strategy="hand", calibration_id=None)
    example.finish(ledger, example.claim(ledger, START), nats, START)


# --- what runs -------------------------------------------------------------------------------


def test_running_run_shows_how_far_it_is(night: Ledger) -> None:
    status = look(night)
    assert status.run is not None
    assert (status.run.label, status.run.state) == ("E3", "running")
    assert status.progress is not None
    assert (status.progress.step, status.progress.n_steps) == (1000, 2000)
    assert status.progress.share == 0.5
    assert status.progress.tok_per_s == 20_000.0
    assert status.progress.left_s == pytest.approx(1000 * 1024 / 20_000)
    assert status.progress.silent_s is None


def test_curve_and_yardsticks_are_those_of_the_running_run(night: Ledger) -> None:
    status = look(night)
    assert [metric.val_loss for metric in status.curve] == [5.1, 3.5, 2.95, 2.8, 2.7]
    assert [(rung.name, rung.nats) for rung in status.yardsticks] == [
        ("uniform", 6.931), ("unigram", 5.78), ("bigram", 3.44), ("trigram", 2.86)]


def test_memory_is_read_of_the_worker_of_the_running_run(night: Ledger) -> None:
    progress = gather(night, NOW, is_daemon_alive=True, read_mb={4242: 101.5}.get).progress
    assert progress is not None
    assert progress.ram_mb == 101.5


@pytest.mark.parametrize(("now", "silent_s"), [
    ("2026-03-24T22:31:20Z", None), ("2026-03-24T22:31:21Z", 61.0)])
def test_run_without_heartbeat_for_over_a_minute_is_silent(
        night: Ledger, now: str, silent_s: float | None) -> None:
    progress = look(night, now).progress
    assert progress is not None
    assert progress.silent_s == silent_s


def test_pid_of_a_silent_run_is_not_asked_for_memory(night: Ledger) -> None:
    progress = look(night, "2026-03-24T23:00:00Z").progress
    assert progress is not None
    assert (progress.ram_mb, progress.left_s) == (None, None)


def test_between_runs_the_last_one_to_end_is_shown(night: Ledger) -> None:
    example.finish(night, find_run(night, "E3"), 2.6, "2026-03-24T22:29:00Z")
    status = look(night)
    assert status.run is not None
    assert status.run.label == "E3"
    assert status.progress is None
    assert len(status.curve) == 5


def test_of_two_running_rows_the_one_heard_last_is_shown(night: Ledger) -> None:
    example.claim(night, "2026-03-24T22:40:00Z")
    run = look(night, "2026-03-24T22:40:05Z").run
    assert run is not None
    assert run.label == "E4"


def test_ledger_without_runs_is_no_error(ledger: Ledger) -> None:
    status = look(ledger)
    assert (status.run, status.best, status.night, status.guard) == (None, None, None, None)
    assert (status.curve, status.decisions, status.yardsticks) == ([], [], [])


def test_published_rows_alone_are_no_runs(ledger: Ledger) -> None:
    ledger.import_published(example.PUBLISHED, START)
    assert look(ledger).run is None
    assert look(ledger).best is None


# --- the night -------------------------------------------------------------------------------


def test_night_tells_its_budget_and_what_is_left(night: Ledger) -> None:
    found = look(night).night
    assert found is not None
    assert (found.state, found.n_ended, found.n_queued, found.max_runs) == ("on", 3, 1, 20)
    assert (found.max_ram_mb, found.budget_tokens) == (3000.0, 2_048_000)
    assert found.left_s == 7 * 3600 + 29 * 60 + 40


@pytest.mark.parametrize(("kinds", "state"), [
    (["pause"], "paused"), (["pause", "resume"], "on"), (["stop"], "stopping"),
    (["stop", "night_over"], "over"), (["night_over", "night"], "on"), (["requeue"], "on"),
])
def test_newest_word_of_the_daemon_is_the_nights_state(
        night: Ledger, kinds: list[str], state: str) -> None:
    for kind in kinds:
        night.event(kind, f"message of {kind}", NOW)
    found = look(night).night
    assert found is not None
    assert found.state == state


def test_a_budget_that_was_corrected_is_the_nights(night: Ledger) -> None:
    night.event("budget", "corrected", NOW, data={"budget_tokens": 1_000_000})
    found = look(night).night
    assert found is not None
    assert found.budget_tokens == 1_000_000


def test_night_whose_daemon_died_is_off_and_has_no_time_left(night: Ledger) -> None:
    found = look(night, alive=False).night
    assert found is not None
    assert (found.state, found.left_s) == ("off", None)


def test_night_that_is_over_stays_over_without_a_daemon(night: Ledger) -> None:
    night.event("night_over", "the night's time is over; 3 runs ended", NOW)
    found = look(night, alive=False).night
    assert found is not None
    assert (found.state, found.message) == ("over", "the night's time is over; 3 runs ended")


def test_a_run_by_hand_is_no_night(ledger: Ledger) -> None:
    ledger.event("night_over", "over: 1 run done, as asked", NOW)
    assert look(ledger).night is None


def test_runs_of_earlier_nights_do_not_count(night: Ledger) -> None:
    started_at = "2026-03-24T22:10:00Z"
    night.event("night", "another", started_at, data={"started_at": started_at})
    found = look(night).night
    assert found is not None
    assert found.n_ended == 2
    assert (found.deadline_at, found.left_s, found.max_runs) == (None, None, None)


def test_night_is_found_behind_many_events(night: Ledger) -> None:
    for _ in range(250):
        night.event("requeue", "again", NOW)
    found = look(night).night
    assert found is not None
    assert found.max_runs == 20


def test_guards_last_word_is_the_newest_one(night: Ledger) -> None:
    night.event("guard", "memory is short", NOW)
    night.event("pause", "paused", NOW)
    guard = look(night).guard
    assert guard is not None
    assert guard.message == "memory is short"


def test_decisions_are_the_newest_first(night: Ledger) -> None:
    assert [(one.label, one.verdict) for one in look(night).decisions] == [
        ("E2", "discarded"), ("E1", "kept"), ("B2", "baseline")]


# --- the best --------------------------------------------------------------------------------


def test_best_has_the_fewest_bits_per_byte(night: Ledger) -> None:
    status = look(night)
    assert status.best is not None
    assert status.best.label == "E1"
    assert status.best_corpus is not None
    assert status.best_corpus.name == "stories"
    assert find_run(night, "Best").label == "E1"


def test_best_stays_best_when_a_shorter_study_follows(night: Ledger) -> None:
    second = example.add_study(night)
    example.queue(night, Config(lr=1e-3), calibration_id=second)
    assert find_run(night, "best").label == "E1"
    example.claim(night, NOW)  # E4, queued earlier
    example.finish(night, example.claim(night, NOW), 3.0, NOW)
    assert find_run(night, "best").label == "E1"


def test_a_run_by_hand_on_the_same_text_may_be_best(night: Ledger) -> None:
    example.claim(night, NOW)
    only_run_by_hand(night, Config(lr=1e-2), 1.0)
    assert find_run(night, "best").label == "T1"


def test_without_a_study_the_best_run_by_hand_counts(ledger: Ledger) -> None:
    example.add_corpus(ledger)
    for lr, nats in ((1e-2, 3.0), (2e-2, 2.0), (3e-2, 4.0)):
        only_run_by_hand(ledger, Config(lr=lr), nats)
    assert find_run(ledger, "best").label == "T2"


def test_without_a_finished_run_none_is_best(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"^no run of this ledger's own has finished yet"):
        find_run(ledger, "best")


def test_head_is_what_the_next_idea_changes(night: Ledger) -> None:
    assert find_run(night, "Head").label == "E1"


def test_without_a_study_there_is_no_head(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"^the newest study has no finished baseline yet"):
        find_run(ledger, "head")


def test_other_names_are_the_ledgers_business(night: Ledger) -> None:
    assert find_run(night, "e2").label == "E2"
    with pytest.raises(LedgerError, match="there is no run 'E99'"):
        find_run(night, "E99")


# --- yardsticks ------------------------------------------------------------------------------


def test_uniform_is_converted_as_the_unigram_is(night: Ledger) -> None:
    corpus = night.corpus(1)
    assert uniform_bpb(corpus) == pytest.approx(6.931 * BITS_PER_NAT)
    assert ladder(corpus)[0].bpb == uniform_bpb(corpus)


def test_yardsticks_that_were_not_measured_are_unknown(ledger: Ledger) -> None:
    corpus = ledger.corpus(example.add_corpus(ledger, unigram_nats=None))
    assert [rung.nats for rung in ladder(corpus)] == [6.931, None, 3.44, 2.86]
    assert uniform_bpb(corpus) is None
    assert ladder(None) == []


def test_every_corpus_is_found(ledger: Ledger) -> None:
    assert ledger.corpora() == []
    example.add_corpus(ledger)
    example.add_corpus(ledger, vocab_size=512, name="short words")
    assert [corpus.name for corpus in ledger.corpora()] == ["stories", "short words"]


# --- one run ---------------------------------------------------------------------------------


def test_detail_holds_what_changed_from_the_parent(night: Ledger) -> None:
    found = detail(night, find_run(night, "E1"))
    assert found.parent is not None
    assert found.parent.label == "B2"
    assert found.diff == {"lr": {"old": 0.003, "new": 0.002}}
    assert [one.verdict for one in found.decisions] == ["kept"]
    assert len(found.metrics) == 4


def test_a_field_that_is_younger_than_the_parent_has_not_changed(night: Ledger) -> None:
    with closing(sqlite3.connect(night.path)) as db, db:
        db.execute("UPDATE runs SET config = json_remove(config, '$.mixer', '$.n_kv_head') "
                   "WHERE label = 'B2'")
    found = detail(night, find_run(night, "E1"))
    assert found.parent is not None
    assert "mixer" not in found.parent.config
    assert found.diff == {"lr": {"old": 0.003, "new": 0.002}}


def test_detail_of_a_published_row_has_no_parent_and_no_corpus(night: Ledger) -> None:
    found = detail(night, find_run(night, "B1"))
    assert (found.parent, found.corpus, found.diff) == (None, None, {})


def test_detail_as_a_dictionary_is_the_row_with_the_rest_beside(night: Ledger) -> None:
    run = find_run(night, "E1")
    values = detail(night, run).as_dict()
    assert list(values) == [*dataclasses.asdict(run), "parent", "decisions", "metrics", "corpus",
                            "trace", "note", "is_starred", "diff"]
    assert values["corpus"]["unigram_nats"] == 5.78
    assert values["parent"]["label"] == "B2"


def test_status_is_plain_enough_for_json(night: Ledger) -> None:
    values = json.loads(json.dumps(dataclasses.asdict(look(night)), allow_nan=False))
    assert values["run"]["label"] == "E3"
    assert values["counts"]["finished"] == 3


def test_what_another_study_decided_and_queues_is_not_this_ones(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        first, second = a_study(ledger), a_study(ledger, budget_tokens=6400)
        ended = a_run(ledger, study=first, seed=7)
        ledger.claim(NOW, run_id=ended.id)
        ledger.finish(ended.id, "finished", NOW, val_bpb=1.5)
        ledger.decide(ended.id, None, "recorded", "rule", {}, "of the first study", NOW)
        a_run(ledger, study=first, seed=8)
        ledger.event("night", "study 2", NOW, None, {
            "started_at": NOW, "study": second, "newest_study": second})
        found = gather(ledger, NOW, is_daemon_alive=True, read_mb=lambda pid: None)
    assert found.study == second
    assert found.decisions == []
    assert found.earned == []
    assert found.night is not None
    assert found.night.n_queued == 0


def test_the_best_so_far_of_a_night_that_goes_on(night: Ledger) -> None:
    found = look(night).course
    assert [(point.label, point.at_s) for point in found] == [("B2", 300.0), ("E1", 660.0)]
    assert look(night, alive=False).course == []
