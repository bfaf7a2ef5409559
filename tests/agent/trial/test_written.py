"""What a model writes is held beside as much real text, by hand as at the end of a harvest."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.home.paths import RunFolder
from agent.ledger.records import Run
from agent.machine import machine
from agent.trial import sampler, written
from agent.trial.job import Job
from engine.config import Config
from engine.errors import UserError
from engine.text.corpus import TokenSet
from engine.text.quality import REAL
from engine.text.tokenizer import Tokenizer
from engine.training.data import open_tokens
from engine.training.train import Texts, Trainer
from tests.support.parts import story_tokens
from tests.support.patience import patience

CONFIG = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=16, batch_size=4, lr=0.01)
NAMES = ["nats under a trigram", "known words", "longest copy", "distinct-2", "distinct-3"]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    return story_tokens(tmp_path_factory.mktemp("texts"))


@pytest.fixture
def folder(tmp_path: Path, tokens: TokenSet) -> RunFolder:
    """That of a harvest of some steps, which a worker has ended."""
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.root.mkdir(parents=True)
    Job(config=CONFIG, seed=1, budget_tokens=20 * CONFIG.tokens_per_step, is_measured=True,
        train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
        n_valid_bytes=tokens.n_bytes["search"],
        tokenizer=str(tokens.tokenizer_path)).write(folder.job)
    subprocess.run([sys.executable, "-m", "agent.trial.worker", str(folder.root), str(os.getpid())],
                   env=machine.worker_environment(), check=True, timeout=patience(60))
    return folder


def run() -> Run:
    unknown = dict.fromkeys(field.name for field in dataclasses.fields(Run))
    return Run(**unknown | {"label": "H1", "state": "finished"})  # type: ignore[arg-type]


def test_a_harvest_is_measured_at_its_end_as_it_is_by_hand(folder: RunFolder) -> None:
    events = [json.loads(line) for line in folder.events.read_text(encoding="utf-8").splitlines()]
    (done,) = [event for event in events if event["kind"] == "done"]
    found = sampler.measure(sampler.load(run(), folder), seed=1)
    assert done["measures"] == [list(one[:6]) for one in found]
    assert [one.name for one in found] == [*NAMES, *(name + REAL for name in NAMES)]
    assert {one.step for one in found} == {20}


def test_real_text_is_likelier_than_that_of_a_model_of_twenty_steps(folder: RunFolder) -> None:
    its = {one.name: one for one in sampler.measure(sampler.load(run(), folder), seed=0)}
    own, real = its["nats under a trigram"], its["nats under a trigram" + REAL]
    assert own.low is not None
    assert real.high is not None
    assert own.low > real.high
    assert its["known words" + REAL].value > its["known words"].value


def test_without_its_text_there_is_a_sentence(folder: RunFolder, tmp_path: Path) -> None:
    speaker = sampler.load(run(), folder)
    gone = dataclasses.replace(speaker.job, train_tokens=str(tmp_path / "gone.npy"))
    with pytest.raises(UserError, match=r"the text of H1 is not to be had: .*gone\.npy"):
        sampler.measure(dataclasses.replace(speaker, job=gone), seed=0)


@pytest.mark.parametrize("n", [0, 1, 12, 23])
def test_of_too_short_a_text_nothing_is_said(n: int) -> None:
    few = np.arange(n, dtype=np.uint16)
    config = dataclasses.replace(CONFIG, vocab_size=257)
    trainer = Trainer(config, 0, 5, Texts(np.zeros(99, np.uint16), np.zeros(99, np.uint16), 99))
    found = written.measured(trainer.model, trainer.params, Tokenizer([]), few, few, step=0)
    trainer.close()
    assert not found or n > 22


def test_both_sides_have_as_many_tokens_from_the_same_beginnings(tokens: TokenSet) -> None:
    held_out = open_tokens(tokens.paths["search"], 300)
    prompts, real = written._real(held_out, 0)
    assert 2 < len(prompts) == len(real) <= written.TEXTS
    for prompt, rest in zip(prompts, real, strict=True):
        text = np.array([*prompt, *rest])
        assert len(prompt) == written.BEGUN
        assert 0 not in rest
        assert any(np.array_equal(held_out[i : i + text.size], text)
                   for i in range(held_out.size - text.size + 1))
    own, other = written._as_much([[1] * 50, [2] * 50], [[3] * 30, [4] * 40])
    assert sum(map(len, own)) == sum(map(len, other)) == 70
    assert own == [[1] * 50, [2] * 20]
