"""A worker that breaks says where, one that does not what its blocks did; and it stays in words."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.home.paths import RunFolder
from agent.ledger import Layer, Trace
from agent.trial import watching, worker
from agent.trial.job import STOPPED, Job
from agent.trial.watching import seen_in
from engine.config import Config
from engine.errors import Diverged
from engine.text.corpus import TokenSet
from engine.training import Trainer, checkpoint
from tests.support.parts import story_tokens

CONFIG = Config(n_embd=16, n_layer=2, n_head=1, vocab_size=300, seq_len=16, batch_size=4, lr=0.01)
N_STEPS, SAVED = 30, 10


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    return story_tokens(tmp_path_factory.mktemp("texts"), 40)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.root.mkdir(parents=True)
    return folder


def work(folder: RunFolder, tokens: TokenSet, **changes: Any) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and events of a worker in this process."""
    job = Job(config=CONFIG, seed=1, budget_tokens=N_STEPS * CONFIG.tokens_per_step,
              train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
              n_valid_bytes=tokens.n_bytes["search"], tokenizer=str(tokens.tokenizer_path),
              checkpoint_every_steps=SAVED, checkpoint_every_s=1e9)
    dataclasses.replace(job, **changes).write(folder.job)
    one = worker.Worker(folder, os.getppid())
    with one._lock, one.events._file:
        status = one.run()
    one.trainer.close()
    return status, [json.loads(line) for line in folder.events.read_text().splitlines()]


def told(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


def test_every_logged_step_has_its_layers_and_a_sound_run_no_trace(
        folder: RunFolder, tokens: TokenSet) -> None:
    _, events = work(folder, tokens)
    layers = told(events, "layers")
    assert [one["step"] for one in layers] == [one["step"] for one in told(events, "step")]
    assert all(len(one["act_rms"]) == CONFIG.n_layer for one in layers)
    assert told(events, "trace") == told(events, "untraced") == []
    assert len(told(events, "done")) == 1


def test_a_checkpoint_that_was_spoilt_is_named_by_the_worker_that_took_it_up(
        folder: RunFolder, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(worker.Worker, "_should_stop", lambda self: self.trainer.step == 12)
        assert work(folder, tokens)[0] == STOPPED
    arrays, scalars = checkpoint.load(folder.checkpoint)
    view = next(start for name, start in _starts() if name == "block1.mlp.gate_up")
    arrays["params"][view + 7] = np.inf
    checkpoint.save(folder.checkpoint, arrays, scalars)
    _, events = work(folder, tokens)
    (broke,), (trace,) = told(events, "diverged"), told(events, "trace")
    assert broke["message"] == "loss nan, gradient norm nan at step 13"
    assert [trace[key] for key in ("step", "pass", "block", "tensor")] == [
        13, "forward", 1, "mlp.gate_up"]
    assert trace["causes"] == ["infinite weight: 1 of its 2,048 entries is not finite; it lay so "
                               "in the state at step 12"]


def _starts() -> list[tuple[str, int]]:
    sizes = [int(np.prod(shape)) for shape in CONFIG.shapes().values()]
    return list(zip(CONFIG.shapes(), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))


def test_an_absurd_rate_is_traced_over_two_replicas_from_the_start(
        folder: RunFolder, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "TELL_S", 0.0)
    config = dataclasses.replace(CONFIG, lr=1.0)
    _, events = work(folder, tokens, config=config, n_replicas=2, checkpoint_every_steps=10**6)
    (trace,) = told(events, "trace")
    assert trace["causes"][0].startswith("learning rate: ")
    assert (trace["began_at"], trace["is_repeated"]) == (0, True)
    steps = [(one["done"], one["total"]) for one in told(events, "tracing")]
    assert steps == [(i, trace["step"] - 1) for i in range(trace["step"] - 1)]


def test_a_trace_that_fails_leaves_the_end_of_the_run_as_it_is(
        folder: RunFolder, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    def advance(self: Trainer) -> None:
        raise Diverged("loss nan")

    monkeypatch.setattr(watching, "trace_failure", broken)
    monkeypatch.setattr(Trainer, "advance", advance)
    status, events = work(folder, tokens)
    assert status == 0
    assert told(events, "diverged")[0]["message"] == "loss nan"
    assert told(events, "untraced") == [
        {"kind": "untraced", "message": "ZeroDivisionError: a bug"}]


def test_events_become_rows_and_spoilt_ones_none() -> None:
    layers = {"kind": "layers", "step": 3, "act_rms": [1, 2.0], "grad_rms": [0.1, None],
              "max_score": [1.0, float("inf")], "entropy": [0.5, 0.5], "dead_gates": [0.0, 0.0]}
    assert seen_in(layers) == [Layer(3, 0, 1.0, 0.1, 1.0, 0.5, 0.0),
                               Layer(3, 1, 2.0, None, None, 0.5, 0.0)]
    trace = {"kind": "trace", "step": 3, "pass": "forward", "block": None, "tensor": "head",
             "causes": ["a: b"], "told": "head …"}
    (found,) = seen_in(trace)
    assert isinstance(found, Trace)
    assert (found.step, found.direction, found.block, found.causes) == (3, "forward", None,
                                                                        ["a: b"])
    for spoilt in ({"step": "3"}, {"act_rms": 4}, {"entropy": ["x", 1.0]}, {"grad_rms": [1.0]}):
        assert seen_in(layers | spoilt) == []
    for spoilt in ({"block": True}, {"causes": []}, {"told": None}, {"step": None}):
        assert seen_in(trace | spoilt) == []
    assert seen_in({"kind": "step"}) == []
