"""A person's own idea: from what they typed to a run that the study will judge.

Everything is checked here, where a person still listens: fields, size, memory, duplicates.
"""

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

from agent.home import Home
from agent.ledger import WORDS, Calibration, Queries, Run, find_run, study_of
from agent.machine import machine
from agent.night.inbox import Idea, waiting
from agent.search import MAX_PARAMS, footprint, study
from agent.words import cut
from engine.config import Config
from engine.errors import UserError
from strategies.base import Limits, describe_changes, why_not

SHOWN = 100  # characters of a name that leads nowhere
MAX_BYTES = 65_536  # of a JSON idea
MAX_VOCAB = Limits().max_vocab


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    texts: Sequence[str]  # key=value pairs, or one path to a JSON file, or -
    seed: int | None  # None: the head's
    parent: str | None  # the run it departs from; None: the head
    max_ram_mb: float
    study: int | None = None  # its number; None: the one last worked on


def idea_of(ledger: Queries, home: Home, wanted: Wanted, now: str, stdin: TextIO) -> Idea:
    """The idea, checked; UserError with one sentence where the study could not run it."""
    found = study_of(ledger, wanted.study)
    head = ledger.incumbent(found.id)
    parent = head if wanted.parent is None else find_run(ledger, wanted.parent, in_study(wanted))
    if parent and parent.source == "published":
        raise UserError(f"{parent.label} is a published row, which tells only a part of its "
                        "configuration; name a run that was measured here")
    base = Config.from_dict(parent.config if parent else found.config)
    config = changed(base, wanted.texts, stdin)
    seed = wanted.seed
    if seed is None:  # judged against the head, so on its seed
        seed = head.seed if head and head.seed is not None else (found.seeds or [0])[0]
    idea = Idea(
        uid=uuid.uuid4().hex, created_at=now, config=config, seed=seed, calibration_id=found.id,
        parent_id=parent.id if parent else None,
        replicas=(head and head.replicas) or machine.n_cores(),
        reason=f"{describe_changes(base, config) or 'another seed'}: a person's idea")
    _require_room(ledger, idea, found, wanted.max_ram_mb)
    _require_new(ledger, idea, found, waiting(home))
    return idea


def in_study(wanted: Wanted) -> int | None:
    """Where best, head and baseline are looked for; any other run may be of another study."""
    return wanted.study if (wanted.parent or "").lower() in WORDS else None


def changed(base: Config, texts: Sequence[str], stdin: TextIO) -> Config:
    """The base with what was asked for; UserError where that cannot be read or is not legal."""
    if len(texts) == 1 and "=" not in texts[0]:
        return Config.from_dict(base.to_dict() | parse(_text(texts[0], stdin)))
    return base.assign(texts)


def parse(text: str) -> dict[str, Any]:
    """Fields and values of one JSON object; UserError where it is anything else."""
    try:
        values = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError:
        raise UserError("the idea is nested too deeply; it is one object, such as "
                        '{"lr": 0.001}') from None
    except ValueError as error:
        raise UserError(f"the idea is no JSON: {error}") from error
    if not isinstance(values, dict) or not values:
        raise UserError('the idea must be one JSON object of fields to change, such as '
                        '{"lr": 0.001}')
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(name for name in values if sum(name == one for one, _ in pairs) > 1)
        raise UserError(f"the idea gives {twice} twice; give each field once")
    return values


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number there")


def _text(name: str, stdin: TextIO) -> str:
    """What is in a file, or on standard input for -."""
    try:
        if name == "-":
            text = stdin.read(MAX_BYTES + 1)
        else:
            with open(os.path.expanduser(name), encoding="utf-8-sig") as file:
                text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # of a name with a NUL, too
        why = error.strerror if isinstance(error, OSError) else (
            "it is not UTF-8 text" if isinstance(error, UnicodeError) else str(error))
        raise UserError(f"{cut(name, SHOWN)} cannot be read: {why}; give key=value pairs such as "
                        "lr=1e-3, a JSON file, or - for standard input") from error
    if len(text) > MAX_BYTES:
        raise UserError(f"{name} is over {MAX_BYTES:,} characters long; an idea has a few fields")
    return text


def _require_room(ledger: Queries, idea: Idea, found: Calibration, max_ram_mb: float) -> None:
    corpus = ledger.corpus(found.corpus_id)
    obstacle = why_not(idea.config, Limits(
        budget_tokens=found.budget_tokens, n_replicas=idea.replicas, max_params=MAX_PARAMS,
        max_mb=max_ram_mb - footprint.beside_mb(ledger, corpus), max_vocab=MAX_VOCAB,
        shuffle_mb=footprint.shuffle_mb(corpus.n_stories_train, idea.replicas),
        min_steps=study.MIN_STEPS))
    if obstacle:
        is_long = idea.config.steps_for(found.budget_tokens) < study.MIN_STEPS
        remedy = "; a smaller batch_size, grad_accum or seq_len makes more steps" if is_long else ""
        if idea.config.n_params > MAX_PARAMS:
            remedy = ("; what is not given is as in the run it starts from, the head: give a "
                      "smaller n_embd or n_layer, too, or --from baseline")
        raise UserError(f"{idea.config.describe()} does not fit this study: {obstacle}{remedy}")


def _require_new(ledger: Queries, idea: Idea, found: Calibration,
                 others: Sequence[Idea]) -> None:
    config_hash = idea.config.hash
    for other in others:
        if (other.config.hash, other.seed, other.calibration_id) == (
                config_hash, idea.seed, found.id):
            raise UserError(f"{idea.config.describe()} with seed {idea.seed} already waits in the "
                            "inbox; `agent run` takes it up")
    for run in ledger.comparable_runs(found):
        if (run.config_hash, run.seed) == (config_hash, idea.seed) and run.state not in (
                "killed", "failed", "lost"):
            raise UserError(f"{_is(run)}; change a field, or the seed with --seed")


def _is(run: Run) -> str:
    score = "" if run.val_bpb is None else f", {run.val_bpb:.4f} bits/byte"
    return (f"{run.label} ({run.state}{score}) has this configuration, seed {run.seed} and "
            f"{run.budget_tokens or 0:,} tokens")
