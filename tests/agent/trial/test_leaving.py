"""A worker asked to stop while it scores: it leaves between two windows, and no bit changes."""

import os
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import RunFolder
from agent.trial.job import STOPPED
from agent.trial.worker import Worker
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from engine.training import checkpoint
from tests.agent.trial.test_worker import CONFIG, N_STEPS, SCORES, a_job, told, work


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    """A text whose shards are several windows each."""
    root = tmp_path_factory.mktemp("texts")
    (root / "stories.txt").write_text("<|endoftext|>".join(write_stories(900, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, root / "stories.txt"), 300)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, tokens: TokenSet) -> dict[int, dict[str, Any]]:
    """The last event of undisturbed runs, by their replicas."""
    found = {}
    for n_replicas in (1, 2):
        folder = a_folder(tmp_path_factory.mktemp("calm"))
        work(folder, a_job(tokens, n_replicas=n_replicas))
        (found[n_replicas],) = told(folder, "done")
    return found


def a_folder(root: Path) -> RunFolder:
    folder = RunFolder(root / "runs" / "one")
    folder.root.mkdir(parents=True)
    return folder


def left_at(folder: RunFolder, number: int) -> tuple[int, Worker]:
    """Exit status of a worker that is asked to stop as its leader comes to window `number`."""
    worker = Worker(folder, os.getppid())
    n_asked = 0

    def is_asked_to_stop(*_: int) -> bool:
        nonlocal n_asked
        n_asked += 1
        worker.is_asked_to_stop = n_asked >= number
        return worker.is_asked_to_stop

    worker.trainer.evaluate = _counted(worker, is_asked_to_stop)  # type: ignore[method-assign]
    try:
        return worker.run(), worker
    finally:
        _close(worker)


def _close(worker: Worker) -> None:
    """What the end of its process would do."""
    worker.trainer.close()
    worker.events._file.close()
    worker._lock.close()


def _counted(worker: Worker, ask: Any) -> Any:
    own = worker.trainer.evaluate

    def evaluate(shard: str | None = None) -> Any:
        worker.trainer.should_leave = ask
        return own(shard)

    return evaluate


def n_windows(worker: Worker) -> list[int]:
    """Windows of the leader in each shard."""
    return [-(-len(one) // worker.trainer.n_replicas) for one in worker.trainer.windows]


def n_scored(worker: Worker) -> int:
    """Windows that stand in the checkpoint as scored."""
    saved = checkpoint.load_newest(worker.folder.checkpoint)
    assert saved is not None
    return len((saved[1]["scored"] or {"windows": []})["windows"])


def test_a_kill_during_the_last_evaluations_repeats_no_step_and_no_saved_window(
        tmp_path: Path, tokens: TokenSet, calm: dict[int, dict[str, Any]],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two windows of the last shard, where a save had become due."""
    folder = a_folder(tmp_path)
    a_job(tokens).write(folder.job)
    worker = Worker(folder, os.getppid())
    monkeypatch.setattr(worker, "_is_overdue", lambda: worker.shard == "test")
    n_all = sum(map(len, worker.trainer.windows))
    ask = worker._between_windows

    def killed(done: int, total: int) -> bool:
        ask(done, total)
        if worker.shard == "test" and done == total - 1:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(worker, "_between_windows", killed)
    with pytest.raises(KeyboardInterrupt):
        worker.run()
    _close(worker)
    assert n_scored(worker) == n_all - 1
    again = Worker(folder, os.getppid())
    scored: list[Any] = []
    own = again.trainer.model.token_losses
    monkeypatch.setattr(again.trainer.model, "token_losses",
                        lambda *args, **more: scored.append(args) or own(*args, **more))
    assert again.run() == 0
    _close(again)
    assert len(scored) == 1
    assert again.trainer.step == N_STEPS
    assert told(folder, "start")[-1]["step"] == N_STEPS
    (done,) = told(folder, "done")
    assert {name: done[name] for name in SCORES} == {name: calm[1][name] for name in SCORES}


@pytest.mark.parametrize("n_replicas", [1, 2])
@pytest.mark.parametrize("where", ["first", "middle", "rung", "last search", "confirm", "test"])
def test_a_stop_between_windows_is_taken_at_once_and_changes_no_bit(
        tmp_path: Path, tokens: TokenSet, calm: dict[int, dict[str, Any]], n_replicas: int,
        where: str) -> None:
    folder = a_folder(tmp_path)
    job = a_job(tokens, n_replicas=n_replicas)
    job.write(folder.job)
    probe = Worker(folder, os.getppid())
    search, confirm, test = n_windows(probe)
    _close(probe)
    assert min(search, confirm, test) > 1
    # Evaluated at 10 (the rung), 16, 32 and 40, the end; then the two shards.
    number, step = {"first": (1, 10), "rung": (search, 10), "middle": (search + 2, 16),
                    "last search": (3 * search + 2, N_STEPS), "confirm": (4 * search + 2, N_STEPS),
                    "test": (4 * search + confirm + test, N_STEPS)}[where]
    status, worker = left_at(folder, number)
    assert status == STOPPED
    assert [event["step"] for event in told(folder, "stopped")] == [step]
    assert worker.trainer.step == step
    assert told(folder, "done") == []
    n_scored = {"first": 0, "rung": 0, "middle": 1, "last search": 3}.get(where, 4)
    assert len(told(folder, "eval")) == n_scored  # none that was left is told
    work(folder, job)
    (done,) = told(folder, "done")
    assert {name: done[name] for name in SCORES} == {name: calm[n_replicas][name]
                                                     for name in SCORES}
    assert told(folder, "start")[-1]["step"] == step


def test_a_stop_in_each_window_in_turn_still_ends_at_the_same_bits(
        tmp_path: Path, tokens: TokenSet, calm: dict[int, dict[str, Any]]) -> None:
    """Left again and again, an evaluation loses nothing of itself."""
    folder = a_folder(tmp_path)
    job = a_job(tokens)
    job.write(folder.job)
    for number in (1, 2, 3):
        status, worker = left_at(folder, number)
        assert status == STOPPED
        assert n_scored(worker) == number - 1  # each went on behind the one before
    work(folder, job)
    (done,) = told(folder, "done")
    assert {name: done[name] for name in SCORES} == {name: calm[1][name] for name in SCORES}


def test_what_is_saved_on_leaving_is_the_state_after_the_step(
        tmp_path: Path, tokens: TokenSet) -> None:
    folder = a_folder(tmp_path)
    a_job(tokens).write(folder.job)
    left_at(folder, 2)
    saved = checkpoint.load_newest(folder.checkpoint)
    assert saved is not None
    assert (saved[1]["step"], saved[1]["timing"]["rung_bpb"]) == (10, None)
    assert CONFIG.steps_for(10 * CONFIG.tokens_per_step) == 10


def test_a_long_evaluation_tells_how_far_it_is_and_a_short_one_nothing(
        tmp_path: Path, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = a_folder(tmp_path / "quick")
    work(quick, a_job(tokens))
    assert told(quick, "scoring") == []
    monkeypatch.setattr("agent.trial.worker.TELL_S", 0.0)
    slow = a_folder(tmp_path / "slow")
    a_job(tokens).write(slow.job)
    worker = Worker(slow, os.getppid())
    n = [len(one) for one in worker.trainer.windows]
    assert worker.run() == 0
    _close(worker)
    scoring = told(slow, "scoring")
    assert [event["done"] for event in scoring if event["step"] == 16] == list(range(n[0]))
    assert {event["shard"] for event in scoring} == {None, "confirm", "test"}
    assert {event["total"] for event in scoring if event["shard"] == "test"} == {n[2]}
