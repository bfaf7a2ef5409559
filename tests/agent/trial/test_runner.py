"""One trial, from claim to its final state, with a worker that does what the test says."""

import dataclasses
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.home.paths import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.ledger.logged import layers_of, trace_of
from agent.ledger.records import Blocks, Layer, Run
from agent.machine import guard
from agent.machine.guard import Reading, Swap
from agent.trial.events import read_events
from agent.trial.job import NO_NUMBERS, NUMBERS, STOPPED
from agent.trial.orphan import GONE
from agent.trial.runner import (
    ASK_GRACE_S,
    LEAST_STALL_S,
    LONGEST_LOOK_S,
    MAX_RETRIES,
    STALL_FACTOR,
    UNKNOWN_STALL_S,
    Runner,
    stall_bound_s,
)
from engine.errors import UserError
from tests.support.parts import (
    KILLED,
    TEXT,
    FakeProcess,
    FakeSpawn,
    FakeTime,
    a_folder,
    a_run,
    done,
    pruned,
    step,
)
from tests.support.parts import write_events as write

BEGUN = {"kind": "start", "pid": 1, "step": 0, "n_steps": 100}


class Stage:
    """A runner with one started trial."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.ledger, self.home, self.time = ledger, Home(root), FakeTime()
        self.reading = Reading(50.0, 8000.0)
        self.spawn = FakeSpawn()
        self.runner = Runner(ledger, self.home, self.time.clock(), 100.0, spawn=self.spawn,
                             read=lambda pid: self.reading)
        self.run = a_run(ledger)
        self.folder: RunFolder = a_folder(self.home, self.run)

    def start(self) -> FakeProcess:
        claimed = self.ledger.claim("2026-11-20T10:00:00Z")
        assert claimed is not None
        self.runner.start(claimed)
        return self.spawn.processes[-1]

    def end(self, status: int) -> Run:
        self.spawn.processes[-1].status = status
        ended = self.runner.poll()
        assert ended is not None
        return ended


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield Stage(tmp_path, ledger)


def test_news_reach_the_ledger_while_the_worker_runs(stage: Stage) -> None:
    stage.start()
    write(stage.folder, {"kind": "start", "pid": 1, "step": 0, "n_steps": 100}, step(1), step(2))
    assert stage.runner.poll() is None
    assert [m.step for m in stage.ledger.metrics(stage.run.id)] == [1, 2]


def test_a_line_being_written_waits_for_its_end(stage: Stage) -> None:
    stage.start()
    write(stage.folder, step(1))
    with open(stage.folder.events, "ab") as file:
        file.write(b'{"kind": "st')
    stage.runner.poll()
    with open(stage.folder.events, "ab") as file:
        file.write(b'art", "pid": 1, "step": 0, "n_steps": 5}\n')
    stage.runner.poll()
    assert stage.runner.trial is not None
    assert stage.runner.trial.last["start"]["n_steps"] == 5


def test_a_finished_run_has_its_score_against_the_unigram(stage: Stage) -> None:
    stage.start()
    write(stage.folder, step(100), done(nats=4.5))
    run = stage.end(0)
    assert (run.state, run.val_loss, run.val_bpb, run.steps, run.tokens, run.duration_s) == (
        "finished", 4.5, 2.0, 100, 3200, 3.0)
    assert run.vs_unigram == pytest.approx(-0.1)  # the unigram of the corpus scores 5 nats


def test_a_finished_run_has_its_scores_on_the_other_shards_and_at_the_rung(stage: Stage) -> None:
    stage.start()
    write(stage.folder, done(confirm_bpb=2.1, test_bpb=2.2, rung_bpb=2.5,
                             confirm_blocks=[8.5, 4.0], confirm_block_bytes=[4, 3]))
    run = stage.end(0)
    assert (run.val_bpb, run.confirm_bpb, run.test_bpb, run.rung_bpb) == (2.0, 2.1, 2.2, 2.5)
    assert stage.ledger.blocks_on(TEXT, 3200, "confirm") == {run.id: Blocks((8.5, 4.0), (4, 3))}


def test_a_worker_of_before_the_shards_tells_none_of_their_scores(stage: Stage) -> None:
    stage.start()
    write(stage.folder, done())
    run = stage.end(0)
    assert (run.state, run.confirm_bpb, run.test_bpb, run.rung_bpb) == (
        "finished", None, None, None)


def test_a_pruned_run_keeps_its_rung_and_has_no_final_score(stage: Stage) -> None:
    stage.start()
    write(stage.folder, step(25), {"kind": "eval", "step": 25, "tokens": 800, "nats": 4.6,
                                   "bpb": 2.4, "eval_s": 0.1}, pruned(rung_bpb=2.4))
    run = stage.end(0)
    assert (run.state, run.rung_bpb, run.steps, run.tokens, run.duration_s, run.tok_per_s) == (
        "pruned", 2.4, 25, 800, 1.0, 1000.0)
    assert (run.val_loss, run.val_bpb, run.vs_unigram, run.train_loss, run.error) == (
        None, None, None, None, None)
    assert [(m.step, m.val_bpb) for m in stage.ledger.metrics(run.id)] == [(25, 2.4)]


def test_a_run_that_diverged_after_the_rung_keeps_its_rung(stage: Stage) -> None:
    stage.start()
    write(stage.folder, {"kind": "diverged", "step": 70, "tokens": 2240, "message": "loss nan",
                         "peak_mb": 1.0, "elapsed_s": 1.0, "rung_bpb": 2.4})
    run = stage.end(0)
    assert (run.state, run.rung_bpb, run.val_bpb) == ("diverged", 2.4, None)


def test_what_a_worker_saw_is_in_the_ledger_and_in_the_reason_of_its_end(stage: Stage) -> None:
    stage.start()
    layers = {"kind": "layers", "step": 1, "act_rms": [1.0], "grad_rms": [0.1],
              "max_score": [2.0], "entropy": [0.9], "dead_gates": [None]}
    trace = {"kind": "trace", "step": 8, "pass": "forward", "block": 0, "tensor": "norm1",
             "causes": ["learning rate: too high"], "told": "block 0 norm1 …"}
    write(stage.folder, step(1), layers, {
        "kind": "diverged", "step": 7, "tokens": 224, "message": "loss nan", "peak_mb": 1.0,
        "elapsed_s": 1.0}, trace)
    run = stage.end(0)
    assert (run.state, run.error) == ("diverged", "loss nan; block 0 norm1 …")
    assert layers_of(stage.ledger, run.id) == [Layer(1, 0, 1.0, 0.1, 2.0, 0.9, None)]
    found = trace_of(stage.ledger, run.id)
    assert found is not None
    assert (found.step, found.causes) == (8, ["learning rate: too high"])


def test_a_diverged_run_has_no_score_and_says_why(stage: Stage) -> None:
    stage.start()
    write(stage.folder, {"kind": "diverged", "step": 7, "tokens": 224, "message": "loss nan",
                         "peak_mb": 1.0, "elapsed_s": 1.0})
    run = stage.end(0)
    assert (run.state, run.error, run.val_loss, run.steps) == ("diverged", "loss nan", None, 7)


def test_a_worker_over_its_memory_is_ended_and_the_ledger_says_why(stage: Stage) -> None:
    stage.start()
    stage.reading = Reading(140.0, 8000.0)
    stage.runner.poll()
    run = stage.end(KILLED)
    assert (run.state, run.peak_mb) == ("killed", 140.0)
    assert run.error == "the run took 140 MB, over --max-ram 100 MB"
    guards = [e for e in stage.ledger.events(run_id=run.id) if e.kind == "guard"]
    assert [e.data for e in guards] == [
        {"group_mb": 140.0, "free_mb": 8000.0, "swap_free_mb": None}]


def test_a_run_on_a_machine_that_runs_short_saves_and_is_tried_again(stage: Stage) -> None:
    stage.start()
    stage.reading = Reading(50.0, 150.0, Swap(10.0, 2000.0))
    stage.runner.poll()
    run = stage.end(STOPPED)
    assert run.state == "queued"
    newest = stage.ledger.events(run_id=run.id)
    assert [(event.kind, event.message) for event in newest[:2]] == [
        ("retry", "the machine has 150 MB free, under the reserve of 400 MB (only 10 of 2,000 "
                  "MB of swap are free); goes on from its checkpoint"),
        ("guard", "the machine has 150 MB free, under the reserve of 400 MB (only 10 of 2,000 "
                  "MB of swap are free)")]
    assert newest[1].data == {"group_mb": 50.0, "free_mb": 150.0, "swap_free_mb": 10.0}


def test_a_run_that_makes_the_machine_short_each_time_is_killed_in_the_end(stage: Stage) -> None:
    for _ in range(MAX_RETRIES + 1):
        stage.start()
        stage.reading = Reading(50.0, 150.0)
        stage.runner.poll()
        run = stage.end(STOPPED)
    assert run.state == "killed"
    assert run.error == ("the machine has 150 MB free, under the reserve of 200 MB "
                         f"{MAX_RETRIES + 1} times")


@pytest.mark.parametrize(("reading", "what"), [
    (Reading(None, 8000.0), "the run's memory"), (Reading(50.0, None), "free memory")])
def test_memory_that_is_unknown_at_two_looks_stops_the_run(
        stage: Stage, reading: Reading, what: str) -> None:
    stage.start()
    stage.reading = reading
    stage.runner.poll()
    assert stage.runner.trial is not None
    assert stage.runner.trial.ending is None  # it may have ended this moment
    stage.runner.poll()
    run = stage.end(STOPPED)
    assert run.state == "queued"
    (guarded,) = (e for e in stage.ledger.events(run_id=run.id) if e.kind == "guard")
    assert guarded.message == f"{what} cannot be read, and unknown is not enough"


def test_one_look_that_tells_nothing_stops_no_run(stage: Stage) -> None:
    stage.start()
    for reading in (Reading(None, 8000.0), Reading(50.0, 8000.0), Reading(50.0, None)):
        stage.reading = reading
        stage.runner.poll()
    assert stage.runner.trial is not None
    assert stage.runner.trial.ending is None


def test_a_stopped_worker_is_queued_again(stage: Stage) -> None:
    stage.start()
    stage.runner.ask_to_stop()
    assert stage.end(STOPPED).state == "queued"


def test_a_worker_that_finishes_although_asked_to_stop_is_finished(stage: Stage) -> None:
    stage.start()
    stage.runner.ask_to_stop()
    write(stage.folder, done())
    assert stage.end(0).state == "finished"


def test_a_worker_that_does_not_save_in_time_is_pressed_and_queued_again(stage: Stage) -> None:
    stage.start()
    stage.runner.ask_to_stop()
    stage.time.now_s += ASK_GRACE_S + 1
    stage.runner.poll()
    assert stage.runner.trial is not None
    assert stage.runner.trial.ending is not None
    assert stage.end(KILLED).state == "queued"


def test_a_run_killed_by_the_system_starts_again_three_times_at_most(stage: Stage) -> None:
    states = []
    for _ in range(MAX_RETRIES + 1):
        stage.start()
        states.append(stage.end(KILLED).state)
    assert states == ["queued", "queued", "queued", "killed"]
    assert stage.ledger.run(stage.run.id).error == "killed by the system 4 times"


def test_stops_that_were_asked_for_do_not_count_against_a_run(stage: Stage) -> None:
    for _ in range(MAX_RETRIES + 2):
        stage.start()
        stage.runner.ask_to_stop()
        stage.end(STOPPED)
    stage.start()
    assert stage.end(KILLED).state == "queued"


def test_a_worker_that_cannot_be_started_leaves_the_run_queued(stage: Stage) -> None:
    def refuse(folder: RunFolder) -> FakeProcess:
        raise OSError("no more processes")

    stage.runner._spawn = refuse
    with pytest.raises(UserError, match="cannot start a worker for T1: no more processes"):
        stage.start()
    assert stage.ledger.run(stage.run.id).state == "queued"


def test_a_crashed_worker_is_failed_with_its_last_words(stage: Stage) -> None:
    stage.start()
    write(stage.folder, BEGUN, step(1))
    stage.folder.output.write_text("Traceback\n  somewhere\nValueError: 3 is not 4\n\n")
    run = stage.end(1)
    assert (run.state, run.error) == ("failed", "ValueError: 3 is not 4 (exit status 1)")


def test_a_run_on_a_machine_that_computes_wrongly_waits_and_is_never_failed(stage: Stage) -> None:
    for _ in range(MAX_RETRIES + 2):
        stage.start()
        write(stage.folder, {"kind": "start"}, {"kind": NUMBERS, "message": "2 by 2 is 5"})
        assert stage.end(NO_NUMBERS).state == "queued"
    newest = stage.ledger.events(limit=1, run_id=stage.run.id)[0]
    assert (newest.kind, newest.message) == (NUMBERS, "2 by 2 is 5")


def test_a_worker_without_a_word_is_failed_with_its_signal(stage: Stage) -> None:
    stage.start()
    write(stage.folder, BEGUN, step(1))
    assert stage.end(-11).error == "the worker ended with signal 11 and no word"


def test_a_silent_worker_still_gives_signs_of_life(stage: Stage) -> None:
    stage.start()
    beats: list[int] = []
    stage.ledger.heartbeat = lambda run_id, now: bool(beats.append(run_id) or True)  # type: ignore[method-assign]
    stage.time.now_s += 5
    stage.runner.poll()
    stage.time.now_s += 6
    stage.runner.poll()
    assert beats == [stage.run.id]


def test_events_are_read_on_from_an_offset(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_events(folder, 0) == ([], 0)
    write(folder, step(1))
    _, offset = read_events(folder, 0)
    write(folder, step(2))
    lines, end = read_events(folder, offset)
    assert ([line["step"] for line in lines], end) == ([2], folder.events.stat().st_size)


def test_a_spoilt_line_is_passed_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write(folder, step(1))
    with open(folder.events, "ab") as file:
        file.write(b"\0\0\0\n[1]\n\n")
    write(folder, step(2))
    lines, offset = read_events(folder, 0)
    assert [line["step"] for line in lines] == [1, 2]
    assert offset == folder.events.stat().st_size


def pass_time(stage: Stage, seconds: float, signals: list[tuple[int, int]]) -> None:
    """So many seconds of polls, two a second."""
    for _ in range(round(2 * seconds)):
        stage.time.now_s += 0.5
        stage.runner.poll()
        if signals:
            return


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What the guard sends to whom, instead of sending it."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(guard.Ending, "_send", lambda self, number: sent.append((self.pid, number)))
    return sent


def test_a_worker_without_a_word_is_stopped_and_its_run_goes_on(
        stage: Stage, signals: list[tuple[int, int]]) -> None:
    process = stage.start()
    pass_time(stage, UNKNOWN_STALL_S - 5, signals)
    write(stage.folder, step(1) | {"tok_per_s": 3200.0 / 1000})  # its speed is known from now on
    stage.runner.poll()
    pass_time(stage, stall_bound_s(stage.run, {"step": {"tok_per_s": 3.2}}) - 1, signals)
    assert signals == []  # slow, but alive
    pass_time(stage, 3, signals)
    assert signals == [(process.pid, signal.SIGTERM)]
    run = stage.end(-signal.SIGTERM)
    assert run.state == "queued"
    newest = stage.ledger.events(limit=1, run_id=run.id)[0]
    assert newest.kind == "retry"
    assert newest.message.startswith("no word for 2,200 s, so it was stopped; goes on")


def test_sleep_is_no_stall(stage: Stage, signals: list[tuple[int, int]]) -> None:
    stage.start()
    for _ in range(100):  # a phone that dozes lets the daemon look once an hour
        stage.time.now_s += 3600.0
        stage.runner.poll()
    assert signals == []
    assert 100 * LONGEST_LOOK_S < UNKNOWN_STALL_S


def test_the_bound_of_a_stall_follows_the_workers_own_speed() -> None:
    run = a_run_of(320_000)
    slow = {"step": {"tok_per_s": 100.0}, "eval": {"eval_s": 50.0}}
    assert stall_bound_s(run, {}) == UNKNOWN_STALL_S
    assert stall_bound_s(run, {"step": {"tok_per_s": 1e6}}) == LEAST_STALL_S
    assert stall_bound_s(run, slow) == STALL_FACTOR * (32.0 + 50.0)


def a_run_of(budget_tokens: int) -> Run:
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "l.db") as ledger:
        return dataclasses.replace(a_run(ledger), budget_tokens=budget_tokens)


def test_a_run_whose_replica_the_system_killed_is_tried_again(stage: Stage) -> None:
    stage.start()
    write(stage.folder, {"kind": "killed", "message": "replica 1 (pid 9) ended with signal 9"})
    run = stage.end(1)
    assert run.state == "queued"
    newest = stage.ledger.events(limit=1, run_id=run.id)[0]
    assert (newest.kind, newest.message) == (
        "retry", "replica 1 (pid 9) ended with signal 9; goes on from its checkpoint")


@pytest.mark.parametrize(("word", "state"), [
    ({"kind": "stopped", "step": 5}, "queued"), ({"kind": "failed", "message": "no"}, "failed"),
    (done(), "finished")])
def test_an_adopted_worker_is_believed_by_its_last_word(
        stage: Stage, word: dict[str, object], state: str) -> None:
    run = stage.ledger.claim("2026-11-20T10:00:00Z")
    assert run is not None
    process = FakeProcess()
    write(stage.folder, {"kind": "start", "pid": process.pid, "step": 0, "n_steps": 9})
    stage.runner.adopt(run, process)
    write(stage.folder, word)
    process.status = GONE
    ended = stage.runner.poll()
    assert ended is not None
    assert ended.state == state


def test_an_adopted_worker_that_went_without_a_word_is_tried_again(stage: Stage) -> None:
    run = stage.ledger.claim("2026-11-20T10:00:00Z")
    assert run is not None
    stage.runner.adopt(run, FakeProcess(status=GONE))
    ended = stage.runner.poll()
    assert ended is not None
    assert ended.state == "queued"
    assert stage.ledger.n_events(run.id, "retry") == 1
