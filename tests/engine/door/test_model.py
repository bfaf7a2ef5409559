"""The door for Python: what a loaded model says is what the engine's own parts say."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import engine
from engine.errors import CheckpointError, ConfigError, CorpusError, Diverged, TokenizerError
from engine.model.layers import cross_entropy
from engine.sampling.generate import continuations
from engine.text.stories.write import write_stories
from engine.text.tokenizer import Tokenizer
from engine.training import checkpoint
from engine.training.evaluate import score_model
from engine.training.train import seeded

TINY = engine.Config(n_embd=16, n_layer=2, n_head=2, vocab_size=300, seq_len=16, batch_size=2,
                     lr=1e-2)
STORIES = list(write_stories(40, seed=3))


@pytest.fixture(scope="module", params=["adamw", "schedule_free"])
def run(request: pytest.FixtureRequest) -> engine.Training:
    found = engine.train(replace(TINY, optimizer=request.param), STORIES, steps=12, seed=1)
    for _ in found:
        pass
    return found


@pytest.fixture
def model(run: engine.Training, tmp_path: Path) -> engine.Model:
    return engine.load(run.save(tmp_path / "model.npz"))


def test_a_loaded_model_is_the_one_the_trainer_evaluates(
        run: engine.Training, model: engine.Model) -> None:
    trainer = run._trainer
    np.testing.assert_array_equal(model.flat.buffer, trainer.evaluation_params().buffer)
    assert model.config == trainer.config
    assert model.step == 12
    assert model.tokenizer.merges == run.tokenizer.merges


def test_its_loss_on_the_held_out_stories_is_the_trainings_own(
        run: engine.Training, model: engine.Model) -> None:
    held = run._trainer.texts.valid
    stories = [model.tokenizer.decode(part) for part in np.split(held, np.flatnonzero(held == 0))]
    assert model.loss([story.lstrip("\0") for story in map(without_end, stories) if story]
                      ) == run._trainer.evaluate()


def without_end(text: str) -> str:
    return text.removeprefix("<|endoftext|>")


def test_the_loss_of_a_text_is_what_its_logits_give(model: engine.Model) -> None:
    text = "The cat sat."
    ids = [model.tokenizer.eot_id, *model.tokenizer.encode(text)]
    logits = model.logits(ids[:-1]).astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    nats = -np.log(chances[np.arange(len(ids) - 1), ids[1:]])
    found = model.loss(text)
    assert found.n_tokens == len(ids) - 1
    assert found.nats == pytest.approx(nats.mean(), rel=1e-5)
    assert found.bpb == pytest.approx(nats.sum() / np.log(2) / len(text), rel=1e-5)


def test_a_text_longer_than_the_window_is_scored_whole(model: engine.Model) -> None:
    text = " ".join(STORIES)
    tokens = np.array([0, *model.tokenizer.encode(text)], np.uint16)
    assert tokens.size > 20 * model.config.seq_len
    assert model.loss(text) == score_model(model.gpt, model.flat, tokens, len(text.encode()))


def test_bits_are_counted_on_bytes_and_not_on_characters(model: engine.Model) -> None:
    one, two = model.loss("e e e"), model.loss("é é é")
    assert one.nats * one.n_tokens / np.log(2) == pytest.approx(one.bpb * 5)
    assert two.nats * two.n_tokens / np.log(2) == pytest.approx(two.bpb * 8)


def test_logits_of_a_batch_are_those_of_its_rows(model: engine.Model) -> None:
    ids = np.random.default_rng(0).integers(0, 300, (3, 16))
    found = model.logits(ids)
    assert found.shape == (3, 16, 300)
    assert found.dtype == np.float32
    for row, wanted in zip(ids, found, strict=True):
        np.testing.assert_allclose(model.logits(row.tolist()), wanted, rtol=1e-4, atol=1e-4)


def test_logits_are_those_the_loss_is_made_of(model: engine.Model) -> None:
    ids = np.random.default_rng(0).integers(0, 300, 17)
    nats = cross_entropy(np.ascontiguousarray(model.logits(ids[:-1]).T), ids[1:], None, np.exp, 1.0)
    wanted = model.gpt.token_losses(model.flat, ids[None, :-1], ids[None, 1:])
    np.testing.assert_allclose(nats, wanted, rtol=1e-4)


@pytest.mark.parametrize(("ids", "said"), [
    ([], "ids of shape (0,) and type float64 are no tokens; give (T,) or (B, T) whole numbers"),
    ([[[1]]], "ids of shape (1, 1, 1)"),
    ([0.5], "type float64 are no tokens"),
    (["a"], "are no tokens"),
    ([True], "type bool are no tokens"),
    ([1, 300], "id 300 is outside the vocabulary of 300; use this model's tokenizer"),
    ([-1], "id -1 is outside the vocabulary of 300"),
    ([1] * 17, "17 tokens are more than the window of 16 this model was trained with; give fewer"),
])
def test_ids_it_cannot_read_are_named(model: engine.Model, ids: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        model.logits(ids)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_it_writes_what_the_sampler_writes(model: engine.Model) -> None:
    start = [0, *model.tokenizer.encode("The dog")]
    ids = continuations(model.gpt, model.flat, [start], 12, seeded(5, model.step), eot_id=0)
    assert model.generate("The dog", 12, seed=5) == "The dog" + model.tokenizer.decode(ids[0])


def test_several_prompts_give_as_many_texts(model: engine.Model) -> None:
    found = model.generate(["The dog", "A", ""], 8, temperature=0)
    assert [text[:n] for text, n in zip(found, (7, 1, 0), strict=True)] == ["The dog", "A", ""]
    assert model.generate([]) == []


def test_a_prompt_longer_than_the_window_is_continued(model: engine.Model) -> None:
    prompt = STORIES[0]
    assert len(model.tokenizer.encode(prompt)) > 2 * model.config.seq_len
    assert model.generate(prompt, 5).startswith(prompt)


def test_settings_out_of_range_are_named(model: engine.Model) -> None:
    with pytest.raises(ConfigError, match="top_k=0 leaves no token"):
        model.generate("A", top_k=0)


@pytest.mark.parametrize("text", ["", [], ["", ""]])
def test_an_empty_text_has_no_loss(model: engine.Model, text: str | list[str]) -> None:
    with pytest.raises(CorpusError, match=r"^the text is empty, so there is nothing to score"):
        model.loss(text)


def test_weights_that_are_not_numbers_have_nothing_to_say(model: engine.Model) -> None:
    model.flat.buffer[...] = np.nan
    with pytest.raises(Diverged, match="the logits hold NaN"):
        model.generate("A")


# --- where a model lies ----------------------------------------------------------------------


def old_run(run: engine.Training, folder: Path, tokenizer: str) -> Path:
    """A run's folder as version 0.1 left it: the checkpoint holds no tokenizer, the job names it.
    """
    folder.mkdir(parents=True)
    checkpoint.save(folder / "checkpoint.npz", run._trainer.arrays(), run._trainer.scalars())
    (folder / "job.json").write_text(json.dumps({"tokenizer": tokenizer}), "utf-8")
    return folder


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_folder_of_the_version_before_is_read_by_its_job(
        run: engine.Training, tmp_path: Path, is_relative: bool) -> None:
    run.tokenizer.save(tmp_path / "t.json")
    named = "../t.json" if is_relative else str(tmp_path / "t.json")
    model = engine.load(str(old_run(run, tmp_path / "run", named)))
    assert model.generate("A", 5) == run.model.generate("A", 5)


def test_a_folder_of_the_version_before_is_read_in_a_home_that_was_moved(
        run: engine.Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home/data/text").mkdir(parents=True)
    run.tokenizer.save(tmp_path / "home/data/text/t.json")
    place = old_run(run, tmp_path / "home/runs/u", "/data/x/home/nights/data/text/t.json")
    assert engine.load(place).config == run.config
    monkeypatch.chdir(place)
    assert engine.load("checkpoint.npz").config == run.config


def test_a_lone_checkpoint_is_a_whole_model(run: engine.Training, tmp_path: Path) -> None:
    run.save(tmp_path / "away.npz")
    assert engine.load(tmp_path / "away.npz").loss("The cat sat.") == run.model.loss("The cat sat.")


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(
        run: engine.Training, tmp_path: Path) -> None:
    for _ in range(2):
        run.save(tmp_path / "checkpoint.npz")
    whole = (tmp_path / "checkpoint.npz").read_bytes()
    (tmp_path / "checkpoint.npz").write_bytes(whole[:-9])
    assert engine.load(tmp_path).step == 12


@pytest.mark.parametrize("tokenizer", [None, "given", "a path"])
def test_a_tokenizer_may_be_handed_over(run: engine.Training, tmp_path: Path,
                                        tokenizer: str | None) -> None:
    place = old_run(run, tmp_path / "run", "gone.json")
    run.tokenizer.save(tmp_path / "t.json")
    if tokenizer is None:
        with pytest.raises(TokenizerError, match=r"gone\.json, named in its job\.json, is gone\); "
                                                 r"give it: engine\.load\(path, tokenizer=FILE"):
            engine.load(place)
    else:
        given = run.tokenizer if tokenizer == "given" else tmp_path / "t.json"
        assert engine.load(place, given).config == run.config


def test_another_tokenizer_is_refused(run: engine.Training, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="has 257 tokens and the model 300"):
        engine.load(run.save(tmp_path / "m.npz"), Tokenizer([]))


def test_a_place_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^there is no checkpoint at .*checkpoint\.npz; "
                                              r"`agent path RUN` prints where"):
        engine.load(tmp_path)


@pytest.mark.parametrize("scalars", [{}, {"config": {}}, {"config": {"n_embd": 7}, "step": 1},
                                     {"config": None, "step": 1}])
def test_a_foreign_checkpoint_is_refused(tmp_path: Path, scalars: dict[str, object]) -> None:
    checkpoint.save(tmp_path / "c.npz", {"params": np.zeros(3, np.float32)}, scalars)
    with pytest.raises(engine.UserError):
        engine.load(tmp_path / "c.npz", Tokenizer([]))


def test_a_hostile_tokenizer_within_a_checkpoint_is_refused(
        run: engine.Training, tmp_path: Path) -> None:
    scalars = run._trainer.scalars() | {"tokenizer": '{"format": "x"}'}
    checkpoint.save(tmp_path / "c.npz", run._trainer.arrays(), scalars)
    with pytest.raises(TokenizerError, match=r"^the tokenizer in .*c\.npz is not a tokenizer"):
        engine.load(tmp_path / "c.npz")


# --- the package -----------------------------------------------------------------------------


def test_every_name_the_package_offers_is_there() -> None:
    assert {name: getattr(engine, name).__name__ for name in engine.__all__} == {
        name: name for name in engine.__all__}
    assert "load" in engine.__all__


def test_a_name_it_does_not_offer_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="^module 'engine' has no attribute 'lode'$"):
        engine.lode  # type: ignore[attr-defined]  # noqa: B018


def test_a_config_is_read_without_numpy() -> None:
    program = "import sys, engine; engine.Config(n_embd=32); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


# --- what is heard while it is written -------------------------------------------------------


def test_what_is_heard_is_what_is_written(model: engine.Model) -> None:
    prompts, pieces = ["The dog", "A", ""], ["", "", ""]

    def heard(i: int, piece: str) -> None:
        assert piece
        pieces[i] += piece

    found = model.write(prompts, 30, seed=5, heard=heard)
    assert found == pieces
    assert [one + new for one, new in zip(prompts, found, strict=True)] == model.generate(
        prompts, 30, seed=5)


def test_a_text_that_met_its_stop_leaves_the_others_as_they_were(model: engine.Model) -> None:
    plain = model.write(["A", "The dog"], 30, seed=2)
    stop = plain[0][5:8]
    assert stop not in plain[1]
    assert model.write(["A", "The dog"], 30, seed=2, stop=[stop]) == [
        plain[0].partition(stop)[0], plain[1]]


def test_nothing_more_is_computed_once_every_text_met_its_stop(
        model: engine.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    next_logits = model.gpt.next_logits
    monkeypatch.setattr(model.gpt, "next_logits",
                        lambda *words: calls.append(1) or next_logits(*words))
    stop = model.write(["A"], 4, seed=2)[0][0]
    del calls[:]
    assert model.write(["A"], 500, seed=2, stop=[stop]) == [""]
    assert len(calls) <= 4
