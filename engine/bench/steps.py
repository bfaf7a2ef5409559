"""A training step of ours, its floor, and PyTorch's step measured in turns with it."""

import contextlib
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.bench.clock import Peer, seconds
from engine.bench.floor import Floor
from engine.config import Config
from engine.native import NUMPY, Kernels, usual
from engine.training import Texts, Trainer

CONFIGS = (
    Config(n_embd=64, n_layer=2, n_head=2, batch_size=16, seq_len=64),
    Config(n_embd=128, n_layer=4, n_head=4, batch_size=4, seq_len=128),
    Config(n_embd=192, n_layer=6, n_head=6, batch_size=8, seq_len=128),
    Config(n_embd=256, n_layer=8, n_head=8, batch_size=8, seq_len=256),
    Config(n_embd=160, n_layer=5, n_head=5, batch_size=6, seq_len=96),
    Config(n_embd=128, n_layer=4, n_head=4, batch_size=2, seq_len=512),
)
STEPS = 10  # in a turn
MODES = ("eager", "compile")
SETTLE_S = 0.5  # after a turn: PyTorch's threads spin for a while before they sleep


class Ours:
    """A trainer on random tokens, stepping when asked."""

    def __init__(self, config: Config, n_replicas: int, kernels: Kernels) -> None:
        rng = np.random.default_rng(0)
        tokens = rng.integers(0, config.vocab_size, 200_000).astype(np.uint16)
        self.trainer = Trainer(config, 0, 10**6, Texts(tokens, tokens[:1000], 1000), n_replicas,
                               kernels)

    def steps(self, n: int) -> list[float]:
        """Seconds of each of n steps."""
        return [seconds(self.trainer.advance) for _ in range(n)]

    def resident_mb(self) -> float:
        """Memory of all replicas, shared pages counted once: every buffer is there after a step.

        Program files are shared with whatever else runs; those of the leader stand for all.
        """
        pids = [os.getpid(), *self.trainer.team.pids]
        return _entry_mb("status", "RssFile", pids[0]) + sum(
            _entry_mb("smaps_rollup", key, pid) for key in ("Pss_Anon", "Pss_Shmem")
            for pid in pids)


def measure(config: Config, n_replicas: int, rounds: int, with_torch: bool) -> dict[str, Any]:
    """One row of the benchmark; contenders take turns of STEPS steps."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        peers = {mode: stack.enter_context(_torch(config, mode, folder))
                 for mode in MODES if with_torch}
        kernels = usual().kernels
        ours = Ours(config, n_replicas, kernels)
        stack.callback(ours.trainer.close)
        turns: dict[str, Callable[[int], list[float]]] = {
            **{mode: peer.ask for mode, peer in peers.items()}, "ours": ours.steps}
        for steps in turns.values():
            steps(5)  # warm up, compile
        peak_mb, teams = ours.resident_mb(), [ours.trainer.team]  # before others' matrices
        if kernels:
            plain = Ours(config, n_replicas, NUMPY)
            stack.callback(plain.trainer.close)
            teams.append(plain.trainer.team)
            turns["numpy"] = plain.steps
            plain.steps(5)
        floor = Floor(config, ours.trainer.n_replicas)
        stack.callback(floor.close)
        turns["floor"] = floor.steps
        times: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(rounds):
            for name, steps in turns.items():
                times[name] += steps(STEPS)
        for team in (floor.team, *teams):
            team.close()  # replicas hold copies of the pipes that tell a peer to finish
        peer_mb = [peer.finish() for peer in peers.values()]
    ms = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    gflop = config.flops_per_token * config.tokens_per_step / 1e9
    row = {"config": name_of(config), "ms_per_step": ms["ours"],
           "tok_per_s": config.tokens_per_step / ms["ours"] * 1e3,
           "gflops": gflop / ms["ours"] * 1e3, "floor_ms": ms["floor"],
           "floor_per_step": ms["floor"] / ms["ours"], "peak_mb": peak_mb,
           "replicas": ours.trainer.n_replicas, "steps": len(times["ours"]),
           "kernels": kernels.name}
    if "numpy" in ms:
        row |= {"numpy_ms": ms["numpy"], "ratio_numpy": ms["numpy"] / ms["ours"]}
    for mode in peers:
        row |= {f"ratio_{mode}": ms[mode] / ms["ours"], f"ms_{mode}": ms[mode]}
    return row | ({"peer_peak_mb": min(peer_mb)} if peers else {})


def name_of(config: Config) -> str:
    return (f"{config.n_embd}d/{config.n_layer}L/{config.n_head}H, "
            f"{config.batch_size} × {config.seq_len}")


def _torch(config: Config, mode: str, folder: Path) -> Peer:
    shape = folder / "shape.json"
    shape.write_text(json.dumps(config.to_dict()))
    return Peer("torch_peer.py", "torch", mode, str(shape), settle_s=SETTLE_S)


def _entry_mb(name: str, key: str, pid: int) -> float:
    """A number of a process's status or smaps_rollup, in MB."""
    text = Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")
    return int(text.partition(f"{key}:")[2].split()[0]) * 1024 / 1e6
