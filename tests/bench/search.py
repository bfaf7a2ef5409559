"""This agent against Optuna: real runs of a tiny model, for the same sum of training tokens.

    python -m tests.bench.search [--seeds 5 | --nights 100:112] [--runs 60] [--tokens 150k]
        [--arms agent,tpe,random] [--start good] [--corpus FILE --valid FILE] [--out FILE]
        [--no-anytime] [--jobs 2] [--svg FILE] [--json]
    python -m tests.bench.search --report FILE [FILE ...] [--nights 100:112] [--svg FILE] [--json]

Every arm (tests/bench/arms) starts from the same recipe. The winner of a night is trained anew on
seeds that no arm has seen and scored on the test shard; the start likewise, on the same seeds, and
so is what the arm would have handed over at each eighth of the night's tokens (--no-anytime leaves
that out). A gain is in bits per byte over the start; optimism is the gain a night claims less the
one on fresh seeds; wasted are runs that diverged, were out of bounds or came twice; checks are the
part of the tokens that went into calibration and confirmation. Nights from number 100 on are for
judging. Nights are computed --jobs at a time in processes of their own, and those already in --out
are not run again. Optuna is the extra `bench`: pip install '.[bench]'. The exit status is 1 where
a goal is missed.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from agent.machine import machine
from engine.errors import UserError
from engine.text import corpus
from engine.text.corpus import TokenSet
from strategies.grid import parse_tokens
from tests.bench import arms, picture, report
from tests.bench.arms import ARMS
from tests.bench.arms.course import STARTS, Course
from tests.bench.nights import Night, append_night, read_all, read_nights

CHECKOUT = Path(__file__).parents[2]
STORIES = CHECKOUT.parent / "shared" / "data"


# --- one night in a process ------------------------------------------------------------------


def key_of(options: argparse.Namespace, tokens: TokenSet) -> dict[str, Any]:
    """What nights must share to be taken for those that were asked for."""
    return {"runs": options.runs, "tokens_per_run": options.tokens, "fresh": options.fresh,
            "start": course_of(options, tokens).start.hash, "corpus_sha256": tokens.corpus.sha256,
            "code": machine.code_version(), "optuna": _optuna_version()}


def _optuna_version() -> str | None:
    return version("optuna") if find_spec("optuna") else None


def prepare(options: argparse.Namespace) -> TokenSet:
    found = corpus.resolve(Path(options.data), options.corpus,
                           valid=Path(options.valid) if options.valid else None,
                           n_stories=options.stories if options.corpus == "builtin" else None)
    return corpus.prepare_tokens(found, options.vocab)


def course_of(options: argparse.Namespace, tokens: TokenSet) -> Course:
    start = STARTS[options.start].assign([f"vocab_size={options.vocab}", *options.set])
    return Course(tokens, start, options.tokens, options.runs, options.fresh)


def run_part(options: argparse.Namespace) -> int:
    """The child: one night; lines of progress, then the night."""
    arm, number = options.part.split(":")
    tokens, began_s = prepare(options), time.monotonic()
    course = course_of(options, tokens)
    night = arms.night(arm, int(number), course, lambda share: _write({"share": share}),
                       options.anytime)
    _write({"night": night | {
        "key": key_of(options, tokens), "text": tokens.corpus.name,
        "start_text": course.start.describe(), "cpu_s": time.process_time(),
        "wall_s": time.monotonic() - began_s}})
    return 0


def _write(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def start_part(words: Sequence[str], part: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.search", *words, "--part", part]
    environment = machine.worker_environment()  # which leaves out the checkout, if it is here
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (
        environment["PYTHONPATH"], str(CHECKOUT))))
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            env=environment)


def run_nights(words: Sequence[str], parts: Sequence[str], n_jobs: int,
               bars: Progress) -> Iterator[Night]:
    """The nights as they end, n_jobs of them at a time; SystemExit after them if any failed."""
    waiting, total = list(parts), bars.add_task("nights", total=float(len(parts)))
    done: dict[str, float] = {}
    running: dict[str, subprocess.Popen[str]] = {}
    failed: list[str] = []
    with selectors.DefaultSelector() as ready:
        try:
            while waiting or running:
                while waiting and len(running) < n_jobs:
                    part = waiting.pop(0)
                    running[part] = start_part(words, part)
                    ready.register(running[part].stdout, selectors.EVENT_READ, part)
                for event, _ in ready.select():
                    message = _message(event.fileobj.readline())
                    if "share" in message:
                        done[event.data] = message["share"]
                    else:
                        ready.unregister(event.fileobj)
                        running.pop(event.data).communicate()
                        done[event.data] = 1.0
                        if "night" in message:
                            yield message["night"]
                        else:
                            failed.append(event.data)
                    bars.update(total, completed=sum(done.values()))
        finally:
            for process in running.values():
                process.terminate()
                process.communicate()
    if failed:
        raise SystemExit(f"of the nights {', '.join(failed)} failed, above is why; those that "
                         "ended are in --out, if that was given")


def _message(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# --- the command -----------------------------------------------------------------------------


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search")
    parser.add_argument("--seeds", type=int, default=5, help="nights of each arm")
    parser.add_argument("--nights", type=_numbers, help="FROM:TO, numbers; default 0:SEEDS")
    parser.add_argument("--runs", type=int, default=60, help="that a night's tokens suffice for")
    parser.add_argument("--tokens", type=parse_tokens, default=150_000, help="of a run: 150k")
    parser.add_argument("--arms", type=_arms, default=list(ARMS))
    parser.add_argument("--start", choices=STARTS, default="mediocre")
    parser.add_argument("--vocab", type=int, default=1024)
    parser.add_argument("--fresh", type=int, default=3, help="seeds a winner is scored on")
    parser.add_argument("--corpus", help="a file to train on, or builtin")
    parser.add_argument("--valid", help="a file to validate on")
    parser.add_argument("--stories", type=int, default=None, help="of the built-in corpus")
    parser.add_argument("--set", action="append", default=[], help="key=value of the start")
    parser.add_argument("--out", type=Path, help="nights are added here, and taken from here")
    parser.add_argument("--anytime", action=argparse.BooleanOptionalAction, default=True,
                        help="score what would be handed over at each eighth of the tokens")
    parser.add_argument("--jobs", type=_jobs, default=2, help="nights at a time")
    parser.add_argument("--report", type=Path, nargs="+", metavar="FILE",
                        help="run nothing, tell what these files hold")
    parser.add_argument("--svg", type=Path, help="draw the anytime curves there")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.corpus is None:
        stories = STORIES / "tinystories-train.txt"  # of the other file a fortieth would be test
        options.corpus = str(stories) if stories.exists() else "builtin"
    return options


def _arms(text: str) -> list[str]:
    asked = text.split(",")
    if not set(asked) <= set(ARMS):
        raise argparse.ArgumentTypeError(f"arms are {', '.join(ARMS)}")
    return asked


def _numbers(text: str) -> range:
    first, _, end = text.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise argparse.ArgumentTypeError(f"nights {text!r} are not FROM:TO, as in 100:112")
    return range(int(first), int(end))


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} nights at a time compute nothing; at least 1")
    return int(text)


def run_all(words: Sequence[str], options: argparse.Namespace) -> list[Night]:
    """The nights that were asked for: those on file, and the others computed now."""
    with tempfile.TemporaryDirectory() as folder:
        options.data = options.data or folder
        key = key_of(options, prepare(options))
        known = read_nights(options.out, key)
        had = {f"{night['arm']}:{night['night']}" for night in known}
        asked = [f"{arm}:{i}" for i in options.nights or range(options.seeds)
                 for arm in options.arms]
        with Progress("{task.description}", BarColumn(), TimeElapsedColumn(),
                      TimeRemainingColumn(), console=Console(stderr=True)) as bars:
            for night in run_nights([*words, "--data", options.data],
                                    [part for part in asked if part not in had],
                                    options.jobs, bars):
                append_night(options.out, night)
                known.append(night)
    return [night for night in known if f"{night['arm']}:{night['night']}" in asked]


def missing(asked: Sequence[str]) -> list[str]:
    """Arms that need a package which is not installed."""
    return [arm for arm in asked if not all(map(find_spec, arms.packages_of(arm)))]


def as_json(found: dict[str, Any]) -> str:
    """One JSON value; null for a mean that is no number, since a winner diverged."""
    plain = json.loads(json.dumps(found), parse_constant=lambda _: None)
    return json.dumps(plain, allow_nan=False)


def main(words: Sequence[str]) -> int:
    try:
        options = parse(words)
        if not options.report and (lacking := missing(options.arms)):
            sys.stderr.write(f"{', '.join(lacking)} need Optuna: pip install '.[bench]', or give "
                             "--arms agent,rule\n")
            return 2
        if options.part:
            return run_part(options)
        nights = (read_all(options.report, options.arms, options.nights) if options.report
                  else run_all(words, options))
        found = report.results(nights)
        if options.svg:
            options.svg.write_text(picture.svg(found), encoding="utf-8")
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write((as_json(found) if options.json else report.text_of(found)) + "\n")
    return int(not report.is_reached(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
