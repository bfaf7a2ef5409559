"""Trains the runs of the table, one line of a file each; a file that is there is gone on with."""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from agent.machine import machine
from engine.errors import Diverged, UserError
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.tokenizer import Tokenizer
from engine.training.data import open_tokens
from engine.training.train import Shard, Texts, Trainer
from strategies.base import Limits
from tests.bench.arms.course import START, Course
from tests.bench.nights import append_night as append_line
from tests.bench.table.plan import STARTS, Planner, Slot, texts_in_turn
from tests.bench.table.rows import RUNGS, SCORES, Row, read_rows, read_texts

NAMES = ("tinystories", "builtin")
VOCAB = 1024
BUDGET = 75_000  # tokens of a run
N_SHORT, N_LONG = 12_500, 25_000  # tokens of the search shard: at a rung, at the end
RUNS_PER_PROCESS = 200  # the buffers of ended runs are not always given back at once
SLOWER = 2.0  # a run may be foreseen to take so many times as long as the slower start


@dataclass(frozen=True)
class Bench:
    """One text as the runs see it: the short text, the rest of the search shard's part, the others.
    """

    texts: Texts
    limits: Limits
    about: dict[str, Any]  # for the file

    @classmethod
    def of(cls, tokens: TokenSet, budget_tokens: int = BUDGET, n_short: int = N_SHORT,
           n_long: int = N_LONG) -> "Bench":
        course = Course(tokens, replace(START, vocab_size=tokens.vocab_size), budget_tokens, 1)
        limits = replace(course.limits(), is_inside=None, max_s=SLOWER * max(
            course.run_s(replace(start, vocab_size=tokens.vocab_size), budget_tokens)
            for start in STARTS))
        lengths = [len(token) for token in Tokenizer.load(tokens.tokenizer_path).token_bytes]
        lengths[Tokenizer.eot_id] = 0  # it parts stories and spells nothing
        n_bytes = np.array(lengths)

        def shard(split: str, start: int, stop: int) -> Shard:
            ids = open_tokens(tokens.paths[split], tokens.vocab_size)[start:stop]
            return Shard(ids, int(n_bytes[ids[1:]].sum()))

        short = shard("search", 0, n_short)
        shards = {"rest": shard("search", n_short - 1, n_long)} | {
            split: shard(split, 0, n_short) for split in ("confirm", "test")}
        about = {"sha256": tokens.corpus.sha256, "n_tokens": tokens.n_tokens,
                 "budget_tokens": budget_tokens, "n_short": n_short, "n_long": n_long,
                 "unigram_bpb": tokens.bpb(tokens.yardsticks.unigram)}
        return cls(Texts(open_tokens(tokens.paths["train"], tokens.vocab_size), short.tokens,
                         short.n_bytes, shards), limits, about)


def prepare(name: str, data: Path, cache: Path) -> TokenSet:
    """The tokens of a text, made in cache; data holds the sample of TinyStories."""
    found = (corpus.resolve(cache, "builtin") if name == "builtin" else
             corpus.resolve(cache, str(data / "tinystories-train.txt"),
                            valid=data / "tinystories-valid.txt"))
    return corpus.prepare_tokens(found, VOCAB)


# --- one run ---------------------------------------------------------------------------------


def run(texts: Texts, slot: Slot, seed: int, budget_tokens: int) -> Row:
    """Train one configuration on one seed and score it at the rungs and at the end."""
    config = slot.config
    n_steps, spent_s = config.steps_for(budget_tokens), 0.0
    trainer = Trainer(config, seed, n_steps, texts)
    row = Row(slot.text, slot.slot, slot.kind, seed, config, "diverged", 0.0)
    at, rungs = [round(part * n_steps) for part in RUNGS], list[float]()
    try:
        while trainer.step < n_steps:
            began_s = time.perf_counter()
            trainer.advance()
            spent_s += time.perf_counter() - began_s
            if trainer.step in at:
                rungs += [trainer.evaluate().bpb] * at.count(trainer.step)
        scores = {"short": trainer.evaluate().bpb} | {
            name: trainer.evaluate(name).bpb for name in texts.shards}
    except Diverged:
        return replace(row, seconds=round(spent_s, 3))
    finally:
        trainer.close()
    if not np.isfinite([*rungs, *scores.values()]).all():
        return replace(row, seconds=round(spent_s, 3))
    n_rest = texts.shards["rest"].n_bytes
    scores["search"] = (scores["short"] * texts.n_valid_bytes + scores.pop("rest") * n_rest) / (
        texts.n_valid_bytes + n_rest)
    short, search, confirm, test = (round(scores[name], 6) for name in SCORES)
    return replace(row, state="finished", seconds=round(spent_s, 3), short=short, search=search,
                   confirm=confirm, test=test, rungs=tuple(round(bpb, 6) for bpb in rungs))


_benches: dict[str, Bench] = {}  # of a worker, opened once


def _open(data: Path, cache: Path) -> None:
    _benches.update({name: Bench.of(prepare(name, data, cache)) for name in NAMES})


def _run(job: tuple[Slot, int]) -> Row:
    slot, seed = job
    return run(_benches[slot.text].texts, slot, seed, BUDGET)


# --- all of them -----------------------------------------------------------------------------


def rounds(benches: dict[str, Bench], share: float, seed: int,
           rows: list[Row]) -> Iterator[list[tuple[Slot, int]]]:
    """What is left to run of each round; rows must have grown by it before the next is asked."""
    planners = {name: Planner(name, bench.limits, seed) for name, bench in benches.items()}
    for name, number in texts_in_turn(share, list(benches)):
        done = {row.key: row.config for row in rows}
        wanted = [(slot, run_seed) for slot in planners[name].round(number, rows)
                  for run_seed in slot.seeds]
        for slot, run_seed in wanted:
            had = done.get((name, slot.slot, run_seed), slot.config)
            if had.hash != slot.config.hash:
                raise UserError(f"slot {slot.slot} of {name} is {had.describe()} and would be "
                                f"{slot.config.describe()} by this version; go on with the "
                                "version that began this file, or with another --out")
        yield [(slot, run_seed) for slot, run_seed in wanted
               if (name, slot.slot, run_seed) not in done]


def open_benches(options: argparse.Namespace) -> dict[str, Bench]:
    """Both texts; UserError where the file of runs was made of others."""
    options.cache = options.cache or options.out.parent / "texts"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    benches = {name: Bench.of(prepare(name, options.data, options.cache)) for name in NAMES}
    _check_texts(options.out, {name: bench.about for name, bench in benches.items()})
    return benches


def workers(options: argparse.Namespace) -> Pool:
    os.environ.update(machine.worker_environment())  # they are started anew: one BLAS thread
    # Not a ProcessPoolExecutor, which can wait for ever once a worker has had its tasks
    # (python/cpython#115634).
    return multiprocessing.get_context("spawn").Pool(
        options.jobs, _open, (options.data, options.cache), maxtasksperchild=RUNS_PER_PROCESS)


def make(options: argparse.Namespace) -> int:
    benches, rows = open_benches(options), read_rows(options.out)
    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    with (workers(options) as pool,
          Progress("{task.description}", *columns, console=console,
                   disable=not console.is_terminal) as bars):
        task = bars.add_task("runs", total=options.n, completed=len(rows))
        for jobs in rounds(benches, options.share, options.seed, rows):
            for row in in_pool(pool, jobs[:max(0, options.n - len(rows))]):
                append_line(options.out, row.line())
                rows.append(row)
                bars.update(task, completed=len(rows))
            if len(rows) >= options.n:
                break
    sys.stdout.write(told(rows) + "\n")
    return 0


def in_pool(pool: Pool, jobs: Sequence[tuple[Slot, int]]) -> Iterator[Row]:
    return pool.imap_unordered(_run, jobs)


def _check_texts(path: Path, about: dict[str, Any]) -> None:
    """Write down of which texts a new file is; UserError for a file of others."""
    known = read_texts(path)
    if not known:
        append_line(path, {"texts": about, "code": machine.code_version(),
                           "device": machine.device()})
    elif known != about:
        raise UserError(f"{path} was made of other texts or budgets; give another --out")


def told(rows: Sequence[Row]) -> str:
    lines = []
    for name in NAMES:
        its = [row for row in rows if row.text == name]
        if its:
            lines.append(f"{name}: {len(its):,} runs of {len({row.slot for row in its}):,} "
                         f"configurations, {sum(row.state == 'diverged' for row in its)} diverged, "
                         f"{statistics.fmean(row.seconds for row in its):.2f} s of training each")
    return "\n".join(lines)
