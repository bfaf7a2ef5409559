"""Training from Python: events, and a stop that changes no bit."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import engine
from engine import native
from engine.config import OPTIMIZERS
from engine.door.train import _split
from engine.errors import (
    CheckpointError,
    ConfigError,
    CorpusError,
    TokenizerError,
    UserError,
)
from engine.text.splits import hold_out
from engine.text.stories.write import write_stories
from engine.text.tokenizer import Tokenizer
from engine.training import checkpoint

TINY = engine.Config(n_embd=16, n_layer=1, n_head=2, vocab_size=300, seq_len=16, batch_size=2,
                     lr=1e-2)
STORIES = list(write_stories(40, seed=3))


def test_it_yields_every_step_the_evaluations_and_the_end() -> None:
    events = list(engine.train(TINY, STORIES, steps=6, eval_every=3))
    assert [type(event).__name__ for event in events] == [
        "Step", "Step", "Step", "Eval", "Step", "Step", "Step", "Eval", "Done"]
    assert isinstance(last := events[-1], engine.Done)
    assert (last.step, last.tokens) == (6, 6 * 2 * 16)


def test_it_learns() -> None:
    *_, done = run = list(engine.train(TINY, STORIES, steps=150))
    first = next(event for event in run if isinstance(event, engine.Step))
    assert isinstance(done, engine.Done)
    assert done.score.nats < first.loss - 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stopped_saved_and_resumed_it_ends_at_the_same_bits(
        optimizer: str, tmp_path: Path) -> None:
    config = replace(TINY, optimizer=optimizer)
    *_, whole = engine.train(config, STORIES, steps=9, seed=4)
    with engine.train(config, STORIES, steps=9, seed=4) as first:
        for event in first:
            if isinstance(event, engine.Step) and event.step == 5:
                break
        half = first.save(tmp_path / "half.npz")
    *_, resumed = engine.train(config, STORIES, steps=9, seed=4, resume=half)
    assert resumed == whole


def test_a_training_of_an_earlier_version_is_resumed_in_the_order_it_began_in(
        tmp_path: Path) -> None:
    linear = replace(TINY, data_order="linear")
    *_, whole = engine.train(linear, STORIES, steps=6)
    with engine.train(linear, STORIES, steps=6) as first:
        next(first)
        half = first.save(tmp_path / "half.npz")
    arrays, scalars = checkpoint.load(half)
    del scalars["config"]["data_order"]
    checkpoint.save(half, arrays, scalars)
    *_, resumed = engine.train(TINY, STORIES, steps=6, resume=half)
    assert resumed == whole


def test_a_training_goes_on_by_the_kernels_it_began_with(tmp_path: Path) -> None:
    """A version that did not say which had numpy alone."""
    with engine.train(TINY, STORIES, steps=3) as first:
        half = first.save(tmp_path / "half.npz")
    arrays, scalars = checkpoint.load(half)
    assert scalars["kernels"] == native.usual().kernels.name
    checkpoint.save(half, arrays, scalars | {"kernels": "c11-00000000"})
    with pytest.raises(UserError, match="the kernels c11-00000000 cannot be had|AGENT_NATIVE=0"):
        engine.train(TINY, STORIES, steps=3, resume=half)
    del scalars["kernels"]
    checkpoint.save(half, arrays, scalars)
    with engine.train(TINY, STORIES, steps=3, resume=half) as again:
        again.save(half)
    assert checkpoint.load(half)[1]["kernels"] == "numpy"


def test_a_loop_that_was_left_goes_on_where_it_was() -> None:
    run = engine.train(TINY, STORIES, steps=9)
    left = [*itertools.islice(run, 4)]
    assert run.step == 4
    assert [*left, *run] == list(engine.train(TINY, STORIES, steps=9))


def test_its_model_is_a_copy_that_further_steps_leave_alone() -> None:
    run = engine.train(TINY, STORIES, steps=9)
    next(run)
    early = run.model
    before = early.flat.buffer.copy()
    *_, done = run
    np.testing.assert_array_equal(early.flat.buffer, before)
    assert isinstance(done, engine.Done)
    assert (early.step, run.model.step) == (1, 9)


@pytest.mark.parametrize("kind", ["text", "stories", "a generator", ".txt", ".jsonl"])
def test_a_text_may_come_in_any_shape(kind: str, tmp_path: Path) -> None:
    text = "<|endoftext|>".join(STORIES)
    (tmp_path / "a.txt").write_text(text, "utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "' + text.replace("\n", "\\n").replace(
        '"', '\\"') + '"}\n', "utf-8")
    given = {"text": text, "stories": STORIES, "a generator": (story for story in STORIES),
             ".txt": tmp_path / "a.txt", ".jsonl": tmp_path / "a.jsonl"}[kind]
    wanted = list(engine.train(TINY, STORIES, steps=3))
    assert list(engine.train(TINY, given, steps=3)) == wanted  # type: ignore[arg-type]


def test_of_one_long_story_the_end_is_held_out() -> None:
    text = "\n\n".join(STORIES)
    run = engine.train(TINY, text, steps=1)
    held = run.tokenizer.decode(run._trainer.texts.valid[1:-1])
    trained = run.tokenizer.decode(run._trainer.texts.train[1:-1])
    assert text.endswith(held)
    assert text.startswith(trained)
    assert 0.05 < len(held) / len(text) < 0.1
    assert len(trained) + len(held) + 2 == len(text)


def test_a_validation_text_of_ones_own_is_what_is_scored() -> None:
    run = engine.train(TINY, STORIES, steps=1, valid="A cat. A dog.")
    *_, done = run
    assert isinstance(done, engine.Done)
    assert done.score == run.model.loss(["A cat. A dog."])


def test_a_tokenizer_of_ones_own_is_used() -> None:
    tokenizer = engine.Tokenizer.train(["abc " * 50], 258)
    run = engine.train(replace(TINY, vocab_size=258), STORIES, steps=1, tokenizer=tokenizer)
    assert run.model.tokenizer is tokenizer


@pytest.mark.parametrize(("text", "steps", "error", "said"), [
    (STORIES, 0, ConfigError, "steps=0 trains nothing; give 1 or more"),
    ("", 1, CorpusError, "the text is empty, so there is nothing to train on"),
    ([], 1, CorpusError, "the text is empty"),
    ("a", 1, CorpusError, "a text of 1 characters is too short to hold a tenth of it out"),
    (Path("nowhere.txt"), 1, CorpusError, "there is no file nowhere.txt"),
    ("word " * 200, 1, TokenizerError, "vocab_size=300 is too large for this text"),
])
def test_what_cannot_be_trained_is_one_sentence(
        text: engine.door.train.Text, steps: int, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        engine.train(TINY, text, steps=steps)


def test_a_tokenizer_of_another_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="vocab_size=300 is not the 257 of the tokenizer"):
        engine.train(TINY, STORIES, steps=1, tokenizer=Tokenizer([]))


def test_a_checkpoint_that_is_not_there_or_another_trainings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint at .*to resume; leave resum"):
        engine.train(TINY, STORIES, steps=2, resume=tmp_path / "none.npz")
    half = engine.train(TINY, STORIES, steps=2).save(tmp_path / "half.npz")
    with pytest.raises(CheckpointError, match="n_steps is 2, this run's is 3"):
        engine.train(TINY, STORIES, steps=3, resume=half)


def test_a_name_that_no_checkpoint_bears_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model does not end in \.npz.*name it model\.npz"):
        engine.train(TINY, STORIES, steps=1).save(tmp_path / "model")


def test_no_copy_of_what_is_held_out_is_trained_on() -> None:
    tales = list(write_stories(40, 0))
    train, held = _split([*tales, *(f" {tale}\n" for tale in tales)], None)

    assert len(held) == 4
    assert not {tale.strip() for tale in train} & {tale.strip() for tale in held}
    assert _split(tales, None) == tuple(map(list, hold_out(tales)))
