"""How fast a training step is, and what it could be at best on this machine.

    python -m engine.bench [--peer torch] [--replicas N] [--rounds N] [--json]

For every configuration: the median step, the floor (the matrix products of that step alone, spread
perfectly over the same processes), and, with a peer, PyTorch's step measured in turns with ours.
Measure on a machine that does nothing else.
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config
from engine.errors import UserError
from engine.layers import attention_blocks
from engine.parallel import Team, parts
from engine.train import Texts, Trainer
from engine.workspace import Array

CONFIGS = (
    Config(n_embd=64, n_layer=2, n_head=2, batch_size=16, seq_len=64),
    Config(n_embd=128, n_layer=4, n_head=4, batch_size=4, seq_len=128),
    Config(n_embd=192, n_layer=6, n_head=6, batch_size=8, seq_len=128),
    Config(n_embd=256, n_layer=8, n_head=8, batch_size=8, seq_len=256),
)
STEPS = 10  # in a turn
SETTLE_S = 0.5  # after a turn: PyTorch's threads spin for a while before they sleep
PEER = Path(__file__).parent.parent / "tests" / "bench" / "torch_peer.py"


class Ours:
    """A trainer on random tokens, stepping when asked."""

    def __init__(self, config: Config, n_replicas: int) -> None:
        rng = np.random.default_rng(0)
        tokens = rng.integers(0, config.vocab_size, 200_000).astype(np.uint16)
        self.trainer = Trainer(config, 0, 10**6, Texts(tokens, tokens[:1000], 1000), n_replicas)

    def steps(self, n: int) -> list[float]:
        """Seconds of each of n steps."""
        return [_seconds(self.trainer.advance) for _ in range(n)]

    def resident_mb(self) -> float:
        """Memory of all replicas, shared pages counted once: every buffer is there after a step.

        Program files are shared with whatever else runs; those of the leader stand for all.
        """
        pids = [os.getpid(), *self.trainer.team.pids]
        return _entry_mb("status", "RssFile", pids[0]) + sum(
            _entry_mb("smaps_rollup", key, pid) for key in ("Pss_Anon", "Pss_Shmem")
            for pid in pids)

    def close(self) -> None:
        self.trainer.close()


class Peer:
    """A PyTorch process, stepping when asked."""

    def __init__(self, config: Config, mode: str, folder: Path) -> None:
        shape = folder / "shape.json"
        shape.write_text(json.dumps(config.to_dict()))
        environment = {name: value for name, value in os.environ.items()
                       if not name.endswith("NUM_THREADS")}  # all cores for it, too
        self.process = subprocess.Popen([sys.executable, str(PEER), mode, str(shape)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)

    def steps(self, n: int) -> list[float]:
        """Seconds of each of n steps."""
        assert self.process.stdin is not None  # both are pipes
        with contextlib.suppress(BrokenPipeError):  # a peer that is gone leaves no answer either
            self.process.stdin.write(f"{n}\n")
            self.process.stdin.flush()
        found: list[float] = json.loads(self._answer())
        time.sleep(SETTLE_S)
        return found

    def close(self) -> float:
        """End, and tell its peak memory in MB."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        with self.process:
            return float(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise UserError(f"the PyTorch peer ended with status {self.process.wait()}; is torch "
                            "installed? python -m pip install torch")
        return line


def measure(config: Config, n_replicas: int, rounds: int, peer: str | None) -> dict[str, Any]:
    """One row of the benchmark; contenders take turns of STEPS steps."""
    with tempfile.TemporaryDirectory() as folder:
        peers = {mode: Peer(config, mode, Path(folder)) for mode in ("eager", "compile") if peer}
        ours = Ours(config, n_replicas)
        contenders: dict[str, Ours | Peer] = {**peers, "ours": ours}
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for one in contenders.values():
            one.steps(5)  # warm up, compile
        peak_mb = ours.resident_mb()  # before the floor's own matrices
        floor = Floor(config, n_replicas)
        floors = []
        for _ in range(rounds):
            for name, one in contenders.items():
                times[name] += one.steps(STEPS)
            floors += floor.steps(STEPS)
        floor.close()
        ours.close()  # before the peers: its replicas hold copies of their pipes
        peer_mb = [one.close() for one in peers.values()]
    ms = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    floor_ms = statistics.median(floors) * 1e3
    gflop = config.flops_per_token * config.tokens_per_step / 1e9
    row = {"config": f"{config.n_embd}d/{config.n_layer}L/{config.n_head}H, "
                     f"{config.batch_size} × {config.seq_len}",
           "ms_per_step": ms["ours"], "tok_per_s": config.tokens_per_step / ms["ours"] * 1e3,
           "gflops": gflop / ms["ours"] * 1e3, "floor_ms": floor_ms,
           "floor_per_step": floor_ms / ms["ours"], "peak_mb": peak_mb,
           "replicas": n_replicas, "steps": len(times["ours"])}
    for mode in peers:
        row[f"ratio_{mode}"] = ms[mode] / ms["ours"]
        row[f"ms_{mode}"] = ms[mode]
    if peers:
        row["peer_peak_mb"] = min(peer_mb)
    return row


class Floor:
    """The matrix products of one step and nothing else, on as many processes as the step.

    Products of one shape share their operands, so that nothing is read cold that a step has warm.
    """

    def __init__(self, config: Config, n_replicas: int) -> None:
        rng = np.random.default_rng(0)
        operands: dict[tuple[int, int, int, int], tuple[Array, Array, Array]] = {}
        self.products: list[list[tuple[Array, Array, Array]]] = []
        for rows in parts(config.batch_size, n_replicas):
            shapes = step_products(config, rows.stop - rows.start)
            for shape in shapes:
                if shape not in operands:
                    operands[shape] = _operands(rng, *shape)
            self.products.append([operands[shape] for shape in shapes])
        self.team = Team(n_replicas, [self._all])

    def _all(self, rank: int) -> None:
        for a, b, out in self.products[rank]:
            np.matmul(a, b, out=out)

    def steps(self, n: int) -> list[float]:
        """Seconds of each of n times all products."""
        return [_seconds(lambda: self.team.run(0)) for _ in range(n)]

    def close(self) -> None:
        self.team.close()


def step_products(config: Config, n_batch: int) -> list[tuple[int, int, int, int]]:
    """(how many, rows, inner, columns) of every matrix product of a step on n_batch sequences.

    Each weight W (m, k) with n tokens takes three: forward, by the weight, by the input. Causal
    attention takes six a block of queries; making its scores again for backward is not needed
    by the mathematics, so it is not in the floor.
    """
    n, c, f, d = n_batch * config.seq_len, config.n_embd, config.hidden, config.head_size
    found = []
    weights = [(3 * c, c), (c, c), (2 * f, c), (f, c)] * config.n_layer
    for m, k in [*weights, (config.vocab_size, c)]:
        found += [(1, m, k, n), (1, m, n, k), (1, n, m, k)]
    for rows, times in attention_blocks(n_batch, config.n_head, config.seq_len, 0) * config.n_layer:
        many, queries = config.n_head * (rows.stop - rows.start), times.stop - times.start
        keys = times.stop
        found += [(many, keys, d, queries), (many, d, keys, queries), (many, d, queries, keys),
                  (many, queries, d, keys), (many, queries, keys, d), (many, d, queries, keys)]
    return found


def _operands(rng: np.random.Generator, many: int, m: int, k: int,
              n: int) -> tuple[Array, Array, Array]:
    lead = () if many == 1 else (many,)
    a, b = (rng.standard_normal((*lead, *shape), dtype=np.float32) for shape in ((m, k), (k, n)))
    return a, b, np.empty((*lead, m, n), np.float32)


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _entry_mb(name: str, key: str, pid: int) -> float:
    """A number of a process's status or smaps_rollup, in MB."""
    text = Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")
    return int(text.partition(f"{key}:")[2].split()[0]) * 1024 / 1e6


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for a person, as Markdown."""
    heads = {"config": "configuration", "ms_per_step": "ms/step", "tok_per_s": "tok/s",
             "gflops": "GFLOP/s", "floor_ms": "floor ms", "floor_per_step": "floor/step",
             "peak_mb": "peak MB", "ratio_eager": "× eager", "ratio_compile": "× compile",
             "peer_peak_mb": "peer MB"}
    heads = {key: head for key, head in heads.items() if key in rows[0]}
    lines = ["| " + " | ".join(heads.values()) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = [_cell(row[key]) for key in heads]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(value))) if value < 100 else 0
    return f"{value:,.{min(digits, 2)}f}"


def main(arguments: Sequence[str]) -> int:
    """Measure every configuration, print a table or a JSON list."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="python -m engine.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=["torch"], help="measure this beside ours, in turns")
    parser.add_argument("--replicas", type=int, default=cores, choices=range(1, 65), metavar="N",
                        help="processes (default: cores)")
    parser.add_argument("--rounds", type=int, default=4, choices=range(1, 1001), metavar="N",
                        help=f"turns of {STEPS} steps each")
    parser.add_argument("--only", type=int, choices=range(len(CONFIGS)), metavar="I",
                        help="one configuration, by its number from 0")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args(arguments)
    configs = CONFIGS if options.only is None else CONFIGS[options.only : options.only + 1]
    try:
        rows = [measure(config, options.replicas, options.rounds, options.peer)
                for config in configs]
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(rows, indent=1) + "\n" if options.json else table(rows))
    return 0


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # it is read once, when numpy is loaded
        os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        os.execv(sys.executable, [sys.executable, "-m", "engine.bench", *sys.argv[1:]])
    sys.exit(main(sys.argv[1:]))
