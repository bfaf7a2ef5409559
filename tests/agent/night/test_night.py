"""What a night does at each tick, with workers that do what the test says."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home.control import take_command
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.machine.guard import Reading, Swap, Word
from agent.night.inbox import Idea, leave
from agent.night.night import BACK_OFF_S, Night
from agent.night.recover import MAX_RECOVERS, recover
from agent.night.watch import Look
from agent.search.campaign import OVERRUN_S, Plan
from agent.search.silent import Silent
from agent.trial.job import NO_NUMBERS, NUMBERS, STOPPED
from agent.trial.orphan import GONE
from agent.trial.runner import Runner
from engine.config import Config
from engine.errors import StorageError, TokenizerError
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from tests.support.parts import (
    NOW,
    TINY,
    FakeProcess,
    FakeSpawn,
    FakeTime,
    Listener,
    a_run,
    a_study,
    done,
)
from tests.support.parts import write_events as write


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    path = root / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, path), 300)


class Stage:
    """A night over a ledger with a study of the module's text."""

    def __init__(self, root: Path, ledger: Ledger, tokens: TokenSet, **plan: Any) -> None:
        self.ledger, self.home, self.time, self.spawn = ledger, Home(root), FakeTime(), FakeSpawn()
        self.listener, self.text = Listener(), tokens
        clock = self.time.clock()
        runner = Runner(ledger, self.home, clock, 3000.0, spawn=self.spawn,
                        read=lambda pid: Reading(50.0, 8000.0))
        self.free_mb = 8000.0
        self.night = Night(runner, Plan(3000.0, **plan), prepare=self.prepare,
                           observer=self.listener, read_free_mb=lambda: self.free_mb)

    def prepare(self, vocab_size: int) -> TokenSet:
        if vocab_size != 300:
            raise TokenizerError(f"vocabulary {vocab_size} is too large")
        return self.text

    def study(self) -> int:
        """A study of the night's text."""
        study = a_study(self.ledger, self.text.corpus.sha256)
        self.night.study = self.ledger.calibration(study)
        return study

    def queue(self, **how: Any) -> Run:
        return a_run(self.ledger, text=self.text.corpus.sha256, **how)

    def finish(self, bpb: float = 2.0, status: int = 0, *events: dict[str, Any]) -> None:
        """Let the running worker end, and the night see it."""
        assert self.night.runner.trial is not None
        write(self.night.runner.trial.folder, *(events or (done(bpb=bpb),)))
        self.spawn.processes[-1].status = status
        self.night.tick()

    def states(self) -> list[str]:
        return [run.state for run in self.ledger.runs()]

    def verdicts(self) -> list[str]:
        return [decision.verdict for decision in reversed(self.ledger.decisions())]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def stage(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Stage:
    return Stage(tmp_path, ledger, tokens)


def test_queued_runs_go_first_and_in_order(stage: Stage) -> None:
    stage.study()
    stage.queue(seed=1)
    stage.queue(seed=2)
    stage.night.tick()
    assert stage.states() == ["running", "queued"]


def test_baselines_measure_the_noise_and_a_later_run_is_kept_on_one_difference(
        stage: Stage) -> None:
    study = stage.study()
    for seed in range(3):
        stage.queue(seed=seed, strategy="baseline", study=study)
    for lr in (1e-3, 2e-3):
        config = Config.from_dict(TINY.to_dict() | {"lr": lr})
        stage.queue(config=config, strategy="learning_rate", study=study)
    stage.night.tick()
    for bpb in (2.00, 2.01, 1.99, 2.005, 1.995):
        stage.finish(bpb)
    assert stage.ledger.calibration(study).sigma_bpb == pytest.approx(0.01)
    assert stage.verdicts()[:5] == ["baseline"] * 3 + ["discarded", "kept"]


def test_with_nothing_queued_a_proposal_is_queued_and_run(stage: Stage) -> None:
    study = stage.study()
    for seed in range(2):
        stage.queue(strategy="baseline", study=study, seed=seed)
    stage.night.tick()
    for _ in range(2):
        stage.finish()  # and in the same tick the next one starts
    newest = stage.ledger.runs()[-1]
    assert (newest.state, newest.parent_id, newest.label) == ("running", 1, "E1")
    assert newest.seed == 0  # challengers run on the incumbent's seed


def test_when_no_strategy_has_anything_the_night_ends_with_the_reason(stage: Stage) -> None:
    stage.study()
    stage.night.tick()
    stage.night.tick()
    assert stage.night.is_over
    assert "no baseline run has finished" in stage.listener.said[-1]


def test_a_start_that_diverges_twice_ends_the_night_with_what_helps(stage: Stage) -> None:
    study = stage.study()
    for seed in range(5):
        stage.queue(seed=seed, strategy="baseline", study=study)
    stage.night.tick()
    for _ in range(2):
        stage.finish(0.0, 0, {"kind": "diverged", "step": 3, "tokens": 9,
                                "message": "loss nan"})
    stage.night.tick()
    assert stage.states() == ["diverged", "diverged", "queued", "queued", "queued"]
    assert stage.night.is_over
    said = "\n".join(stage.listener.said)
    assert "diverges (B1 and B2)" in said
    assert "`agent run` goes on" not in said


def test_runs_by_hand_are_recorded_and_compared_with_nothing(stage: Stage) -> None:
    stage.queue(strategy="hand")
    stage.night.tick()
    stage.finish()
    assert stage.verdicts() == ["recorded"]


def test_failures_get_a_verdict_and_the_loop_goes_on(stage: Stage) -> None:
    stage.queue(seed=1)
    stage.queue(seed=2)
    stage.night.tick()
    stage.finish(0.0, 1, {"kind": "start", "pid": 1, "step": 0, "n_steps": 9})
    assert stage.verdicts() == ["failed"]
    assert stage.states() == ["failed", "running"]


def test_a_run_that_cannot_fit_in_memory_waits_for_another_night(stage: Stage) -> None:
    wide = Config(n_embd=4096, n_layer=8, n_head=32, vocab_size=300)
    stage.queue(config=wide)
    stage.queue(seed=1)
    stage.night.tick()
    stage.night.tick()
    assert stage.states() == ["queued", "running"]  # nothing is lost, and others go on
    told = [event.message for event in stage.ledger.events_of("guard")]
    assert len(told) == 1
    assert told[0].endswith("MB is over --max-ram 3,000 MB")


def test_a_run_for_another_text_waits_for_a_night_of_its_own(stage: Stage) -> None:
    a_run(stage.ledger)
    stage.study()
    stage.night.tick()
    assert (stage.states(), stage.night.is_over) == (["queued"], False)


def test_a_run_of_another_study_waits_for_its_night(stage: Stage) -> None:
    other = a_study(stage.ledger, stage.text.corpus.sha256, budget_tokens=64000)
    stage.queue(strategy="random", study=other)
    stage.study()
    stage.night.tick()
    assert stage.states() == ["queued"]


def test_short_memory_makes_a_run_wait_and_is_told_once(stage: Stage) -> None:
    stage.queue()
    stage.free_mb = 210.0
    for _ in range(3):
        stage.night.tick()
        stage.free_mb += 1.0  # a reading never stands still; that is no news
        stage.time.now_s += BACK_OFF_S
    assert stage.states() == ["queued"]
    assert [e.kind for e in stage.ledger.events()] == ["guard"]
    stage.free_mb = 8000.0
    stage.night.tick()
    assert stage.states() == ["running"]
    goes, waits = stage.ledger.events()
    assert (goes.message.partition(":")[0], waits.message.partition(":")[0]) == (
        "T1 goes on", "T1 waits")
    assert [event.data["free_mb"] for event in (goes, waits) if event.data] == [8000.0, 210.0]


def test_spent_swap_keeps_a_run_out_that_would_fit(stage: Stage) -> None:
    stage.queue()
    stage.free_mb, stage.night.read_swap = 400.0, lambda: Swap(10.0, 2000.0)
    stage.night.tick()
    assert stage.states() == ["queued"]
    assert "(only 10 of 2,000 MB of swap are free)" in stage.ledger.events()[0].message
    stage.night.read_swap = lambda: Swap(1900.0, 2000.0)
    stage.time.now_s += BACK_OFF_S
    stage.night.tick()
    assert stage.states() == ["running"]


def test_a_queued_run_too_long_for_what_is_left_stays_queued(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    stage = Stage(tmp_path, ledger, tokens, deadline_s=1100.0)
    study = stage.study()
    stage.ledger.update_calibration(study, tok_per_s=1.0)
    stage.night.study = stage.ledger.calibration(study)
    stage.queue(strategy="grid")
    stage.night.tick()
    stage.night.tick()
    assert (stage.states(), stage.night.is_over) == (["queued"], True)


def test_a_ledger_that_fails_at_the_end_of_a_run_is_asked_again(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.queue()
    stage.night.tick()
    with monkeypatch.context() as patch:
        patch.setattr(stage.ledger, "finish", lambda *a, **k: (_ for _ in ()).throw(OSError("no")))
        stage.finish()
        assert stage.states() == ["running"]
        assert stage.ledger.events()[0].message.startswith("held up")
    stage.night.tick()
    assert (stage.states(), stage.verdicts()) == (["finished"], ["recorded"])


def test_a_vocabulary_the_text_does_not_support_fails_the_run(stage: Stage) -> None:
    stage.queue(config=Config.from_dict(TINY.to_dict() | {"vocab_size": 301}))
    stage.night.tick()
    stage.night.tick()  # the verdict
    assert stage.ledger.decisions()[0].reason == "vocabulary 301 is too large"


def test_the_deadline_ends_the_night_and_a_late_run_is_saved_for_the_next(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    stage = Stage(tmp_path, ledger, tokens, deadline_s=1100.0)
    stage.queue()
    stage.night.tick()
    stage.time.now_s = 1100.0 + OVERRUN_S
    stage.night.tick()
    assert stage.night.runner.trial is not None
    assert stage.night.runner.trial.asked_at_s is None  # a little late is let go on
    stage.time.now_s += 1
    stage.finish(0.0, STOPPED, {"kind": "start", "pid": 1, "step": 0, "n_steps": 9})
    stage.night.tick()
    assert (stage.states(), stage.night.is_over) == (["queued"], True)


def test_runs_are_counted_against_the_limit(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    stage = Stage(tmp_path, ledger, tokens, max_runs=1)
    stage.queue(seed=1)
    stage.queue(seed=2)
    stage.night.tick()
    stage.finish()
    assert (stage.states(), stage.night.is_over) == (["finished", "queued"], True)


class TooHot:
    """A watch that always says to wait."""

    def look(self) -> Look:
        return Look(Word(False, "the battery is at 41 °C"), [], {})


def command(stage: Stage, word: str) -> None:
    stage.home.control.parent.mkdir(exist_ok=True)
    stage.home.control.write_text(json.dumps({"command": word}))


def test_pause_saves_the_run_and_resume_goes_on_with_it(stage: Stage) -> None:
    stage.queue()
    stage.night.tick()
    command(stage, "pause")
    stage.night.tick()
    stage.finish(0.0, STOPPED, {"kind": "checkpoint", "step": 3})
    stage.night.tick()
    assert stage.states() == ["queued"]
    command(stage, "resume")
    stage.night.tick()
    assert stage.states() == ["running"]
    assert [e.kind for e in stage.ledger.events()][:2] == ["resume", "requeue"]


def test_what_is_confirmed_is_told_once_where_a_night_waits_or_ends(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [Silent(0.02, 0.018, 1)]
    monkeypatch.setattr(stage.night.campaign, "silent", lambda: claims[-1])
    stage.night.watch = TooHot()  # type: ignore[assignment]
    for _ in range(2):
        stage.night.tick()
    told = [event for event in stage.ledger.events() if event.kind == "silent_test"]
    assert [event.message for event in told] == [
        "confirmed so far: +0.0200 bits/byte over fresh seeds, +0.0180 on text that decides "
        "nothing"]
    claims.append(Silent(0.05, 0.04, 2, 0.01, 0.07, 30))
    stage.night.stop("a test")
    stage.night.tick()
    told = [event for event in stage.ledger.events() if event.kind == "silent_test"]
    assert len(told) == 2
    assert told[0].message == (
        "confirmed so far: +0.0500 bits/byte over fresh seeds, +0.0400 on text that decides "
        "nothing (95 %: +0.0100 to +0.0700)")
    assert told[0].data == {"claimed_bpb": 0.05, "silent_bpb": 0.04, "n_batches": 2,
                            "low_bpb": 0.01, "high_bpb": 0.07, "n_blocks": 30}
    assert stage.night.is_over


def test_stop_saves_the_run_and_ends_the_night(stage: Stage) -> None:
    stage.queue()
    stage.night.tick()
    command(stage, "stop")
    stage.night.tick()
    stage.finish(0.0, STOPPED, {"kind": "checkpoint", "step": 3})
    stage.night.tick()
    assert (stage.states(), stage.night.is_over) == (["queued"], True)


def test_a_control_file_of_something_else_asks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    path.write_text("rubbish")
    assert (take_command(path), path.exists()) == (None, False)


# --- what people leave in the inbox ----------------------------------------------------------


def an_idea(**changes: Any) -> Idea:
    values: dict[str, Any] = {
        "uid": "a" * 32, "created_at": NOW, "config": dataclasses.replace(TINY, lr=1e-3),
        "seed": 0, "calibration_id": 1, "parent_id": None, "replicas": 1, "reason": "a hunch"}
    return Idea(**values | changes)


def test_an_idea_left_while_a_trial_runs_is_queued_next_and_judged(stage: Stage) -> None:
    study = stage.study()
    stage.queue(strategy="baseline", study=study)
    stage.night.tick()
    leave(stage.home, an_idea())
    stage.night.tick()
    assert stage.states() == ["running", "queued"]
    assert stage.listener.said[-1].startswith("T1 on seed 0, queued: a hunch")
    assert stage.ledger.events(limit=1)[0].kind == "inbox"
    stage.finish(2.0)  # and the idea goes before any proposal
    stage.finish(1.9)
    assert stage.verdicts() == ["baseline", "kept"]
    assert stage.ledger.decisions(stage.ledger.run("T1").id)[0].against == "B1"


def test_an_idea_of_a_new_vocabulary_waits_until_the_trial_has_ended(stage: Stage) -> None:
    study = stage.study()
    stage.queue(strategy="baseline", study=study)
    stage.night.tick()
    leave(stage.home, an_idea(config=dataclasses.replace(TINY, vocab_size=310)))
    stage.night.tick()
    assert len(list(stage.home.inbox.iterdir())) == 1
    stage.finish(2.0)
    assert any(said.endswith("vocabulary 310 is too large") for said in stage.listener.said)
    assert list(stage.home.inbox.iterdir()) == []


def test_a_new_vocabulary_that_finds_no_room_is_not_made_at_each_tick(stage: Stage) -> None:
    def prepare(vocab_size: int) -> TokenSet:
        asked.append(vocab_size)
        raise StorageError("the disk is full")

    asked: list[int] = []
    stage.study()
    stage.night.prepare = prepare
    stage.queue()
    leave(stage.home, an_idea(config=dataclasses.replace(TINY, vocab_size=310)))
    with pytest.raises(StorageError, match="the disk is full"):
        stage.night.tick()
    stage.night.tick()
    assert asked == [310]
    stage.time.now_s += BACK_OFF_S
    with pytest.raises(StorageError, match="the disk is full"):
        stage.night.tick()
    assert asked == [310, 310]
    assert len(list(stage.home.inbox.iterdir())) == 1


def test_a_run_by_hand_leaves_the_inbox_to_the_next_night(stage: Stage) -> None:
    a_study(stage.ledger, stage.text.corpus.sha256)
    leave(stage.home, an_idea())
    stage.night.only = stage.queue().id
    stage.night.tick()
    assert len(list(stage.home.inbox.iterdir())) == 1


# --- what a dead daemon left -----------------------------------------------------------------


def running(stage: Stage, seed: int = 0) -> Run:
    stage.queue(seed=seed)
    claimed = stage.ledger.claim(NOW, pid=77)
    assert claimed is not None
    return claimed


def test_a_run_left_running_is_queued_again_after_its_orphan_is_gone(stage: Stage) -> None:
    run = running(stage)
    folder = stage.home.run(run.uid)
    folder.root.mkdir(parents=True)
    folder.job.write_text("{}")
    ended: list[tuple[int, Path]] = []
    recover(stage.night, lambda left: ended.extend(left))
    assert (stage.states(), ended) == (["queued"], [(77, folder.root)])


def test_a_worker_that_still_lives_is_adopted_and_its_run_goes_on(stage: Stage) -> None:
    study = stage.study()
    stage.queue(study=study)
    run = stage.ledger.claim(NOW, pid=77)
    assert run is not None
    worker = FakeProcess(pid=2**22 + 5)
    folder = stage.home.run(run.uid)
    folder.root.mkdir(parents=True)
    write(folder, {"kind": "start", "pid": worker.pid, "step": 0, "n_steps": 9})
    recover(stage.night, lambda left: pytest.fail("it was ended"), lambda where: worker)
    stage.night.tick()
    assert (stage.states(), stage.spawn.processes) == (["running"], [])
    assert [event.kind for event in stage.ledger.events(10)].count("adopt") == 1
    write(folder, done(bpb=2.0))
    worker.status = GONE  # whatever its exit status was, init has it
    stage.night.tick()
    ended = stage.ledger.run(run.id)
    assert (ended.state, ended.attempts) == ("finished", run.attempts)


def test_a_worker_of_another_study_is_not_adopted(stage: Stage) -> None:
    stage.study()
    stage.queue(study=a_study(stage.ledger, stage.text.corpus.sha256, budget_tokens=9))
    stage.ledger.claim(NOW, pid=77)
    ended: list[int] = []
    recover(stage.night, lambda left: ended.extend(pid for pid, _ in left),
            lambda where: FakeProcess())
    assert (stage.states(), ended, stage.night.runner.trial) == (["queued"], [77], None)


def test_sleep_of_the_device_is_noted_once_and_brings_the_end_nearer(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    stage = Stage(tmp_path, ledger, tokens, deadline_s=5000.0)
    stage.study()
    stage.night.tick()
    stage.time.slept_s = 3600.0
    for _ in range(2):
        stage.night.tick()
    (slept,) = [event for event in ledger.events(50) if event.kind == "suspend"]
    assert slept.message == "the device slept for 1 h; what runs goes on where it was"
    stage.time.slept_s = 4100.0  # a night of so many hours ends at its hour
    for _ in range(3):
        stage.night.tick()
    assert stage.night.is_over


def test_a_run_left_before_its_worker_began_is_queued_again(stage: Stage) -> None:
    running(stage)  # and no folder: the daemon died between the claim and the worker
    recover(stage.night, lambda left: None)
    assert stage.states() == ["queued"]


def test_trial_without_heartbeat_becomes_lost(stage: Stage) -> None:
    run = running(stage)
    for _ in range(MAX_RECOVERS):  # it takes its daemon down again and again
        recover(stage.night, lambda left: None)
        stage.ledger.claim(NOW)
    recover(stage.night, lambda left: None)
    assert (stage.states(), stage.verdicts()) == (["lost"], ["lost"])
    assert stage.ledger.run(run.id).error == f"no sign of life since {NOW}"


def test_an_orphan_is_found_by_its_log_where_the_ledger_has_no_pid(stage: Stage) -> None:
    stage.queue()
    claimed = stage.ledger.claim(NOW)
    assert claimed is not None
    folder = stage.home.run(claimed.uid)
    folder.root.mkdir(parents=True)
    write(folder, {"kind": "start", "pid": 78, "step": 0, "n_steps": 9})
    ended: list[int] = []
    recover(stage.night, lambda left: ended.extend(pid for pid, _ in left))
    assert ended == [78]


def test_the_noise_of_baselines_judged_late_is_taken_in(stage: Stage) -> None:
    study = a_study(stage.ledger, stage.text.corpus.sha256)
    for seed, bpb in enumerate((2.0, 2.2, 2.1)):
        run = stage.queue(seed=seed, strategy="baseline", study=study)
        stage.ledger.claim(NOW)
        stage.ledger.finish(run.id, "finished", NOW, val_bpb=bpb, val_loss=4.0)
    recover(stage.night, lambda left: None)
    assert stage.ledger.calibration(study).sigma_bpb == pytest.approx(0.1)


def test_models_that_were_discarded_leave_no_checkpoint(stage: Stage) -> None:
    study = stage.study()
    stage.queue(strategy="baseline", study=study)
    stage.queue(config=Config.from_dict(TINY.to_dict() | {"lr": 1e-3}), study=study,
                strategy="random")
    stage.night.tick()
    folders = []
    for bpb in (2.0, 2.5):
        assert stage.night.runner.trial is not None
        folders.append(stage.night.runner.trial.folder)
        folders[-1].checkpoint.write_bytes(b"model")
        stage.finish(bpb)
    assert [folder.checkpoint.exists() for folder in folders] == [True, False]


def test_a_run_that_ended_without_a_verdict_gets_it(stage: Stage) -> None:
    run = running(stage)
    stage.ledger.finish(run.id, "finished", NOW, val_bpb=2.0, val_loss=4.0)
    recover(stage.night, lambda left: None)
    assert stage.verdicts() == ["recorded"]


def test_a_baseline_that_another_study_left_waiting_is_run_for_this_one(stage: Stage) -> None:
    other = a_study(stage.ledger, stage.text.corpus.sha256, seeds=[0, 1])
    stage.queue(seed=1, strategy="baseline", study=other)
    stage.queue(seed=0, strategy="baseline", study=other)
    stage.night.study = stage.ledger.calibration(
        a_study(stage.ledger, stage.text.corpus.sha256, seeds=[1, 2]))
    stage.queue(seed=2, strategy="baseline", study=2)
    stage.night.tick()
    for bpb in (2.0, 2.2):
        stage.finish(bpb, 0, done(bpb=bpb, confirm_bpb=bpb))
    assert stage.states()[:3] == ["finished", "queued", "finished"]
    assert stage.night.study is not None
    assert stage.night.study.n == 2
    noise = stage.night.campaign._searcher(2).search.noise
    assert noise is not None
    assert noise.df == 1


def test_a_run_that_a_full_disk_kept_from_failing_counts_once(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.queue(config=dataclasses.replace(TINY, vocab_size=400))

    def full(*words: Any, **more: Any) -> Run:
        raise StorageError("the disk is full")

    monkeypatch.setattr(stage.ledger, "finish", full)
    with pytest.raises(StorageError):
        stage.night.tick()
    monkeypatch.undo()
    assert stage.night.n_ended == 0


def test_a_worker_whose_numbers_are_wrong_ends_the_night_and_costs_no_run(stage: Stage) -> None:
    stage.study()
    stage.queue()
    stage.night.tick()
    stage.finish(0.0, NO_NUMBERS, {"kind": "start"}, {"kind": NUMBERS, "message": "2 by 2 is 5"})
    stage.night.tick()
    assert (stage.states(), stage.night.n_ended, stage.night.is_over) == (["queued"], 0, True)
    assert stage.night.fault == "2 by 2 is 5"
    assert "its numbers are not to be believed" in stage.listener.said[-1]
