"""Text from the checkpoint of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.home import RunFolder
from agent.ledger import Run
from agent.trial.job import Job
from engine.config import Config
from engine.errors import CheckpointError, Diverged, TokenizerError, UserError
from engine.model import GPT, Array, Flat
from engine.sampling import Sampling, continuations
from engine.text import Tokenizer
from engine.training import checkpoint, make_optimizer, seeded

_WAIT = {"queued": "it has not begun; `agent run` starts it",
         "running": "the first is written within a minute"}


@dataclass(frozen=True, slots=True)
class Speaker:
    """A run's model as its checkpoint holds it, ready to write."""

    label: str
    step: int
    model: GPT
    params: Flat
    tokenizer: Tokenizer
    prompt: str  # what the samples of its log begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Texts of one run; each begins with the prompt."""

    label: str
    step: int
    seed: int
    prompt: str
    texts: list[str]


def load(run: Run, folder: RunFolder) -> Speaker:
    """The model of a run at the point where its optimizer evaluates.

    UserError where there is no checkpoint, CheckpointError where it is torn or another run's.
    """
    saved = checkpoint.load_newest(folder.checkpoint)
    if saved is None:
        remedy = _WAIT.get(run.state, "models that were discarded or failed are not kept, and "
                                      "others lie on the device that trained them; `agent "
                                      "runs` tells the kept ones")
        raise UserError(f"{run.label} has no checkpoint at {folder.checkpoint}: {remedy}")
    arrays, scalars = saved
    job = Job.read(folder.job)
    if not Path(job.tokenizer).exists():
        raise UserError(f"the tokenizer of {run.label} is gone ({job.tokenizer}); `agent run` with "
                        "the same --corpus writes it again")
    tokenizer = Tokenizer.load(Path(job.tokenizer))
    if tokenizer.vocab_size != job.config.vocab_size:
        raise TokenizerError(f"{job.tokenizer} has {tokenizer.vocab_size} tokens and {run.label} "
                             f"{job.config.vocab_size}; it is not the tokenizer of that run")
    return Speaker(run.label, scalars["step"], GPT(job.config),
                   evaluation_params(job.config, arrays, scalars), tokenizer, job.sample_prompt)


def evaluation_params(config: Config, arrays: Mapping[str, Array],
                      scalars: Mapping[str, Any]) -> Flat:
    """The parameters to sample with, from what Trainer.arrays and Trainer.scalars gave.

    CheckpointError where the checkpoint is of another configuration or lacks an array.
    """
    if scalars.get("config") != config.to_dict():
        raise CheckpointError("the checkpoint is of another configuration than the run's job.json; "
                              "its folder was mixed up with another's")
    params, optimizer = Flat.empty(config), make_optimizer(config)
    wanted = {f"optimizer.{name}": slot for name, slot in optimizer.slots.items()}
    for name, own in {"params": params.buffer, **wanted}.items():
        if name not in arrays or arrays[name].shape != own.shape:
            raise CheckpointError(f"the checkpoint's array '{name}' is missing or of another "
                                  "shape; delete the checkpoint and run the experiment again")
        own[...] = arrays[name]
    optimizer.restore(scalars["optimizer"])
    point = optimizer.evaluation_point(params, out=np.empty_like(params.buffer))
    return Flat.over(config, point)


def speak(speaker: Speaker, prompt: str | None, n_tokens: int, n_texts: int, seed: int,
          sampling: Sampling) -> Sample:
    """n_texts continuations of the prompt, None for the one of its log, of up to n_tokens each.

    The same seed gives the same texts. ConfigError for settings out of range.
    """
    prompt = speaker.prompt if prompt is None else prompt
    start = [speaker.tokenizer.eot_id, *speaker.tokenizer.encode(prompt)]
    try:
        found = continuations(speaker.model, speaker.params, [start] * n_texts, n_tokens,
                         seeded(seed, speaker.step), eot_id=speaker.tokenizer.eot_id,
                         sampling=sampling)
    except Diverged as error:
        raise UserError(f"{speaker.label} has nothing to say: {error}") from error
    texts = [prompt + speaker.tokenizer.decode(ids) for ids in found]
    return Sample(label=speaker.label, step=speaker.step, seed=seed, prompt=prompt, texts=texts)
