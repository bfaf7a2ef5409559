"""The model a run begins from is the one that was kept for it, or none."""

import dataclasses
from pathlib import Path

import pytest

from agent.trial.job import Job
from agent.trial.lesson import keep_model, model_at
from engine.config import Config
from engine.errors import CheckpointError
from engine.model.gpt import init_params
from engine.training import checkpoint

CONFIG = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=16)
JOB = Job(config=CONFIG, seed=0, budget_tokens=1, train_tokens="-", valid_tokens="-",
          n_valid_bytes=1, tokenizer="-")


def test_a_model_that_was_kept_comes_back_bit_for_bit(tmp_path: Path) -> None:
    params = init_params(CONFIG, 3)
    keep_model(tmp_path / "start.npz", params)
    assert (model_at(tmp_path / "start.npz", JOB).buffer == params.buffer).all()


def test_a_model_that_was_changed_or_is_anothers_is_refused(tmp_path: Path) -> None:
    path, params = tmp_path / "start.npz", init_params(CONFIG, 3)
    keep_model(path, params)
    wider = dataclasses.replace(JOB, config=Config(n_embd=32, n_head=1, vocab_size=300))
    with pytest.raises(CheckpointError, match="is not the model this run was to begin from"):
        model_at(path, wider)
    arrays, scalars = checkpoint.load(path)
    arrays["params"][0] += 1
    checkpoint.save(path, arrays, scalars)
    with pytest.raises(CheckpointError, match="is not the model this run was to begin from"):
        model_at(path, JOB)
