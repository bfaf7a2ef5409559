"""Text from the checkpoint of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import engine
from agent.home import RunFolder
from agent.ledger import Run
from agent.trial import written
from agent.trial.job import Job
from engine import Model
from engine.alignment import Measure
from engine.errors import CheckpointError, Diverged, TokenizerError, UserError
from engine.model import Array
from engine.native import present
from engine.sampling import Sampling
from engine.training import checkpoint, open_tokens

Heard = Callable[[int, str], object]  # the index of a text and its next piece

_WAIT = {"queued": "it has not begun; `agent run` starts it",
         "running": "the first is written within a minute"}


@dataclass(frozen=True, slots=True)
class Speaker:
    """A run's model as its checkpoint holds it, ready to write."""

    label: str
    model: Model
    prompt: str  # what the samples of its log begin with
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Texts of one run; each begins with the prompt."""

    label: str
    step: int
    seed: int
    prompt: str
    texts: list[str]


def load(run: Run, folder: RunFolder) -> Speaker:
    """The model of a run at the point where its optimizer evaluates, with the kernels it was
    trained by where they lie here.

    UserError where there is no checkpoint, CheckpointError where it is torn or another run's.
    """
    require_model(run, folder)
    job = Job.read(folder.job)
    try:
        model = engine.load(folder.checkpoint, kernels=present(job.kernels))
    except TokenizerError as error:
        raise TokenizerError(f"the tokenizer of {run.label} is not to be had: {error}; `agent run` "
                             "with the same --corpus writes it again") from error
    if model.config.to_dict() != job.config.to_dict():
        raise CheckpointError("the checkpoint is of another configuration than the run's job.json; "
                              "its folder was mixed up with another's")
    return Speaker(run.label, model, job.sample_prompt, job)


def measure(speaker: Speaker, seed: int) -> list[Measure]:
    """What it writes held against real text (written.py).

    UserError where the text it was trained on is gone, or too short.
    """
    train, held_out = (_tokens(speaker, path) for path in (speaker.job.train_tokens,
                                                           speaker.job.valid_tokens))
    model = speaker.model
    found = written.measured(model.gpt, model.flat, model.tokenizer, train, held_out,
                             step=model.step, seed=seed)
    if not found:
        raise UserError(f"the text held out of {speaker.label}'s training has {held_out.size:,} "
                        "tokens, too few to measure by; a run on more text has more")
    return found


def _tokens(speaker: Speaker, path: str) -> Array:
    try:
        return open_tokens(Path(path), speaker.job.config.vocab_size)
    except (OSError, UserError) as error:
        raise UserError(f"the text of {speaker.label} is not to be had: {error}; `agent run` with "
                        "the same --corpus writes it again") from error


def require_model(run: Run, folder: RunFolder) -> None:
    """UserError, with what helps, where a run has left no checkpoint here."""
    if folder.checkpoint.exists() or checkpoint.previous(folder.checkpoint).exists():
        return
    remedy = _WAIT.get(run.state, "models of ideas that were not kept, and of arms of tests, are "
                                  "deleted, and others lie on the device that trained them; "
                                  "`agent sample best` has one")
    raise UserError(f"{run.label} has no checkpoint at {folder.checkpoint}: {remedy}")


def speak(speaker: Speaker, prompt: str | None, n_tokens: int, n_texts: int, seed: int,
          sampling: Sampling, stop: Sequence[str] = (), heard: Heard | None = None) -> Sample:
    """n_texts continuations of the prompt, None for the one of its log, of up to n_tokens each.

    stop   texts before the first of which a continuation ends
    heard  told the index of a text and its next piece; first the prompt, once there is one

    The same seed gives the same texts. ConfigError for settings out of range.
    """
    prompt = speaker.prompt if prompt is None else prompt
    begun: set[int] = set()

    def told(i: int, piece: str) -> None:
        if heard and i not in begun:
            heard(i, prompt)
            begun.add(i)
        if heard and piece:
            heard(i, piece)

    try:
        found = speaker.model.write([prompt] * n_texts, n_tokens, seed=seed, sampling=sampling,
                                    stop=stop, heard=told)
    except Diverged as error:
        raise UserError(f"{speaker.label} has nothing to say: {error}") from error
    for i in range(n_texts):
        told(i, "")  # of a text that ended at once
    return Sample(label=speaker.label, step=speaker.model.step, seed=seed, prompt=prompt,
                  texts=[prompt + one for one in found])
