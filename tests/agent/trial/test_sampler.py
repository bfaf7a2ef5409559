"""Text from a checkpoint is what the trainer itself would have written."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from agent.home.paths import RunFolder
from agent.ledger.records import Run
from agent.trial import sampler
from engine.errors import CheckpointError, ConfigError, TokenizerError, UserError
from engine.sampling.generate import Sampling, continuations
from engine.text.tokenizer import Tokenizer
from engine.training.train import seeded
from tests.support.example_home import TINY, save, trained


def run(label: str = "E7", state: str = "finished") -> Run:
    unknown = dict.fromkeys(field.name for field in dataclasses.fields(Run))
    return Run(**unknown | {"label": label, "state": state})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def speak(speaker: sampler.Speaker, prompt: str | None = None, n_texts: int = 1, seed: int = 0,
          sampling: Sampling | None = None) -> sampler.Sample:
    return sampler.speak(speaker, prompt, 12, n_texts, seed, sampling or Sampling())


@pytest.mark.parametrize("optimizer", ["adamw", "lion", "schedule_free", "muon"])
def test_parameters_are_those_the_trainer_evaluates(folder: RunFolder, optimizer: str) -> None:
    trainer = trained(dataclasses.replace(TINY, optimizer=optimizer))
    save(folder, trainer)
    params = sampler.load(run(), folder).model.flat
    np.testing.assert_array_equal(params.buffer, trainer.evaluation_params().buffer)
    assert {name: view.shape for name, view in params.views.items()} == TINY.shapes()


def test_schedule_free_does_not_speak_with_the_training_iterate(folder: RunFolder) -> None:
    trainer = trained(dataclasses.replace(TINY, optimizer="schedule_free"))
    save(folder, trainer)
    params = sampler.load(run(), folder).model.flat
    assert not np.array_equal(params.buffer, trainer.params.buffer)


def test_a_run_saved_before_its_first_step_can_speak(folder: RunFolder) -> None:
    trainer = trained(dataclasses.replace(TINY, optimizer="schedule_free"), n_steps=0)
    save(folder, trainer)
    params = sampler.load(run(), folder).model.flat
    np.testing.assert_array_equal(params.buffer, trainer.params.buffer)


def test_texts_are_those_the_model_generates(folder: RunFolder) -> None:
    trainer = trained()
    save(folder, trainer)
    found = speak(sampler.load(run(), folder), "The dog", n_texts=2, seed=5)
    tokenizer = Tokenizer([])
    ids = continuations(trainer.model, trainer.evaluation_params(),
                   [[0, *tokenizer.encode("The dog")]] * 2, 12, seeded(5, 3), eot_id=0)
    assert found.texts == ["The dog" + tokenizer.decode(one) for one in ids]
    assert (found.label, found.step, found.seed, found.prompt) == ("E7", 3, 5, "The dog")


def test_the_seed_decides_the_text(folder: RunFolder) -> None:
    save(folder, trained())
    speaker = sampler.load(run(), folder)
    assert speak(speaker) == speak(speaker)
    assert speak(speaker).texts != speak(speaker, seed=1).texts


def test_without_a_prompt_it_begins_as_the_log_does(folder: RunFolder) -> None:
    save(folder, trained())
    speaker = sampler.load(run(), folder)
    assert speak(speaker).texts[0].startswith("Once upon a time")
    assert not speak(speaker, "").texts[0].startswith("Once")


@pytest.mark.parametrize(("state", "remedy"), [
    ("queued", "it has not begun; `agent run` starts it"),
    ("running", "the first is written within a minute"),
    ("finished", "models of ideas that were not kept, and of arms of tests, are deleted, and "
                 "others lie on the device that trained them; `agent sample best` has one"),
])
def test_a_run_without_checkpoint_names_the_remedy(
        folder: RunFolder, state: str, remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        sampler.load(run(state=state), folder)
    assert str(caught.value) == f"E7 has no checkpoint at {folder.checkpoint}: {remedy}"


def test_a_checkpoint_of_another_configuration_is_refused(folder: RunFolder) -> None:
    save(folder, trained(), config=dataclasses.replace(TINY, n_head=4))
    with pytest.raises(CheckpointError, match=r"^the checkpoint is of another configuration than "
                                              r"the run's job\.json; its folder was mixed up"):
        sampler.load(run(), folder)


def test_another_runs_tokenizer_is_refused(folder: RunFolder) -> None:
    save(folder, trained())
    Tokenizer([(1, 2)]).save(folder.root / "tokenizer.json")
    with pytest.raises(TokenizerError, match=r"^the tokenizer of E7 is not to be had: the "
                                             r"tokenizer has 258 tokens and the model 257; use"):
        sampler.load(run(), folder)


def test_a_tokenizer_that_is_gone_is_named_with_what_makes_it_again(folder: RunFolder) -> None:
    save(folder, trained())
    (folder.root / "tokenizer.json").unlink()
    with pytest.raises(TokenizerError, match=r"^the tokenizer of E7 is not to be had: .*tokenizer"
                                             r"\.json, named in its job\.json, is gone.*--corpus"):
        sampler.load(run(), folder)


def test_weights_that_are_not_numbers_have_nothing_to_say(folder: RunFolder) -> None:
    trainer = trained()
    trainer.params.buffer[...] = np.nan
    save(folder, trainer)
    with pytest.raises(UserError, match=r"^E7 has nothing to say: the logits hold NaN"):
        speak(sampler.load(run(), folder))


def test_settings_out_of_range_are_named(folder: RunFolder) -> None:
    save(folder, trained())
    with pytest.raises(ConfigError, match="top_k=0 leaves no token"):
        speak(sampler.load(run(), folder), sampling=Sampling(top_k=0))
