"""A real worker process: its shards, its rung, and what a kill leaves of both."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from agent.home.paths import RunFolder
from agent.machine import kernels, machine
from agent.trial import worker
from agent.trial.job import NO_GROUND, NO_NUMBERS, NUMBERS, Job, ShardFile
from engine.config import Config
from engine.model.gpt import GPT
from engine.proof import Operations, faults_of_products
from engine.text.corpus import TokenSet
from engine.training import checkpoint
from engine.training.data import open_tokens
from engine.training.evaluate import score_model
from engine.training.train import Texts, Trainer
from engine.training.unique import beginning
from tests.support.parts import story_tokens
from tests.support.patience import patience

CONFIG = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=16, batch_size=4, lr=0.01,
                schedule="wsd")
N_STEPS, RUNG, SAVED = 40, 10, 15  # steps in all, of the rung, between checkpoints
SCORES = ("nats", "bpb", "confirm_bpb", "confirm_blocks", "test_bpb", "rung_bpb", "train_loss")
NEVER, ALWAYS = 0.0, 100.0  # bits per byte nothing is under, or over


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    return story_tokens(tmp_path_factory.mktemp("texts"))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.root.mkdir(parents=True)
    return folder


def a_job(tokens: TokenSet, **changes: Any) -> Job:
    shards = {name: ShardFile(str(tokens.paths[name]), tokens.n_bytes[name])
              for name in ("confirm", "test")}
    job = Job(config=CONFIG, seed=1, budget_tokens=N_STEPS * CONFIG.tokens_per_step,
              train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
              n_valid_bytes=tokens.n_bytes["search"], tokenizer=str(tokens.tokenizer_path),
              checkpoint_every_steps=SAVED, checkpoint_every_s=1e9, shards=shards,
              rung_step=RUNG, eval_every=16, kernels=kernels.usual())
    return dataclasses.replace(job, **changes)


def work(folder: RunFolder, job: Job) -> None:
    """Run a worker on the job to its end."""
    job.write(folder.job)
    subprocess.run([sys.executable, "-m", "agent.trial.worker", str(folder.root), str(os.getpid())],
                   env=machine.worker_environment(), check=True, timeout=patience(60))


def told(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    events = map(json.loads, folder.events.read_text(encoding="utf-8").splitlines())
    return [event for event in events if event["kind"] == kind]


def forget_after(folder: RunFolder, kind: str) -> None:
    """What is on the disk when a worker is killed just after its last event of that kind."""
    lines = folder.events.read_text(encoding="utf-8").splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if json.loads(line)["kind"] == kind)
    folder.events.write_text("".join(lines[: last + 1]), encoding="utf-8")


@pytest.mark.parametrize("changes", [{}, {"n_replicas": 2}, {
    "config": dataclasses.replace(CONFIG, optimizer="schedule_free")}],
    ids=["alone", "replicas", "average"])
def test_shards_score_as_the_saved_model_does_here(
        folder: RunFolder, tokens: TokenSet, changes: dict[str, Any]) -> None:
    job = a_job(tokens, **changes)
    work(folder, job)
    (done,) = told(folder, "done")
    run = Trainer(job.config, job.seed, N_STEPS, Texts(
        open_tokens(tokens.paths["train"], 300), open_tokens(tokens.paths["search"], 300),
        tokens.n_bytes["search"]), job.n_replicas)
    run.restore(*load(folder))
    scores = {name: score_model(GPT(job.config), run.evaluation_params(),
                                open_tokens(tokens.paths[name], 300), tokens.n_bytes[name])
              for name in ("search", "confirm", "test")}
    run.close()
    assert (done["nats"], done["bpb"], done["confirm_bpb"], done["test_bpb"]) == (
        scores["search"].nats, scores["search"].bpb, scores["confirm"].bpb, scores["test"].bpb)
    assert len({score.bpb for score in scores.values()}) == 3
    for name in ("confirm", "test"):
        assert sum(done[f"{name}_block_bytes"]) == tokens.n_bytes[name]
        assert sum(done[f"{name}_blocks"]) == pytest.approx(
            scores[name].bpb * tokens.n_bytes[name], rel=1e-12)


def load(folder: RunFolder) -> tuple[dict[str, Any], dict[str, Any]]:
    saved = checkpoint.load_newest(folder.checkpoint)
    assert saved is not None
    return saved


def test_what_a_worker_saved_is_a_whole_model_that_python_loads(
        folder: RunFolder, tokens: TokenSet, tmp_path: Path) -> None:
    """Copied alone, without job and tokenizer, it scores the same bits on the same stories."""
    work(folder, a_job(tokens))
    (done,) = told(folder, "done")
    alone = shutil.copy(folder.checkpoint, tmp_path / "alone.npz")
    found = engine.load(alone).loss(list(tokens.corpus.stories("search")))
    assert (found.nats, found.bpb) == (done["nats"], done["bpb"])


def test_a_run_on_a_part_of_the_text_sees_nothing_else_and_goes_on_to_the_same_bits(
        folder: RunFolder, tokens: TokenSet) -> None:
    job = a_job(tokens, shards={}, rung_step=None, unique_tokens=200)
    work(folder, job)
    os.replace(checkpoint.previous(folder.checkpoint), folder.checkpoint)
    work(folder, job)
    first, again = told(folder, "done")
    part = beginning(open_tokens(tokens.paths["train"], 300), 0, 200)
    here = Trainer(CONFIG, 1, N_STEPS, Texts(
        part, open_tokens(tokens.paths["search"], 300), tokens.n_bytes["search"]))
    for _ in range(N_STEPS):
        here.advance()
    assert first["nats"] == again["nats"] == here.evaluate().nats
    assert [event["step"] for event in told(folder, "start")] == [0, 30]


def test_a_job_without_shards_and_rung_tells_of_none(folder: RunFolder, tokens: TokenSet) -> None:
    work(folder, a_job(tokens, shards={}, rung_step=None))
    (done,) = told(folder, "done")
    assert not {"confirm_bpb", "test_bpb"} & done.keys()
    assert done["rung_bpb"] is None
    assert told(folder, "rung") == []
    assert [event["step"] for event in told(folder, "eval")] == [16, 32, 40]


def test_the_rung_is_scored_at_its_step_and_told_at_the_end(
        folder: RunFolder, tokens: TokenSet) -> None:
    work(folder, a_job(tokens, rung_max_bpb=ALWAYS))
    (rung,), (done,) = told(folder, "rung"), told(folder, "done")
    evals = {event["step"]: event["bpb"] for event in told(folder, "eval")}
    assert list(evals) == [10, 16, 32, 40]
    assert (rung["step"], rung["tokens"]) == (RUNG, RUNG * CONFIG.tokens_per_step)
    assert rung["bpb"] == done["rung_bpb"] == evals[10] > done["bpb"]


def test_a_run_over_the_limit_ends_at_the_rung(folder: RunFolder, tokens: TokenSet) -> None:
    work(folder, a_job(tokens, rung_max_bpb=NEVER))
    (rung,), (pruned,) = told(folder, "rung"), told(folder, "pruned")
    assert (pruned["step"], pruned["tokens"]) == (RUNG, RUNG * CONFIG.tokens_per_step)
    assert (pruned["rung_bpb"], pruned["max_bpb"]) == (rung["bpb"], NEVER)
    assert pruned["peak_mb"] > 0
    assert pruned["elapsed_s"] > 0
    assert told(folder, "done") == []
    assert max(event["step"] for event in told(folder, "step")) == RUNG


def test_a_score_just_at_the_limit_goes_on(folder: RunFolder, tokens: TokenSet) -> None:
    work(folder, a_job(tokens, rung_max_bpb=NEVER))
    at = told(folder, "rung")[0]["bpb"]
    other = RunFolder(folder.root.parent / "other")
    other.root.mkdir()
    work(other, a_job(tokens, rung_max_bpb=at))
    assert [event["rung_bpb"] for event in told(other, "done")] == [at]


def test_a_run_killed_at_the_rung_scores_it_again_and_decides_the_same(
        folder: RunFolder, tokens: TokenSet) -> None:
    job = a_job(tokens, rung_max_bpb=NEVER, checkpoint_every_steps=RUNG)
    work(folder, job)
    first = told(folder, "pruned")[0]
    for kind in ("checkpoint", "eval", "rung"):
        forget_after(folder, kind)
        work(folder, job)
        again = told(folder, "pruned")[-1]
        assert {name: again[name] for name in ("step", "tokens", "rung_bpb", "max_bpb")} == {
            name: first[name] for name in ("step", "tokens", "rung_bpb", "max_bpb")}
    assert told(folder, "start")[-1]["step"] == RUNG
    assert told(folder, "done") == []


def test_a_run_taken_up_behind_the_rung_still_tells_its_score(
        folder: RunFolder, tokens: TokenSet) -> None:
    job = a_job(tokens, rung_max_bpb=ALWAYS, n_replicas=2)
    work(folder, job)
    os.replace(checkpoint.previous(folder.checkpoint), folder.checkpoint)
    work(folder, job)
    assert [event["step"] for event in told(folder, "start")] == [0, 30]
    first, again = told(folder, "done")
    assert {name: again[name] for name in SCORES} == {name: first[name] for name in SCORES}
    assert len(told(folder, "rung")) == 1


def test_a_run_killed_while_its_shards_are_scored_scores_them_again(
        folder: RunFolder, tokens: TokenSet) -> None:
    job = a_job(tokens)
    work(folder, job)
    (first,) = told(folder, "done")
    forget_after(folder, "sample")
    work(folder, job)
    (again,) = told(folder, "done")
    assert {name: again[name] for name in SCORES} == {name: first[name] for name in SCORES}
    assert told(folder, "start")[-1]["step"] == N_STEPS


def test_a_checkpoint_of_before_the_rung_was_noted_is_taken_up(
        folder: RunFolder, tokens: TokenSet) -> None:
    job = a_job(tokens, rung_max_bpb=NEVER)
    work(folder, a_job(tokens, rung_step=None))
    arrays, scalars = load(folder)
    del scalars["timing"]["rung_bpb"]
    checkpoint.save(folder.checkpoint, arrays, scalars)
    work(folder, job)
    assert [event["rung_bpb"] for event in told(folder, "done")] == [None, None]


def run_here(folder: RunFolder) -> int:
    """A worker in this process; its exit status."""
    one = worker.Worker(folder, os.getppid())
    with one._lock, one.events._file:
        return one.run()


def test_a_worker_on_wrong_numbers_makes_no_step_and_says_so(
        folder: RunFolder, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    a_job(tokens).write(folder.job)
    right = np.matmul

    def wrong(a: Any, b: Any, out: Any = None) -> Any:
        found = right(a, b, out=out)
        found[...] = 3.0
        return found

    asked: list[Any] = []
    monkeypatch.setattr(worker, "faults_of_products", lambda config, passes: asked.append(
        (config, passes)) or faults_of_products(config, passes, Operations(matmul=wrong)))
    assert run_here(folder) == NO_NUMBERS
    (event,) = told(folder, NUMBERS)
    assert event["message"].startswith("numpy computes wrong numbers on this machine: the product ")
    assert "; try: " in event["message"]
    assert told(folder, "step") == []
    assert {one.n_batch for one in asked[0][1] if one.learns} == {CONFIG.batch_size}


def test_the_proof_leaves_nothing_of_it_in_a_run(
        folder: RunFolder, tokens: TokenSet, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    other = RunFolder(tmp_path / "runs" / "two")
    other.root.mkdir()
    for one in (folder, other):
        a_job(tokens).write(one.job)
    run_here(folder)
    monkeypatch.setattr(worker, "faults_of_products", lambda *_: [])
    run_here(other)
    for name in SCORES:
        assert told(folder, "done")[0][name] == told(other, "done")[0][name]

COUNTS_THREADS = """
import os, sys
from agent.trial import worker

fork = os.fork

def counted():
    sys.stdout.write(f"{{len(os.listdir('/proc/self/task'))}} ")
    sys.stdout.flush()
    return fork()

os.fork = counted
sys.exit(worker.main([{folder!r}, "1"]))
"""


def test_a_worker_has_one_thread_where_it_forks_its_replicas(
        folder: RunFolder, tokens: TokenSet) -> None:
    a_job(tokens, n_replicas=3).write(folder.job)
    ended = subprocess.run([sys.executable, "-c", COUNTS_THREADS.format(folder=str(folder.root))],
                           env=machine.worker_environment(), timeout=patience(60),
                           capture_output=True)
    assert (ended.returncode, set(ended.stdout.split())) == (0, {b"1"}), ended.stderr


# --- what a death before the first step says -------------------------------------------------


BREAKS = """
import sys
from agent.trial import worker

def build(*_):
    raise {error}

worker.trainer_of = build
sys.exit(worker.main([{folder!r}, "1"]))
"""


def dies(folder: RunFolder, job: Job | None, error: str = "") -> tuple[int, list[str]]:
    """Exit status and kinds of events of a worker, whose network raises the error if one is given.
    """
    if job:
        job.write(folder.job)
    how = (["-c", BREAKS.format(error=error, folder=str(folder.root))] if error
           else ["-m", "agent.trial.worker", str(folder.root), str(os.getpid())])
    status = subprocess.run([sys.executable, *how], env=machine.worker_environment(),
                            timeout=patience(60), stderr=subprocess.DEVNULL).returncode
    if not folder.events.exists():
        return status, []
    return status, [json.loads(line)["kind"] for line in folder.events.read_text().splitlines()]


@pytest.mark.parametrize("field", ["train_tokens", "valid_tokens", "tokenizer"])
@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00v\x00{'descr'", b"{}"])
def test_a_text_that_is_gone_or_torn_ends_a_worker_before_it_has_begun(
        folder: RunFolder, tokens: TokenSet, tmp_path: Path, field: str,
        content: bytes | None) -> None:
    path = tmp_path / "torn"
    if content is not None:
        path.write_bytes(content)
    assert dies(folder, a_job(tokens, **{field: str(path)})) == (1, [])


def test_kernels_that_are_gone_end_a_worker_before_it_has_begun_and_no_others_take_their_place(
        folder: RunFolder, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_NATIVE", "0")
    assert dies(folder, a_job(tokens, kernels="c11-0123abcd")) == (1, [])


def test_a_job_that_cannot_be_read_ends_a_worker_before_it_has_begun(
        folder: RunFolder) -> None:
    folder.job.write_text("{")
    assert dies(folder, None) == (1, [])


@pytest.mark.parametrize(("error", "status"), [
    ("MemoryError('Unable to allocate 9 TiB')", 1), ("OSError(12, 'no memory')", 1),
    ("worker.UserError('n_head=3 does not divide')", 1),
    ("OSError(24, 'Too many open files')", NO_GROUND),
    ("BlockingIOError(11, 'no process to be had')", NO_GROUND),
    ("ModuleNotFoundError('No module named numpy.linalg')", NO_GROUND)])
def test_what_fails_while_the_network_is_built_is_told_apart_by_its_kind(
        folder: RunFolder, tokens: TokenSet, error: str, status: int) -> None:
    assert dies(folder, a_job(tokens), error) == (status, ["start"])


def test_a_run_whose_checkpoints_are_torn_begins_again_to_the_same_end(
        folder: RunFolder, tokens: TokenSet) -> None:
    work(folder, a_job(tokens))
    (whole,) = told(folder, "done")
    folder.events.unlink()
    for path in (folder.checkpoint, checkpoint.previous(folder.checkpoint)):
        path.write_bytes(b"torn")
    work(folder, a_job(tokens))
    assert len(told(folder, "torn")) == 1
    assert [told(folder, "done")[0][name] for name in SCORES] == [whole[name] for name in SCORES]
