"""A run that begins where a shorter one of its row began to decay: strategies/trunk.py says why.

The daemon names the state of the longest such run, the worker takes it up where it is whole, and
begins anew where it is not: the result is the same, only later.
"""

import dataclasses
from pathlib import Path
from typing import Any

from agent.home import Home, RunFolder
from agent.ledger import Queries, Run, grid_cells, is_pair
from agent.machine import machine
from agent.trial.job import Job
from engine.config import Config
from engine.errors import CheckpointError
from engine.training import Trainer, checkpoint
from strategies.trunk import branch_step, shares


def on_trunk(ledger: Queries, home: Home, run: Run, job: Job) -> Job:
    """The job of a run, with what it keeps and takes where it is a branch."""
    cells = grid_cells(ledger)
    cell = cells.get(run.id)
    if cell is None or cell.purpose != "trunk":
        return job
    found: list[tuple[int, Path]] = []
    for other in ledger.runs("finished"):
        its, path = cells.get(other.id), home.run(other.uid).trunk
        config, tokens = Config.from_dict(other.config), other.budget_tokens or 0
        if (its and its.purpose == "trunk" and other.device == machine.device()
                and is_pair(other, job.kernels)
                and (other.corpus_id, other.seed, other.replicas) == (
                    run.corpus_id, run.seed, run.replicas)
                and shares(config, tokens, job.config, job.budget_tokens) and path.is_file()):
            found.append((branch_step(config, tokens), path))
    return dataclasses.replace(
        job, trunk_step=branch_step(job.config, job.budget_tokens) or None,
        trunk=str(max(found)[1]) if found else None)


def taken(job: Job, n_steps: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The state that a run begins from, as a checkpoint of its own; None: from its first step."""
    if job.trunk is None:
        return None
    try:
        arrays, scalars = checkpoint.load(Path(job.trunk))
    except CheckpointError:
        return None
    before = Config.from_dict(scalars["config"])
    if not shares(before, scalars["n_steps"] * before.tokens_per_step, job.config,
                  job.budget_tokens) or scalars["seed"] != job.seed:
        return None
    own = {"config": job.config.to_dict(), "n_steps": n_steps,
           "timing": {"elapsed_s": 0.0, "train_s": 0.0, "n": 0}}
    return arrays, scalars | own


def keep(folder: RunFolder, trainer: Trainer) -> None:
    """Save the state where the decay begins; done again after a kill it is the same."""
    if not folder.trunk.exists():
        checkpoint.save(folder.trunk, trainer.arrays(), trainer.scalars())


def drop_taken(folder: RunFolder, job: Job) -> None:
    """Free what a shorter run kept, once this one has kept more."""
    if job.trunk and folder.trunk.is_file():
        Path(job.trunk).unlink(missing_ok=True)
