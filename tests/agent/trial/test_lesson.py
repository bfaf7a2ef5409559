"""What a run learns from: the model that was kept for it, and pairs that a kill does not change."""

import dataclasses
from pathlib import Path

import pytest

from agent.home.paths import RunFolder
from agent.trial.events import Events
from agent.trial.job import Job
from agent.trial.lesson import lesson_of, model_at
from agent.trial.task import Task
from engine.alignment import qualities
from engine.config import Config
from engine.errors import CheckpointError, CorpusError
from engine.model.gpt import Flat, init_params
from engine.text import Tokenizer
from engine.text.stories.write import write_stories
from engine.training import checkpoint
from engine.training.train import Texts

CONFIG = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=16)
JOB = Job(config=CONFIG, seed=0, budget_tokens=1, train_tokens="-", valid_tokens="-",
          n_valid_bytes=1, tokenizer="-")


def keep(path: Path, params: Flat) -> None:
    checkpoint.save(path, {"params": params.buffer}, {})


def test_a_model_that_was_kept_comes_back_bit_for_bit(tmp_path: Path) -> None:
    params = init_params(CONFIG, 3)
    keep(tmp_path / "start.npz", params)
    assert (model_at(tmp_path / "start.npz", JOB).buffer == params.buffer).all()


def test_a_model_that_is_torn_or_anothers_is_refused(tmp_path: Path) -> None:
    path, params = tmp_path / "start.npz", init_params(CONFIG, 3)
    keep(path, params)
    wider = dataclasses.replace(JOB, config=Config(n_embd=32, n_head=1, vocab_size=300))
    with pytest.raises(CheckpointError, match="is not the model this run was to begin from"):
        model_at(path, wider)
    data = path.read_bytes()
    at = data.index(params.buffer.tobytes())
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        model_at(path, JOB)


STORIES = list(write_stories(40, 0))
TOKENIZER = Tokenizer.train(STORIES, 300)
TOKENS = TOKENIZER.encode_stories(STORIES)
TEXTS = Texts(TOKENS, TOKENS, 1)


class Killed(Exception):
    """Stands for a SIGKILL."""


class Quiet(Events):
    """Tells nobody."""

    def __init__(self) -> None:
        pass

    def write(self, kind: str, **values: object) -> None:
        pass


class Dies(Quiet):
    """Dies behind the first batch that is told."""

    def write(self, kind: str, **values: object) -> None:
        raise Killed


def a_folder(root: Path) -> RunFolder:
    folder = RunFolder(root)
    folder.root.mkdir()
    keep(folder.start, init_params(CONFIG, 3))
    return folder


@pytest.mark.parametrize(("kind", "torn"), [
    ("made", b""), ("spin", b'[["Once", "a", '), ("spin", b"\n")])
def test_pairs_that_are_made_are_the_same_after_a_kill(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, torn: bytes) -> None:
    monkeypatch.setattr(qualities, "TOKENS", 4)  # a model that knows nothing writes some words well
    job = dataclasses.replace(JOB, task=Task(kind=kind, loss="sigmoid", n=40, n_asked=4))
    whole, killed = a_folder(tmp_path / "whole"), a_folder(tmp_path / "killed")
    first = lesson_of(job, whole, TEXTS, TOKENIZER, Quiet())
    with pytest.raises(Killed):
        lesson_of(job, killed, TEXTS, TOKENIZER, Dies())
    with open(killed.making, "ab") as file:
        file.write(torn)
    again = lesson_of(job, killed, TEXTS, TOKENIZER, Quiet())
    assert (again.pairs, again.held) == (first.pairs, first.held)
    assert whole.pairs.read_bytes() == killed.pairs.read_bytes()
    assert not killed.making.exists()
    assert len(first.pairs) > len(first.held) > 0


def test_a_model_that_works_nothing_out_is_told(tmp_path: Path) -> None:
    job = dataclasses.replace(JOB, task=Task(kind="star", loss="nats", n=5, n_asked=1))
    folder = a_folder(tmp_path / "one")
    with pytest.raises(CorpusError, match="only 0 of 5 things to learn from could be made"):
        lesson_of(job, folder, TEXTS, TOKENIZER, Quiet())
