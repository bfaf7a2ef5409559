"""What each small idea of the engine gains: real runs, paired by seed with the default recipe.

    python -m tests.bench.gains --corpus FILE [--valid FILE] --out FILE [--shapes 64d/2L,128d/4L]
        [--tokens 500k,2M] [--seeds 5] [--ideas muon,qk_norm] [--windows 64,128,256,512]
    python -m tests.bench.gains --report FILE [--json]

A run is a line of --out; those already there are not run again. Runs of one seed follow each other,
so that what else the machine does falls on all alike. A gain is in bits per byte of the search
shard, the default's score less the idea's with the same seed, and its interval is Student's over
seeds. Speed is training tokens a second of processor time in one process, beside the default's.
At equal time the default has as many tokens more as the idea is slower: its score there is read
off the line through its own scores over the logarithm of the tokens.
--windows compares rwkv with attention at each window in place of the ideas.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from agent.search import student
from engine.config import Config
from engine.errors import Diverged
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.training.data import open_tokens
from engine.training.evaluate import score_model
from engine.training.train import Texts, Trainer
from strategies.base import repaired, resized
from strategies.grid import parse_size, parse_tokens
from tests.bench.table.rows import differing

IDEAS: dict[str, dict[str, Any]] = {
    "muon": {"optimizer": "muon", "lr": 6e-3},
    "muon, same rate": {"optimizer": "muon"},
    "cautious decay": {"cautious_decay": True},
    "scheduled decay": {"scheduled_decay": True},
    "residual scalars": {"residual_scalars": True},
    "bigram table": {"bigram_buckets": 4096},
    "query-key norm": {"qk_norm": True},
    "shuffled stories": {"shuffle_stories": True},
    "one key head": {"n_kv_head": 1},
    "rwkv": {"mixer": "rwkv"},
    "muon + table + scalars": {"optimizer": "muon", "lr": 6e-3, "bigram_buckets": 4096,
                               "residual_scalars": True},
}
DEFAULT = "default"
Row = dict[str, Any]


def run(config: Config, seed: int, budget_tokens: int, tokens: TokenSet) -> Row:
    """One run from its first step to its score, without checkpoints: plain values."""
    shards = {name: open_tokens(tokens.paths[name], config.vocab_size)
              for name in ("train", "search")}
    n_steps = config.steps_for(budget_tokens)
    trainer = Trainer(config, seed, n_steps, Texts(
        shards["train"], shards["search"], tokens.n_bytes["search"]))
    began = time.process_time()
    try:
        while trainer.step < n_steps:
            trainer.advance()
        train_s = time.process_time() - began
        score = score_model(trainer.model, trainer.evaluation_params(), shards["search"],
                            tokens.n_bytes["search"])
    except Diverged as error:
        return {"bpb": None, "tok_per_s": None, "error": str(error)}
    finally:
        trainer.close()
    return {"bpb": score.bpb, "tok_per_s": trainer.tokens / train_s, "n_params": config.n_params}


def wanted(options: argparse.Namespace) -> list[tuple[Row, Config]]:
    """Every run asked for, those of one seed beside each other."""
    found = []
    for shape in options.shapes:
        base = Config().assign(options.set)
        base = repaired(base, resized(base, *parse_size(shape, base)))
        # A width's own rate would be another recipe: all shapes have the default's.
        base = base.assign(["lr=3e-3", *options.set])
        for budget in options.tokens:
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                for name, changes in _arms(options):
                    config = base.assign([f"{key}={value}" for key, value in changes.items()])
                    found.append(({"shape": shape, "tokens": budget, "seed": seed, "arm": name,
                                   "hash": config.hash}, config))
    return found


def _arms(options: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    if options.windows:
        return [(f"{mixer} T={window}", {"mixer": mixer, "seq_len": window,
                                         "batch_size": max(1, 1024 // window)})
                for window in options.windows for mixer in ("attention", "rwkv")]
    return [(DEFAULT, {}), *((name, IDEAS[name]) for name in options.ideas)]


# --- what they say ---------------------------------------------------------------------------


def report(rows: Sequence[Row]) -> list[Row]:
    """A row for each shape, budget and idea that has runs paired with the default's."""
    by_arm: dict[tuple[str, int, str], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        by_arm[row["shape"], row["tokens"], row["arm"]][row["seed"]] = row
    found = []
    for (shape, budget, arm), runs in by_arm.items():
        peer = arm.replace("rwkv", "attention") if " T=" in arm else DEFAULT
        if arm == peer:
            continue
        others = by_arm.get((shape, budget, peer), {})
        seeds = [seed for seed in runs if seed in others
                 and None not in (runs[seed]["bpb"], others[seed]["bpb"])]
        if not seeds:
            continue
        speed = statistics.median(runs[s]["tok_per_s"] / others[s]["tok_per_s"] for s in seeds)
        slope = _slope(by_arm, shape, peer)
        gains = [others[s]["bpb"] - runs[s]["bpb"] for s in seeds]
        found.append({
            "shape": shape, "tokens": budget, "arm": arm, "n": len(seeds),
            "n_failed": len(runs) - len([1 for row in runs.values() if row["bpb"]]),
            "default_bpb": statistics.fmean(others[s]["bpb"] for s in seeds),
            "gain": interval(gains), "speed": speed,
            "gain_at_equal_time": None if slope is None else interval(
                [gain - slope * math.log(speed) for gain in gains])})
    return found


def _slope(by_arm: dict[tuple[str, int, str], dict[int, Row]], shape: str,
           peer: str) -> float | None:
    """Bits per byte by the logarithm of tokens, of the peer's mean scores; None for one budget."""
    means = [(math.log(budget),
              statistics.fmean(row["bpb"] for row in runs.values() if row["bpb"]))
             for (of, budget, arm), runs in by_arm.items() if (of, arm) == (shape, peer)]
    if len(means) < 2:
        return None
    (x1, y1), (x2, y2) = min(means), max(means)
    return (y2 - y1) / (x2 - x1)


def interval(gains: Sequence[float]) -> list[float | None]:
    """Mean and 95 % interval by Student's t over seeds; no interval for one seed."""
    mean = statistics.fmean(gains)
    if len(gains) < 2:
        return [mean, None, None]
    half = student.quantile(0.975, len(gains) - 1) * statistics.stdev(gains) / len(gains) ** 0.5
    return [mean, mean - half, mean + half]


def text_of(found: Sequence[Row]) -> str:
    """The report as Markdown."""
    lines = ["| shape | tokens | idea | n | default | gain, bits/byte (95 %) | speed | "
             "gain at equal time |", "|---|---|---|---|---|---|---|---|"]
    for row in found:
        lines.append(f"| {row['shape']} | {row['tokens']:,} | {row['arm']} | {row['n']} | "
                     f"{row['default_bpb']:.4f} | {_said(row['gain'])} | {row['speed']:.2f} × | "
                     f"{_said(row['gain_at_equal_time'])} |")
    return "\n".join(lines)


def _said(ends: Sequence[float | None] | None) -> str:
    if ends is None:
        return "–"
    mean, low, high = ends
    return f"{mean:+.4f}" + (f" ({low:+.4f} to {high:+.4f})" if low is not None else "")


# --- the command -----------------------------------------------------------------------------


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gains")
    parser.add_argument("--corpus", default="builtin")
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shapes", type=lambda text: text.split(","),
                        default=["64d/2L", "128d/4L"])
    parser.add_argument("--tokens", default=[500_000, 2_000_000],
                        type=lambda text: [parse_tokens(one) for one in text.split(",")])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--ideas", type=lambda text: text.split(","), default=list(IDEAS))
    parser.add_argument("--windows", type=lambda text: [int(one) for one in text.split(",")])
    parser.add_argument("--set", action="append", default=[], help="key=value of every run")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    if unknown := set(options.ideas) - set(IDEAS):
        parser.error(f"{', '.join(sorted(unknown))} is no idea; they are {', '.join(IDEAS)}")
    return options


def read(path: Path | None) -> list[Row]:
    """The runs of a file; a line that an interruption cut short is passed over."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path and path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def main(words: Sequence[str]) -> int:
    options = parse(words)
    rows = read(options.report or options.out)
    if not options.report:
        known = {tuple(row[key] for key in ("shape", "tokens", "seed", "arm", "hash"))
                 for row in rows}
        with tempfile.TemporaryDirectory() as folder:
            text = corpus.resolve(Path(folder), options.corpus, valid=options.valid)
            tokens = corpus.prepare_tokens(text, Config().vocab_size)
            todo = [(key, config) for key, config in wanted(options)
                    if tuple(key.values()) not in known]
            with Progress(console=Console(stderr=True)) as bars:
                for key, config in bars.track(todo, description="runs"):
                    row = key | run(config, key["seed"], key["tokens"], tokens)
                    row["config"] = differing(config)
                    rows.append(row)
                    if options.out:
                        with options.out.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(row) + "\n")
    found = report(rows)
    sys.stdout.write((json.dumps(found) if options.json else text_of(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
