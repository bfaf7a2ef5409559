"""From a job to the trainer that does it: on a text, or from another model with what it learns.

What a run learns from lies in its folder, written before it was queued or made here, batch by batch
in an order that a kill does not change.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.home import RunFolder
from agent.trial.events import Events
from agent.trial.job import Job
from engine.errors import CheckpointError, CorpusError
from engine.files import write_atomically
from engine.model import GPT, Flat
from engine.native import Kernels, named
from engine.text import Tokenizer
from engine.training import Texts, Trainer, checkpoint

if TYPE_CHECKING:
    from engine.alignment import Exam, Lesson, Measure, Pair

TRIES = 4  # times as many batches as are needed where each gives what it can
LEAST = 4  # things to learn from


def trainer_of(job: Job, folder: RunFolder, texts: Texts, tokenizer: Tokenizer,
               events: Events, kernels: Kernels) -> Trainer:
    """The trainer of a job; of one with a task, what it learns from is made first if need be.

    kernels  those of the job: a run keeps those it began with
    """
    n_steps = job.config.steps_for(job.budget_tokens)
    if job.task is None:
        return Trainer(job.config, job.seed, n_steps, texts, job.n_replicas, kernels)
    from engine.alignment import AlignedTrainer  # no other run pays for it

    lesson = lesson_of(job, folder, texts, tokenizer, events)
    return AlignedTrainer(job.config, job.seed, n_steps, texts, lesson, job.n_replicas, kernels)


def lesson_of(job: Job, folder: RunFolder, texts: Texts, tokenizer: Tokenizer,
              events: Events) -> "Lesson":
    """What the folder of a run holds for it to learn, and what is asked of it before and after."""
    from engine.alignment import Lesson, Pair, Recipe, qualities, split, worked

    task = job.task
    assert task is not None  # who asks has seen it
    exam: Exam | None = None
    if task.kind in ("made", "spin"):
        exam = functools.partial(
            qualities.stories_exam, judge=qualities.Judge(texts.train, tokenizer),
            tokens=texts.valid, n=task.n_asked)
    elif task.kind != "given":
        exam = functools.partial(worked.sums_exam, tokenizer=tokenizer, n=task.n_asked,
                                 most_digits=task.most_digits)
    if not folder.pairs.exists():
        _make(job, folder, texts, tokenizer, events)
    lines = folder.pairs.read_bytes().split(b"\n")
    pairs = [Pair(**json.loads(line)) for line in lines if line]
    recipe = Recipe(task.loss, task.beta, task.epsilon)
    train, held = split(pairs, folder.pairs.name) if recipe.is_pairwise else (pairs, [])
    return Lesson(start=model_at(folder.start, job), pairs=train, held=held, recipe=recipe,
                  tokenizer=tokenizer, exam=exam)


def _make(job: Job, folder: RunFolder, texts: Texts, tokenizer: Tokenizer, events: Events) -> None:
    """Let a model write what is learnt from, until it is enough; a kill takes one batch of it."""
    from engine.alignment import Pair

    task = job.task
    assert task is not None
    n_batches, batch = _batches(job, folder, texts, tokenizer)
    found: list[Any] = []
    with open(folder.making, "a+b", buffering=0) as file:
        file.seek(0)
        whole = file.read().rpartition(b"\n")[0]
        kept = [json.loads(line) for line in whole.split(b"\n") if line]
        os.truncate(file.fileno(), len(whole) + bool(whole))
        for i in range(n_batches):
            if i >= len(kept):
                kept.append([[one.prompt, one.chosen, one.rejected] for one in batch(i)])
                file.write(json.dumps(kept[i]).encode() + b"\n")
                os.fsync(file.fileno())
            found += kept[i]
            events.write("making", done=min(len(found), task.n), of=task.n, batch=i + 1)
            if len(found) >= task.n:
                break
    if len(found) < LEAST:
        raise CorpusError(f"only {len(found)} of {task.n} things to learn from could be made; "
                          "begin from a model that was trained longer")
    once = dict.fromkeys(map(tuple, found[: task.n]))  # what came twice is learnt once
    write_atomically(folder.pairs, b"".join(Pair(*one).line() for one in once))
    folder.making.unlink()


def _batches(job: Job, folder: RunFolder, texts: Texts,
             tokenizer: Tokenizer) -> tuple[int, Callable[[int], "list[Pair]"]]:
    """How many batches there are at most, and the one of a number."""
    from engine.alignment import qualities, worked

    task = job.task
    assert task is not None
    path = folder.writer if folder.writer.exists() else folder.start
    writer = (GPT(job.config, kernels=named(job.kernels)), model_at(path, job), tokenizer)
    if task.kind == "star":
        return -(-task.n // worked.AT_ONCE), functools.partial(
            worked.right_answers, *writer, task.n, job.seed)
    n_batches = TRIES * -(-task.n // qualities.BEGINNINGS)
    if task.kind == "spin":
        return n_batches, functools.partial(qualities.spin_pairs, *writer, texts.train, job.seed)
    judge = qualities.Judge(texts.train, tokenizer)
    return n_batches, functools.partial(qualities.made_pairs, *writer, judge, texts.train, job.seed)


def told_of(measure: "Measure") -> list[Any]:
    """What an event tells of a measure."""
    return [measure.name, measure.step, measure.value, measure.low, measure.high, measure.n]


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
