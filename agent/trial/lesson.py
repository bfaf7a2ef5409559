"""From a job to the trainer that does it: on a text, or from another model with what it learns.

What a run learns from lies in its folder, written before it was queued or made here, batch by batch
in an order that a kill does not change.
"""

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

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
    from engine.alignment import Lesson, Pair

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
    from engine.alignment import Lesson, Pair, Recipe, Writer, qualities, split, worked

    task, exam = job.task, None
    assert task is not None  # who asks has seen it
    start = model_at(folder.start, job)
    writes = model_at(folder.writer, job) if folder.writer.exists() else start
    writer = Writer(GPT(job.config, kernels=named(job.kernels)), writes, tokenizer)
    make: Callable[[int], list[Pair]] | None = None  # the batch of a number
    n_batches = TRIES * -(-task.n // qualities.BEGINNINGS)
    if task.kind in ("star", "plain"):
        exam = functools.partial(worked.sums_exam, n=task.n_asked)
        make = functools.partial(worked.right_answers, writer, task.n, job.seed)
        n_batches = -(-task.n // worked.AT_ONCE)
    elif task.kind != "given":
        judge = qualities.Judge(texts.train, tokenizer)
        exam = functools.partial(qualities.stories_exam, judge=judge, tokens=texts.valid,
                                 n=task.n_asked)
        make = functools.partial(qualities.spin_pairs, writer, texts.train, job.seed)
        if task.kind == "made":
            make = functools.partial(qualities.made_pairs, writer, judge, texts.train, job.seed)
    if not folder.pairs.exists() and make is not None:
        _make(make, n_batches, task.n, folder, events)
    pairs = [Pair(**json.loads(line)) for line in folder.pairs.read_bytes().splitlines()]
    recipe = Recipe(task.loss, task.beta)
    train, held = split(pairs, folder.pairs.name) if recipe.is_pairwise else (pairs, [])
    return Lesson(start=start, pairs=train, held=held, recipe=recipe, tokenizer=tokenizer,
                  exam=exam)


def _make(batch: "Callable[[int], list[Pair]]", n_batches: int, n: int, folder: RunFolder,
          events: Events) -> None:
    """Let a model write n things to learn from, or what it can; a kill takes one batch of it."""
    found: list[str] = []
    with open(folder.making, "a+b", buffering=0) as file:
        file.seek(0)
        whole = file.read().rpartition(b"\n")[0]
        kept = [json.loads(line) for line in whole.split(b"\n") if line]
        os.truncate(file.fileno(), len(whole) + bool(whole))
        for i in range(n_batches):
            if len(found) >= n:
                break
            if i >= len(kept):
                kept.append([one.line().decode() for one in batch(i)])
                file.write(json.dumps(kept[i]).encode() + b"\n")
                os.fsync(file.fileno())
            found += kept[i]
            events.write("making", done=min(len(found), n), of=n, batch=i + 1)
    if len(found) < LEAST:
        raise CorpusError(f"only {len(found)} of {n} things to learn from could be made; begin "
                          "from a model that was trained longer")
    once = dict.fromkeys(found[:n])  # what came twice is learnt once
    write_atomically(folder.pairs, "".join(once).encode())
    folder.making.unlink()


def model_at(path: Path, job: Job) -> Flat:
    """The parameters that were kept in a run's folder; CheckpointError where they do not fit.

    The file's own checksum tells of what was torn.
    """
    found = checkpoint.load(path)[0].get("params")
    if found is None or found.shape != (job.config.n_params,):
        raise CheckpointError(f"{path} is not the model this run was to begin from; give the same "
                              "`agent improve` again")
    return Flat.over(job.config, found)
