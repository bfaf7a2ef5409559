"""Measure step times of random configurations, with one BLAS thread a process, as in a worker:

    OPENBLAS_NUM_THREADS=1 python -m tests.reference.make_step_times

Writes step_times.json beside this file: set "shape", from which agent/search/feasible.py has its
prior, and the held-out sets "pair" (two replicas) and "single" (one), on which it is judged.
What counts is the processor time of the replica that took most: where nothing else runs that is
the step, and where other programs do, their turns are left out. Each configuration is met in
every round, and the shortest counts. Some minutes; Linux.
"""

import datetime as dt
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from agent.machine import machine
from agent.search.feasible import Vector
from engine.config import Config
from engine.training.train import Texts, Trainer
from strategies.optimizers import ALWAYS

COMMAND = "OPENBLAS_NUM_THREADS=1 python -m tests.reference.make_step_times"
OUT = Path(__file__).with_name("step_times.json")
SETS = {"shape": (1, 28, 2), "pair": (2, 28, 2), "single": (3, 14, 1)}  # seed, how many, replicas
ROUNDS, BURST_S, MIN_STEPS, WARM = 1, 0.12, 2, 1
MAX_FLOPS = 1.5e10  # of a step: a fraction of a second, so that the whole takes minutes
N_VALID = 8193  # tokens of an evaluation, as a worker measures it


def draw(rng: np.random.Generator) -> Config:
    """A legal configuration: 64d to 256d, 1 to 8 layers, windows 32 to 256, batch 2 to 32."""
    n_embd = int(rng.integers(4, 17)) * 16
    heads = [h for h in range(1, 17) if n_embd % (2 * h) == 0 and 16 <= n_embd // h <= 64]
    n_accum = int(rng.choice([1, 1, 1, 2]))
    return Config(
        n_embd=n_embd, n_layer=int(rng.integers(1, 9)), n_head=int(rng.choice(heads)),
        n_hidden=int(n_embd * rng.choice([1, 2, 8 / 3, 4])),
        vocab_size=int(rng.choice([512, 1024, 2048])), seq_len=int(rng.choice([32, 64, 128, 256])),
        batch_size=round(2 * 16 ** rng.random()), grad_accum=n_accum,
        tied=bool(rng.integers(2)), optimizer=str(rng.choice(ALWAYS)))


def busy_s(pids: list[int]) -> Vector:
    """Seconds of processor time that each process has had."""
    return np.array([int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9
                     for pid in pids])


def burst(config: Config, n_replicas: int) -> tuple[float, float]:
    """(seconds of a step, seconds to score one token) of a fresh trainer, warmed up."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, config.vocab_size, 200_000).astype(np.uint16)
    trainer = Trainer(config, 0, 10**6, Texts(tokens, tokens[:N_VALID], N_VALID), n_replicas)
    try:
        for _ in range(WARM):
            trainer.advance()
        pids, n = [os.getpid(), *trainer.team.pids], 0
        before = after = busy_s(pids)
        while n < MIN_STEPS or max(after - before) < BURST_S:
            trainer.advance()
            n, after = n + 1, busy_s(pids)
        trainer.evaluate()
        return max(after - before) / n, max(busy_s(pids) - after) / (N_VALID - 1)
    finally:
        trainer.close()
        del trainer  # it and its team hold each other
        gc.collect()


def configs(seed: int, n: int) -> list[Config]:
    """n drawn configurations whose step is not too large."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        config = draw(rng)
        if config.flops_per_token * config.tokens_per_step < MAX_FLOPS:
            found.append(config)
    return found


def measure() -> dict[str, list[dict[str, Any]]]:
    """The rows of every set."""
    cases = [(name, config, n_replicas) for name, (seed, n, n_replicas) in SETS.items()
             for config in configs(seed, n)]
    rounds = [[burst(config, n_replicas) for _, config, n_replicas in cases]
              for _ in range(ROUNDS)]
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SETS}
    for i, (name, config, n_replicas) in enumerate(cases):
        step_s, eval_token_s = (min(found[i][part] for found in rounds) for part in (0, 1))
        rows[name].append({"config": changed(config.to_dict()), "replicas": n_replicas,
                           "step_s": float(f"{step_s:.4g}"),
                           "eval_token_s": float(f"{eval_token_s:.4g}")})
    return rows


def changed(config: dict[str, Any]) -> dict[str, Any]:
    """The fields that are not the default."""
    return {k: v for k, v in config.items() if v != getattr(Config(), k)}


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        sys.exit(f"a worker computes with one BLAS thread; run {COMMAND}")
    head = {"made_by": COMMAND, "device": machine.device(),
            "made_at": dt.datetime.now(dt.UTC).date().isoformat(), "rounds": ROUNDS}
    lines = [json.dumps(k) + ": " + json.dumps(v) for k, v in head.items()]
    lines += [json.dumps(name) + ": [\n" + ",\n".join(map(json.dumps, found)) + "]"
              for name, found in measure().items()]
    OUT.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
