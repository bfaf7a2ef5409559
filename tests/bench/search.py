"""This agent against Optuna: real runs of a tiny model, for the same sum of training tokens.

    python -m tests.bench.search [--seeds 5] [--runs 60] [--tokens 150k] [--arms agent,tpe,random]
        [--corpus FILE --valid FILE] [--out FILE] [--json]

Every arm (tests/bench/arms) starts from the same mediocre recipe. The winner of a night
is trained anew on seeds that no arm has seen and scored on the test shard; the start likewise, on
the same seeds. A gain is in bits per byte over the start; optimism is the gain a night claims less
the one on fresh seeds; wasted are runs that diverged, were out of bounds or came twice. The row
`head` is the agent's nights once more, by what it would go on with, not by what it has confirmed.
Nights are computed two at a time in processes of their own, and those already in --out are not run
again. Optuna is the extra `bench`: pip install '.[bench]'. The exit status is 1 where the goal is
missed.
"""

import argparse
import json
import math
import os
import selectors
import statistics
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
from tests.bench import arms
from tests.bench.arms import ARMS
from tests.bench.arms.course import START, Course

STORIES = Path(__file__).parents[3] / "shared" / "data"
N_AT_ONCE = 2
COLUMNS = f"{'arm':<8}{'nights':>7}{'bits/byte':>20}{'gain':>9}{'optimism':>10}{'wasted':>8}" \
          f"{'runs':>6}{'confirmed':>10}{'seconds':>9}"

HEAD = "head"  # what the agent would go on with, confirmed or not: the best it knows, as Optuna's

Night = dict[str, Any]  # one line of --out


# --- nights on file --------------------------------------------------------------------------


def key_of(options: argparse.Namespace, tokens: TokenSet) -> dict[str, Any]:
    """What nights must share to be put in one table."""
    return {"runs": options.runs, "tokens_per_run": options.tokens, "fresh": options.fresh,
            "start": course_of(options, tokens).start.hash, "corpus_sha256": tokens.corpus.sha256,
            "code": machine.code_version(), "optuna": _optuna_version()}


def _optuna_version() -> str | None:
    return version("optuna") if find_spec("optuna") else None


def read_nights(path: Path | None, key: dict[str, Any]) -> list[Night]:
    """The nights of that key in a file, the first of each; lines that are none are passed over."""
    if path is None or not path.exists():
        return []
    found: dict[tuple[str, int], Night] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            night = json.loads(line)
            if night["key"] == key:
                found.setdefault((night["arm"], night["night"]), night)
        except (ValueError, KeyError, TypeError):
            continue  # a line that an interruption cut short
    return list(found.values())


def append_night(path: Path | None, night: Night) -> None:
    """Add a line; one that was cut short before is ended first."""
    if path is None:
        return
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(night).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


# --- one night in a process ------------------------------------------------------------------


def prepare(options: argparse.Namespace) -> TokenSet:
    found = corpus.resolve(Path(options.data), options.corpus,
                           valid=Path(options.valid) if options.valid else None,
                           n_stories=options.stories if options.corpus == "builtin" else None)
    return corpus.prepare_tokens(found, options.vocab)


def course_of(options: argparse.Namespace, tokens: TokenSet) -> Course:
    start = START.assign([f"vocab_size={options.vocab}", *options.set])
    return Course(tokens, start, options.tokens, options.runs, options.fresh)


def run_part(options: argparse.Namespace) -> int:
    """The child: one night; lines of progress, then the night."""
    arm, number = options.part.split(":")
    tokens, began_s = prepare(options), time.monotonic()
    night = arms.night(arm, int(number), course_of(options, tokens),
                       lambda share: _write({"share": share}))
    _write({"night": night | {"key": key_of(options, tokens),
                              "wall_s": time.monotonic() - began_s}})
    return 0


def _write(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def start_part(words: Sequence[str], part: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.search", *words, "--part", part]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            env=machine.worker_environment())


def run_nights(words: Sequence[str], parts: Sequence[str], bars: Progress) -> Iterator[Night]:
    """The nights as they end, N_AT_ONCE of them at a time; SystemExit after them if any failed."""
    waiting, total = list(parts), bars.add_task("nights", total=float(len(parts)))
    done: dict[str, float] = {}
    running: dict[str, subprocess.Popen[str]] = {}
    failed: list[str] = []
    with selectors.DefaultSelector() as ready:
        try:
            while waiting or running:
                while waiting and len(running) < N_AT_ONCE:
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


# --- the table -------------------------------------------------------------------------------


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean of one value or more, and its standard error; None where it has none."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return statistics.mean(values), None
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def fresh_bpb(night: Night) -> float:
    """Mean on fresh seeds; where the winner diverges it scores as token frequencies do."""
    return statistics.mean(night["unigram_bpb"] if one is None else one
                           for one in night["fresh_bpb"])


def fresh_gain(night: Night) -> float:
    return statistics.mean(night["start_bpb"]) - fresh_bpb(night)


def summary(nights: Sequence[Night]) -> dict[str, Any]:
    """What an arm's nights come to."""
    bpb, bpb_error = mean_and_error([fresh_bpb(night) for night in nights])
    gain, gain_error = mean_and_error([fresh_gain(night) for night in nights])
    optimism = [night["claimed_gain"] - fresh_gain(night) for night in nights
                if night["claimed_gain"] is not None]
    wasted: dict[str, int] = {}
    for night in nights:
        for cause, n in night["wasted"].items():
            wasted[cause] = wasted.get(cause, 0) + n
    return {"nights": len(nights), "bpb": bpb, "bpb_error": bpb_error, "gain": gain,
            "gain_error": gain_error,
            "optimism": statistics.mean(optimism) if optimism else None,
            "n_claims": len(optimism), "wasted": wasted,
            "wasted_per_night": sum(wasted.values()) / len(nights),
            "runs": statistics.mean(night["n_runs"] for night in nights),
            "diverged_winners": sum(None in night["fresh_bpb"] for night in nights),
            "confirmed": sum(night["verdicts"].get("confirmed", 0) for night in nights),
            "wall_s": statistics.mean(night["wall_s"] for night in nights)}


def results(nights: Sequence[Night]) -> dict[str, Any]:
    """Every arm's summary, the agent's lead over each peer night by night, and the goal."""
    rows = {arm: [night for night in nights if night["arm"] == arm] for arm in ARMS}
    rows[HEAD] = [night | {"fresh_bpb": night["head_bpb"] or night["fresh_bpb"],
                           "claimed_gain": None} for night in rows["agent"]]
    found: dict[str, Any] = {"arms": {arm: summary(its) for arm, its in rows.items() if its}}
    found["lead"] = {own: leads for own in ("agent", HEAD) if (leads := {
        peer: mean_and_error(pairs) for peer in ARMS[1:]
        if (pairs := _pairs(rows[own], rows[peer]))})}
    if "tpe" in found["lead"].get("agent", {}):
        own_wasted, peer_wasted = (found["arms"][arm]["wasted_per_night"]
                                   for arm in ("agent", "tpe"))
        found["is_as_good"] = found["lead"]["agent"]["tpe"][0] >= 0
        found["is_half_wasted"] = own_wasted <= peer_wasted / 2
    return found


def _pairs(own: Sequence[Night], peer: Sequence[Night]) -> list[float]:
    """By how much the peer scores worse, night by night."""
    scores = {night["night"]: fresh_bpb(night) for night in own}
    return [fresh_bpb(night) - scores[night["night"]] for night in peer
            if night["night"] in scores]


def table(found: dict[str, Any]) -> str:
    lines = [COLUMNS]
    for arm, its in found["arms"].items():
        optimism = "-" if its["optimism"] is None else f"{its['optimism']:+.4f}"
        lines.append(f"{arm:<8}{its['nights']:>7}{_plus_minus(its['bpb'], its['bpb_error']):>20}"
                     f"{its['gain']:>9.4f}{optimism:>10}{its['wasted_per_night']:>8.1f}"
                     f"{its['runs']:>6.0f}{its['confirmed']:>10}{its['wall_s']:>9.0f}")
        if its["diverged_winners"]:
            lines.append(f"  of {arm}: {its['diverged_winners']} winners diverged on a fresh seed")
    for own, leads in found["lead"].items():
        for peer, (lead, error) in leads.items():
            lines.append(f"{own} ahead of {peer}, same seeds: {_plus_minus(lead, error)} bits/byte")
    if "is_as_good" in found:
        lines.append(f"at least as good as TPE: {_yes(found['is_as_good'])}; at most half its "
                     f"wasted runs: {_yes(found['is_half_wasted'])}")
    return "\n".join(lines)


def _plus_minus(mean: float, error: float | None) -> str:
    return f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f}"


def as_json(found: dict[str, Any]) -> str:
    """One JSON value; null for a mean that is no number, since a winner diverged."""
    plain = json.loads(json.dumps(found), parse_constant=lambda _: None)
    return json.dumps(plain, allow_nan=False)


def _yes(claim: bool) -> str:
    return "yes" if claim else "NO"


# --- the command -----------------------------------------------------------------------------


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search")
    parser.add_argument("--seeds", type=int, default=5, help="nights of each arm")
    parser.add_argument("--runs", type=int, default=60, help="that a night's tokens suffice for")
    parser.add_argument("--tokens", type=parse_tokens, default=150_000, help="of a run: 150k")
    parser.add_argument("--arms", type=_arms, default=list(ARMS))
    parser.add_argument("--vocab", type=int, default=1024)
    parser.add_argument("--fresh", type=int, default=3, help="seeds a winner is scored on")
    parser.add_argument("--corpus", help="a file to train on, or builtin")
    parser.add_argument("--valid", help="a file to validate on")
    parser.add_argument("--stories", type=int, default=None, help="of the built-in corpus")
    parser.add_argument("--set", action="append", default=[], help="key=value of the start")
    parser.add_argument("--out", type=Path, help="nights are added here, and taken from here")
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


def run_all(words: Sequence[str], options: argparse.Namespace) -> list[Night]:
    """The nights that were asked for: those on file, and the others computed now."""
    with tempfile.TemporaryDirectory() as folder:
        options.data = options.data or folder
        key = key_of(options, prepare(options))
        known = read_nights(options.out, key)
        had = {f"{night['arm']}:{night['night']}" for night in known}
        asked = [f"{arm}:{i}" for i in range(options.seeds) for arm in options.arms]
        with Progress("{task.description}", BarColumn(), TimeElapsedColumn(),
                      TimeRemainingColumn(), console=Console(stderr=True)) as bars:
            for night in run_nights([*words, "--data", options.data],
                                    [part for part in asked if part not in had], bars):
                append_night(options.out, night)
                known.append(night)
    return [night for night in known if f"{night['arm']}:{night['night']}" in asked]


def missing(asked: Sequence[str]) -> list[str]:
    """Arms that need a package which is not installed."""
    return [arm for arm in asked if not all(map(find_spec, arms.packages_of(arm)))]


def main(words: Sequence[str]) -> int:
    try:
        options = parse(words)
        if lacking := missing(options.arms):
            sys.stderr.write(f"{', '.join(lacking)} need Optuna: pip install '.[bench]', or give "
                             "--arms agent,rule\n")
            return 2
        if options.part:
            return run_part(options)
        found = results(run_all(words, options))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write((as_json(found) if options.json else table(found)) + "\n")
    return int(not (found.get("is_as_good", True) and found.get("is_half_wasted", True)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
