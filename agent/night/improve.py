"""`agent improve`: a run that goes on from another's model, through the path every run takes.

All it needs is copied into its folder before it is queued: the model, and what it learns from. The
same command finds the same run again, waiting or done, so that a kill at any instant loses nothing.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.ledger import Run, corpus_of, same_improvement
from agent.night import launch
from agent.night.choice import what_of
from agent.night.launch import Desk
from agent.night.needs import require_memory, require_right
from agent.night.night import Night
from agent.night.recover import recover
from agent.night.wish import Wish
from agent.search import Plan, study
from agent.trial import Job, Source, Task, end_orphans, sampler
from engine.alignment import NATS, Pair, Recipe
from engine.config import Config
from engine.door import Model
from engine.errors import UserError
from engine.files import write_atomically
from engine.text import TokenSet
from engine.training import checkpoint

# Of the rate a model was trained with: by preferences, which pull it away from its text, and by
# examples, which are a text.
LR_SHARES = {True: 0.03, False: 0.3}
WARMUP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Improving:
    """What was asked for."""

    by: str = "dpo"  # or spin, star
    recipe: Recipe
    pairs: Sequence[Pair] = ()
    name: str = "the pairs"  # of the file they came from
    settings: Sequence[str] = ()  # key=value
    n_epochs: float = 1.0
    n: int = 500  # pairs or problems that a round makes
    n_rounds: int = 1
    loops: bool = False  # rounds are kept only where they are better
    seed: int = 0
    n_replicas: int = 1  # processes of a run; 0: as many as there are cores to compute on
    max_ram_mb: float = 3000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One run to make: from which model it begins, and what it learns from."""

    parent: Run
    start: Model
    task: Task
    n_train: int  # pairs or examples an epoch has
    reason: str
    lines: bytes | None = None  # what it learns from; None: the worker lets a model write it
    writer: Model | None = None  # where it is another than the start


def model_of(at: Desk, run: Run) -> Model:
    """The model of a run at the point where its optimizer evaluates."""
    return sampler.load(run, at.home.run(run.uid)).model


def make_round(at: Desk, asked: Improving, one: Round) -> Run:
    """Do one run to its end, or go on with it; the one that did exactly this where there is one."""
    config = config_of(one.start.config, asked, is_pairwise=one.task.loss != NATS,
                       is_gentle=one.parent.strategy == "improve")
    night, tokens = _night(at, one, asked, config)
    per_step = config.batch_size * config.grad_accum // (1 if one.task.loss == NATS else 2)
    n_steps = max(1, math.ceil(asked.n_epochs * one.n_train / per_step))
    assert one.parent.corpus_id is not None  # else there was no night
    new = replace(study.new_run(
        at.ledger, config, asked.seed, n_steps * config.tokens_per_step, one.parent.corpus_id,
        at.clock.stamp(), study.Origin("improve", one.reason, parent_id=one.parent.id),
        asked.n_replicas), recipe=_recipe(one))
    run = same_improvement(at.ledger, new)
    if run is None:
        # Beside what any run takes: the start, and eight bytes a token of what is no copy of it.
        more_mb = 4e-6 * config.n_params + 8e-6 * tokens.n_tokens["train"]
        new = replace(new, predicted_mb=(new.predicted_mb or 0.0) + more_mb)
        _fill_folder(at, new.uid, one, Job(
            config=config, seed=asked.seed, budget_tokens=new.budget_tokens,
            train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
            n_valid_bytes=tokens.n_bytes["search"], tokenizer=str(tokens.tokenizer_path),
            n_replicas=asked.n_replicas, task=one.task))
        run = at.ledger.queue(new)
    elif run.state in ("finished", "diverged"):
        at.observer.say(f"{run.label} did exactly this before: {run.reason}")
        return run
    night.only = run.id
    launch._tick_through(at, night)
    return at.ledger.run(run.id)


def config_of(base: Config, asked: Improving, *, is_pairwise: bool, is_gentle: bool) -> Config:
    """How the model is trained on: gently, and with all that was asked for.

    is_gentle  whether the model was improved before, so that its rate is such a one already

    UserError where a setting would make it another network.
    """
    gentle = base if is_gentle else replace(
        base, optimizer="adamw", lr=LR_SHARES[is_pairwise] * base.lr, schedule="cosine",
        warmup_frac=WARMUP, weight_decay=0.0)
    config = gentle.assign(asked.settings)
    if config.shapes() != base.shapes() or (config.seq_len, config.n_head, config.rope_base) != (
            base.seq_len, base.n_head, base.rope_base):
        changed = ", ".join(name for name in config.difference(gentle))
        raise UserError(f"{changed} would make it another network than the one it goes on from; "
                        "give fields of its training, such as lr or batch_size")
    even = config.batch_size + config.batch_size % 2  # texts in a pass, two of each pair
    return replace(config, batch_size=even) if is_pairwise else config


def _recipe(one: Round) -> str:
    """What decides the result beside configuration, seed and text, as one text."""
    digests = [hashlib.sha256(data).hexdigest() for data in (
        one.start.flat.buffer.tobytes(), one.lines or b"",
        b"" if one.writer is None else one.writer.flat.buffer.tobytes())]
    return json.dumps([dataclasses.asdict(one.task), digests], sort_keys=True)


def _night(at: Desk, one: Round, asked: Improving, config: Config) -> tuple[Night, TokenSet]:
    """A night for one run on the text that the model was trained on, and that in tokens."""
    corpus = corpus_of(at.ledger, one.parent)
    if corpus is None:
        raise UserError(f"of {one.parent.label} no text is known, as it was not trained here; "
                        "improve a run that was, so that its loss on real text can be told")
    source = Source(str(at.home.data), what_of(corpus), sha256=corpus.text_sha256)
    wish = Wish(source, asked.max_ram_mb, seed=asked.seed, n_replicas=asked.n_replicas)
    require_memory(config, wish)
    night = at.night(Plan(asked.max_ram_mb, asked.n_replicas, asked.seed, max_runs=1), source)
    tokens = night.prepare(config.vocab_size)
    if tokens.tokenizer_sha256 != one.start.tokenizer.sha256:
        raise UserError(f"the tokenizer of {one.parent.label} is another than that of its text; "
                        "train it again with this version")
    recover(night, end_orphans)
    require_right(at.prove, config, wish)
    return night, tokens


def _fill_folder(at: Desk, uid: str, one: Round, job: Job) -> None:
    """All that the worker needs, the job last; StorageError where the disk is full."""
    folder = at.home.run(uid)
    folder.root.mkdir(parents=True, exist_ok=True)
    for path, model in ((folder.start, one.start), (folder.writer, one.writer)):
        if model is not None:
            checkpoint.save(path, {"params": model.flat.buffer}, {})
    if one.lines is not None:
        write_atomically(folder.pairs, one.lines)
    job.write(folder.job)


