"""A ledger as years of nights leave it, made in seconds: for benchmarks and tests of speed.

Its tables and indexes are those of `Ledger.open`; the rows go in by executemany, since queueing
ten thousand runs one by one takes minutes.

    python -m tests.bench.big_ledger FOLDER
"""

import argparse
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.ledger.ledger import Ledger
from agent.ledger.records import NewRun, to_columns
from agent.machine.clock import later
from engine.config import Config
from tests.support import example_ledger as example

N_RUNS, N_METRICS, N_STUDIES = 10_000, 100, 4
STEPS_APART = 20
RUN_S = 600.0  # between two runs
BEST_NATS, WORST_NATS = 2.4, 3.4

Values = dict[str, Any]


def fill(path: Path, n_runs: int = N_RUNS, n_metrics: int = N_METRICS,
         n_studies: int = N_STUDIES) -> None:
    """Write a new ledger of so many runs, spread evenly over the studies, the last one running."""
    with Ledger.open(path) as ledger:
        example.add_corpus(ledger)
        for _ in range(n_studies):
            example.add_study(ledger)
    rows = list(_runs(n_runs, n_studies))
    with closing(sqlite3.connect(path)) as connection, connection:
        _insert(connection, "runs", rows)
        _insert(connection, "metrics", (one for run in rows for one in _metrics(run, n_metrics)))
        _insert(connection, "decisions", map(_decision, rows[:-1]))
        _insert(connection, "events", _events(rows, n_studies))
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[Values] | list[Values]
            ) -> None:
    rows = iter(rows)
    first = next(rows)
    connection.execute(f"INSERT INTO {table} ({', '.join(first)}) "
                       f"VALUES ({', '.join('?' * len(first))})", list(first.values()))
    connection.executemany(f"INSERT INTO {table} ({', '.join(first)}) "
                           f"VALUES ({', '.join('?' * len(first))})",
                           (list(row.values()) for row in rows))


def _runs(n_runs: int, n_studies: int) -> Iterator[Values]:
    """Rows of runs in the order of queuing: a baseline first in each study, then experiments."""
    new = NewRun(uid="", created_at=example.START, strategy="learning_rate", config=Config(),
                 seed=0, budget_tokens=example.BUDGET, corpus_id=1,
                 reason="a smaller step, as the curve is rough", predicted_mb=173.0,
                 device="test board, 2 cores", cores="0,1", code_version="0.1.0", replicas=2)
    columns = to_columns(new.columns())
    for number in range(1, n_runs + 1):
        begun, ended = later(example.START, RUN_S * number), later(
            example.START, RUN_S * (number + 1))
        nats = WORST_NATS - (WORST_NATS - BEST_NATS) * (number * 7919 % n_runs) / n_runs
        is_last = number == n_runs
        yield columns | {
            "id": number, "uid": f"{number:032x}", "label": f"E{number}",
            "config_hash": f"{number:016x}", "created_at": begun, "started_at": begun,
            "heartbeat_at": ended, "ended_at": None if is_last else ended,
            "state": "running" if is_last else "finished", "attempts": 1, "pid": None,
            "calibration_id": 1 + (number - 1) * n_studies // n_runs,
            "parent_id": None if number == 1 else number - 1,
            "steps": example.BUDGET // 1024, "tokens": example.BUDGET,
            "train_loss": nats - 0.05, "val_loss": None if is_last else nats,
            "val_bpb": None if is_last else nats * example.BITS_PER_NAT,
            "vs_unigram": nats / 5.78 - 1, "peak_mb": 168.4, "tok_per_s": 20_000.0,
            "duration_s": 104.0}


def _metrics(run: Values, n_metrics: int) -> Iterator[Values]:
    for i in range(1, n_metrics + 1):
        step = i * STEPS_APART
        loss = run["train_loss"] + 3.0 / i
        is_scored = i % 10 == 0
        yield {"run_id": run["id"], "step": step, "tokens": step * 1024, "train_loss": loss,
               "val_loss": loss + 0.05 if is_scored else None,
               "val_bpb": (loss + 0.05) * example.BITS_PER_NAT if is_scored else None,
               "lr": 3e-3, "grad_norm": 0.8, "tok_per_s": 20_000.0}


def _decision(run: Values) -> Values:
    is_kept = run["id"] % 50 == 0
    return {"decided_at": run["ended_at"], "run_id": run["id"], "against_id": run["parent_id"],
            "verdict": "kept" if is_kept else "discarded", "rule": "rule/1",
            "evidence": json.dumps({"bpb": run["val_bpb"], "sigma_bpb": 0.002, "n_seeds": 3}),
            "reason": "0.0232 bits/byte, against a noise of 0.0028 (3 baseline seeds)"}


def _events(rows: list[Values], n_studies: int) -> Iterator[Values]:
    """A night for each study, each beginning with its first run, and a word of the guard for it."""
    for i in range(n_studies):
        run = rows[i * len(rows) // n_studies]
        yield {"at": run["created_at"], "kind": "night", "run_id": None,
               "message": "2,048,000 tokens a run",
               "data": json.dumps({"started_at": run["created_at"], "deadline_at": None,
                                   "max_runs": None, "max_ram_mb": 3000.0,
                                   "budget_tokens": example.BUDGET})}
        yield {"at": run["created_at"], "kind": "guard", "run_id": run["id"],
               "message": "the machine has 190 MB free, under the reserve of 200 MB",
               "data": None}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.big_ledger")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    fill(folder / "ledger.db")
