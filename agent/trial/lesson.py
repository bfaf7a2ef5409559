"""From a job to the trainer that does it: on a text, or from another model with what it learns.

What a run learns from lies in its folder, written before it was queued or made here, line by line
in an order that a kill does not change.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from agent.home import RunFolder
from agent.trial.events import Events
from agent.trial.job import Job
from engine.errors import CheckpointError
from engine.model import Flat
from engine.text import Tokenizer
from engine.training import Texts, Trainer, checkpoint

if TYPE_CHECKING:
    from engine.alignment import Lesson


def trainer_of(job: Job, folder: RunFolder, texts: Texts, tokenizer: Tokenizer,
               events: Events) -> Trainer:
    """The trainer of a job; of one with a task, what it learns from is made first if need be."""
    n_steps = job.config.steps_for(job.budget_tokens)
    if job.task is None:
        return Trainer(job.config, job.seed, n_steps, texts, job.n_replicas)
    from engine.alignment import AlignedTrainer  # no other run pays for it

    lesson = lesson_of(job, folder, tokenizer)
    return AlignedTrainer(job.config, job.seed, n_steps, texts, lesson, job.n_replicas)


def lesson_of(job: Job, folder: RunFolder, tokenizer: Tokenizer) -> "Lesson":
    """What the folder of a run holds for it to learn."""
    from engine.alignment import Lesson, Recipe, read_pairs, split

    task = job.task
    assert task is not None  # who asks has seen it
    recipe = Recipe(task.loss, task.beta, task.epsilon)
    pairs = read_pairs(folder.pairs.read_bytes(), folder.pairs.name).pairs
    train, held = split(pairs, folder.pairs.name)
    return Lesson(start=model_at(folder.start, job), pairs=train, held=held, recipe=recipe,
                  tokenizer=tokenizer)


def model_at(path: Path, job: Job) -> Flat:
    """The parameters that were kept in a run's folder; CheckpointError where they do not fit."""
    arrays, scalars = checkpoint.load(path)
    found = arrays.get("params")
    if found is None or found.shape != (job.config.n_params,) or (
            hashlib.sha256(found.tobytes()).hexdigest() != scalars.get("sha256")):
        raise CheckpointError(f"{path} is not the model this run was to begin from; give the same "
                              "`agent improve` again")
    return Flat.over(job.config, found)


def keep_model(path: Path, params: Flat) -> None:
    """Write parameters where model_at finds them."""
    checkpoint.save(path, {"params": params.buffer},
                    {"sha256": hashlib.sha256(params.buffer.tobytes()).hexdigest()})
