"""Measure this engine on this machine; let nothing else run meanwhile.

    python -m engine.bench                      training steps and their floor
    python -m engine.bench --peer torch         the same in turns with PyTorch's
    python -m engine.bench --peer tokenizers    the tokenizer in turns with the Rust package's
    python -m engine.bench sampling             tokens a second of generated text
    python -m engine.bench prepare              seconds to prepare the built-in corpus
    python -m engine.bench --only 1             one model: 0 64d/2L, 1 128d/4L, 2 192d/6L,
                                                3 256d/8L, 4 160d/5L, 5 128d/4L in windows of 512
    python -m engine.bench --replicas 1         the same in one process
    python -m engine.bench --json               a JSON list of rows instead of a table

The floor of a step is its matrix products alone, spread perfectly over the same processes. Every
configuration is measured in a process of its own. Kernels in C compute where there is a compiler,
and numpy alone is measured in turns with them; with AGENT_NATIVE=0 it alone is. "× eager" is
PyTorch's time over ours: above 1, ours is faster.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.bench import steps
from engine.bench.sampling import sampling_rows
from engine.bench.texts import preparation_row, read_stories, tokenizer_rows
from engine.errors import UserError

INTERRUPTED = 130
# Options that mean something to only one subject.
ONLY_FOR = {"replicas": "steps", "only": "steps", "text": "tokenizer"}
HEADS = {"config": "configuration", "ms_per_step": "ms/step", "numpy_ms": "numpy ms",
         "ratio_numpy": "× numpy", "seconds": "seconds",
         "tok_per_s": "tok/s", "gflops": "GFLOP/s", "floor_ms": "floor ms",
         "floor_per_step": "floor/step", "peak_mb": "peak MB", "ratio_eager": "× eager",
         "ratio_compile": "× compile", "peer_peak_mb": "peer MB", "peer_seconds": "peer seconds",
         "ratio_tokenizers": "× tokenizers"}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for a person, as Markdown."""
    heads = {key: head for key, head in HEADS.items() if key in rows[0]}
    lines = ["| " + " | ".join(heads.values()) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cell(row[key]) for key in heads) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(value))) if value < 100 else 0
    return f"{value:,.{min(digits, 2)}f}"


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for, print a table or a JSON list."""
    options = _parser().parse_args(arguments)
    what = options.what or ("tokenizer" if options.peer == "tokenizers" else "steps")
    try:
        rows = _rows(what, options)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was measured to its end\n")
        return INTERRUPTED
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    sys.stdout.write(table(rows))
    if kind := os.environ.get("OPENBLAS_CORETYPE"):
        sys.stdout.write(f"\nOPENBLAS_CORETYPE={kind} holds numpy's products, but not PyTorch's, "
                         "to what\nthat processor has; measure without it, too\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["steps", "tokenizer", "sampling", "prepare"],
                        help="default: steps")
    parser.add_argument("--peer", choices=["torch", "tokenizers"],
                        help="measure this beside ours, in turns; needs a checkout")
    parser.add_argument("--replicas", type=_whole(1, 64), metavar="N",
                        help="processes of a step (default: cores)")
    parser.add_argument("--rounds", type=_whole(1, 1000), default=8, metavar="N",
                        help=f"turns, of {steps.STEPS} steps where steps are measured (default: 8)")
    parser.add_argument("--only", type=_whole(0, len(steps.CONFIGS) - 1), metavar="I",
                        help="one model of steps, by its number")
    parser.add_argument("--text", type=Path, metavar="FILE",
                        help="stories for the tokenizer (default: some of the built-in ones)")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from low to high."""
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {low} to {high}")
        return number

    return read


def _rows(what: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    if options.peer and options.peer != {"steps": "torch", "tokenizer": "tokenizers"}.get(what):
        raise UserError(f"--peer {options.peer} does not measure {what}; torch goes with steps, "
                        "tokenizers with tokenizer")
    for name, subject in ONLY_FOR.items():
        if subject != what and getattr(options, name) is not None:
            raise UserError(f"--{name} goes with {subject}, not with {what}; leave it out")
    n_replicas = options.replicas or len(os.sched_getaffinity(0))
    if what != "steps":
        sys.stderr.write(f"measuring {what}\n")
    if what == "tokenizer":
        return tokenizer_rows(read_stories(options.text), options.rounds, bool(options.peer))
    if what == "sampling":
        return sampling_rows(options.rounds)
    if what == "prepare":
        return [preparation_row()]
    numbers = range(len(steps.CONFIGS)) if options.only is None else [options.only]
    if len(numbers) == 1:
        return [steps.measure(steps.CONFIGS[numbers[0]], n_replicas, options.rounds,
                              bool(options.peer))]
    return [_in_own_process(number, options, n_replicas) for number in numbers]


def _in_own_process(number: int, options: argparse.Namespace, n_replicas: int) -> dict[str, Any]:
    """One configuration's row; memory of an earlier one would count for a later."""
    sys.stderr.write(f"measuring {steps.name_of(steps.CONFIGS[number])}, {number + 1} of "
                     f"{len(steps.CONFIGS)}\n")
    peer = ["--peer", options.peer] if options.peer else []
    found = subprocess.run(
        [sys.executable, "-m", "engine.bench", "--only", str(number), "--json", *peer,
         "--replicas", str(n_replicas), "--rounds", str(options.rounds)],
        stdout=subprocess.PIPE, text=True)
    if found.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    if found.returncode:
        raise UserError(f"configuration {number} was not measured: its process ended with status "
                        f"{found.returncode}")
    row: dict[str, Any] = json.loads(found.stdout)[0]
    return row


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # it is read once, when numpy is loaded
        os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        os.execv(sys.executable, [sys.executable, "-m", "engine.bench", *sys.argv[1:]])
    sys.exit(main(sys.argv[1:]))
