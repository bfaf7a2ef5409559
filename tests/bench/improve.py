"""What going on from a model gains and costs: DPO by β, SPIN by round, STaR by number of digits.

    python -m tests.bench.improve dpo --corpus FILE [--valid FILE] --models DIR --out FILE
    python -m tests.bench.improve spin --corpus FILE [--valid FILE] --models DIR --out FILE
    python -m tests.bench.improve star --models DIR --out FILE
    python -m tests.bench.improve --report FILE [--json]

A run is a line of --out; those already there are not run again. What all runs of a kind begin from,
the base and the pairs, is made once and kept in --models. Everything is that of `agent improve`:
its trainer, its rates, its pairs, its questions; only the order of work is this file's.

dpo   one base, one pool of pairs: the text's own continuation and the base's, as many tokens of
      each, --length at most, so that no preference is one for what is short; a fifth of the pool,
      by a hash of the prompt, is held out; each seed draws --n of the others. An interval is over
      held-out pairs and seeds, of what became of each pair
spin  one base; rounds until the win rate of the text no longer falls, or --rounds
star  a base from few worked examples, one a seed; --rounds rounds from it, then plain training on
      as many right answers as the last round had. With --unhinted wrong answers are not explained
"""

import argparse
import json
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agent.night.improve import Improving, config_of
from engine.alignment import AlignedTrainer, Lesson, Pair, Recipe, Writer, qualities, split, worked
from engine.alignment.measure import RESAMPLES, Measure
from engine.config import Config
from engine.model import GPT, Array, Flat
from engine.text import Tokenizer, corpus, sums
from engine.text.corpus import TokenSet
from engine.training import Texts, Trainer, checkpoint, open_tokens, training
from strategies.grid import parse_tokens
from tests.bench.gains import read

Row = dict[str, Any]
KEYS = ("by", "seed", "beta", "n_epochs", "round")
N_VALID = 20_000  # tokens of real stories that the loss is told of
LEAST = 4  # right answers of a round, as in agent.trial.lesson
N_STORIES, N_PROBLEMS = 256, 128  # asked before and after


class Place:
    """A text in tokens, the base trained on it, and what is kept between runs."""

    def __init__(self, options: argparse.Namespace, text: corpus.Corpus, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.base = Config().assign(options.set)
        self.tokens: TokenSet = corpus.prepare_tokens(text, self.base.vocab_size)
        self.tokenizer = Tokenizer.load(self.tokens.tokenizer_path)
        train, valid = (open_tokens(self.tokens.paths[name], self.base.vocab_size)
                        for name in ("train", "search"))
        valid = valid[:N_VALID]
        self.texts = Texts(train, valid, len(self.tokenizer.decode(valid[1:].tolist()).encode()))

    def model(self, seed: int) -> Flat:
        """The base of a seed, trained where it is not kept."""
        path = self.folder / f"base-{self.base.hash}-{self.options.tokens}-{seed}.npz"
        if not path.exists():
            n_steps = self.base.steps_for(self.options.tokens)
            trainer = Trainer(self.base, seed, n_steps, self.texts)
            for _ in training(trainer, None):
                pass
            checkpoint.save(path, {"params": trainer.evaluation_params().buffer}, {})
            trainer.close()
        return Flat.over(self.base, checkpoint.load(path)[0]["params"])

    def improved(self, start: Flat, pairs: Sequence[Pair], held: Sequence[Pair], recipe: Recipe,
                 seed: int, n_epochs: float, exam: Any = None) -> tuple[Flat, list[Measure]]:
        """The model that goes on from another as `agent improve` does, and what it is found to be.
        """
        asked = Improving(recipe=recipe, settings=self.options.how)
        config = config_of(self.base, asked, is_pairwise=recipe.is_pairwise, is_gentle=False)
        per_step = config.batch_size // (2 if recipe.is_pairwise else 1)
        n_steps = max(1, math.ceil(n_epochs * len(pairs) / per_step))
        trainer = AlignedTrainer(config, seed, n_steps, self.texts, Lesson(
            start=start, pairs=pairs, held=held, recipe=recipe, tokenizer=self.tokenizer,
            exam=exam))
        *_, done = training(trainer, None)
        found = list(trainer.findings(done.score))  # type: ignore[union-attr]
        params = Flat.over(config, trainer.evaluation_params().buffer.copy())
        trainer.close()
        return params, found

    def writer(self, params: Flat) -> Writer:
        return Writer(GPT(self.base), params, self.tokenizer)

    def written(self, make: Callable[[int], list[Pair]], n: int) -> list[Pair]:
        """n pairs, batch by batch, none of them twice."""
        once: dict[Pair, None] = {}
        for i in range(4 * n):
            once |= dict.fromkeys(make(i))
            if len(once) >= n:
                break
        return list(once)[:n]

    def shortened(self, pair: Pair, n_tokens: int) -> Pair:
        """The same with so many tokens of each answer, at most."""
        chosen, rejected = (self.tokenizer.decode(self.tokenizer.encode(answer or "")[:n_tokens])
                            for answer in (pair.chosen, pair.rejected))
        return replace(pair, chosen=chosen, rejected=rejected)


def row_of(key: Row, measures: Sequence[Measure], **more: Any) -> Row:
    """A line: the key, each measure without its single values, those of accuracy as signs."""
    signs = {f"right_{'after' if one.step else 'before'}": "".join(
        "01"[int(value)] for value in one.values) for one in measures if one.name == "accuracy"}
    return key | more | signs | {"measures": [
        [one.name, one.step, *(None if x is None else float(f"{x:.6g}") for x in (
            one.value, one.low, one.high)), one.n] for one in measures]}


# --- the three ways --------------------------------------------------------------------------

Runs = Iterator[Row]


def seeds_of(options: argparse.Namespace) -> range:
    return range(options.first_seed, options.first_seed + options.seeds)


def dpo(place: Place, known: set[tuple[Any, ...]]) -> Runs:
    options, start = place.options, place.model(0)
    path = place.folder / f"pool-{place.base.hash}-{options.tokens}-{options.pool}.jsonl"
    if not path.exists():
        pool = place.written(partial(qualities.spin_pairs, place.writer(start), place.texts.train,
                                     0), options.pool)
        path.write_bytes(b"".join(pair.line() for pair in pool))
    pool = [place.shortened(Pair(**json.loads(line)), options.length)
            for line in path.read_bytes().split(b"\n") if line]
    train, held = split(pool, path.name)
    for n_epochs in options.epochs:
        for seed in seeds_of(options):
            for beta in options.betas:
                key = {"by": "dpo", "seed": seed, "beta": beta, "n_epochs": n_epochs, "round": 1}
                if tuple(key.values()) in known:
                    continue
                drawn = np.random.default_rng([seed, 11]).permutation(len(train))[: options.n]
                _, found = place.improved(start, [train[i] for i in drawn], held,
                                          Recipe("sigmoid", beta), seed, n_epochs)
                yield row_of(key, found, n_train=len(drawn))


def spin(place: Place, known: set[tuple[Any, ...]]) -> Runs:
    options, base = place.options, place.model(0)
    exam = partial(qualities.stories_exam, tokens=place.texts.valid, n=N_STORIES,
                   judge=qualities.Judge(place.texts.train, place.tokenizer))
    for beta in options.betas:
        for seed in seeds_of(options):
            last, won = base, math.inf
            for k in range(1, options.rounds + 1):
                key = {"by": "spin", "seed": seed, "beta": beta, "n_epochs": options.epochs[0],
                       "round": k}
                path = place.folder / f"spin-{beta:g}-{options.epochs[0]:g}-{seed}-{k}.npz"
                if tuple(key.values()) in known and path.exists():
                    arrays, scalars = checkpoint.load(path)
                    last, won = Flat.over(place.base, arrays["params"]), scalars["won"]
                else:
                    make = partial(qualities.spin_pairs, place.writer(last), place.texts.train,
                                   seed)
                    train, held = split(place.written(make, options.n), "the pairs")
                    before = won
                    last, found = place.improved(last, train, held, Recipe("sigmoid", beta), seed,
                                                 options.epochs[0], exam)
                    won = next(one.value for one in found if one.name == "win rate")
                    checkpoint.save(path, {"params": last.buffer}, {"won": won})
                    yield row_of(key, found, n_train=len(train), falls=won < before)


def star(place: Place, known: set[tuple[Any, ...]]) -> Runs:
    options, recipe = place.options, Recipe("nats")
    by = "star, unhinted" if options.unhinted else "star"
    ask = partial(worked.sums_exam, n=N_PROBLEMS)
    n_epochs = options.epochs[0]
    for seed in seeds_of(options):
        before: list[Measure] = []  # of the base, which all its rounds begin from

        def exam(writer: Writer, step: int, leave: Any,
                 before: list[Measure] = before) -> list[Measure]:
            if step == 0 and not before:
                before += ask(writer, step, leave)
            return before if step == 0 else ask(writer, step, leave)

        keys = [{"by": by, "seed": seed, "beta": None, "n_epochs": n_epochs, "round": k}
                for k in range(1, options.rounds + 2)]
        if all(tuple(key.values()) in known for key in keys):
            continue
        base = place.model(seed)
        last, n_learnt = base, 0
        for key in keys:
            path = place.folder / f"{by}-{options.tokens}-{seed}-{key['round']}.npz"
            if tuple(key.values()) in known and path.exists():
                arrays, scalars = checkpoint.load(path)
                last, n_learnt = Flat.over(place.base, arrays["params"]), scalars["n"]
                continue
            if key["round"] > options.rounds:
                learnt = worked.plain_answers(n_learnt, seed)
            else:
                learnt = [pair for i in range(-(-options.n // worked.AT_ONCE))
                          for pair in worked.right_answers(place.writer(last), options.n, seed, i,
                                                           rationalises=not options.unhinted)]
            if len(learnt) < LEAST:
                break
            n_learnt = len(learnt)
            last, found = place.improved(base, learnt, [], recipe, seed, n_epochs, exam)
            checkpoint.save(path, {"params": last.buffer}, {"n": n_learnt})
            yield row_of(key, found, n_train=n_learnt, kept=kept(learnt),
                         is_plain=key["round"] > options.rounds)


def kept(learnt: Sequence[Pair]) -> dict[str, list[int]]:
    """By number of digits: how many examples, and of how many the steps, too, are the text's."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in learnt:
        digits, solution = _solution(one.prompt)
        found[str(digits)][0] += 1
        found[str(digits)][1] += one.chosen == solution
    return dict(sorted(found.items()))


def _solution(question: str) -> tuple[int, str]:
    figures = {name: str(i) for i, name in enumerate(sums.NAMES)} | {"plus": "+"}
    in_words = any(name in question for name in sums.NAMES)
    parts = [figures.get(part, part) for part in question.split(" ")]
    at = next(i for i, part in enumerate(parts) if part in ("+", "or"))
    a, b = ("".join(part for part in side if part.isdigit())
            for side in (parts[:at], parts[at + 1 :]))
    make = sums._sum if parts[at] == "+" else sums._comparison
    return len(a), make(a, b, in_words).solution


# --- what they say ---------------------------------------------------------------------------


def report(rows: Sequence[Row]) -> list[Row]:
    """A row for each way, β, number of epochs and round: the measures' means over seeds.

    Of accuracy, also what became of the held-out pairs, with its interval over them and seeds; of
    the others the 95 % intervals are each seed's own.
    """
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in KEYS if key != "seed")].append(row)
    found = []
    for (by, beta, n_epochs, number), own in groups.items():
        told: Row = {"by": by, "beta": beta, "n_epochs": n_epochs, "round": number,
                     "n_seeds": len(own), "n_train": [row["n_train"] for row in own],
                     "is_plain": own[0].get("is_plain", False),
                     "kept": [row["kept"] for row in own if "kept" in row]}
        values: dict[str, list[list[Any]]] = defaultdict(list)
        for row in own:
            for name, step, *rest in row["measures"]:
                values[name if step else f"{name} before"].append(rest)
        told["measures"] = values
        signs = [(row["right_before"], row["right_after"]) for row in own if "right_after" in row]
        if signs:
            told["accuracy_change"] = change_of(
                [np.array([int(b) - int(a) for a, b in zip(*one, strict=True)]) for one in signs],
                are_shared=by == "dpo")
        found.append(told)
    return found


def change_of(signs: Sequence[Array], *, are_shared: bool) -> list[float]:
    """The mean over seeds of each one's over its pairs, with its 95 % interval, by drawing seeds
    and pairs again (Efron 1979).

    are_shared  whether all seeds have the same pairs; else each one's are drawn by themselves
    """
    rng = np.random.default_rng(3)

    def once() -> float:
        chosen = [signs[i] for i in rng.integers(0, len(signs), len(signs))]
        pairs = rng.integers(0, signs[0].size, signs[0].size) if are_shared else None
        return float(np.mean([np.mean(one[rng.integers(0, one.size, one.size)
                                          if pairs is None else pairs]) for one in chosen]))

    return [float(np.mean([np.mean(one) for one in signs])),
            *np.percentile([once() for _ in range(RESAMPLES)], [2.5, 97.5]).tolist()]


def text_of(found: Sequence[Row]) -> str:
    """The report as Markdown: a table a way."""
    lines: list[str] = []
    for by in dict.fromkeys(row["by"] for row in found):
        own = [row for row in found if row["by"] == by]
        names = [name for name in own[0]["measures"] if not name.endswith("before")]
        lines += [f"| {by}: β, epochs, round | seeds | learnt from | "
                  + " | ".join(names) + " |", "|---" * (3 + len(names)) + "|"]
        for row in own:
            where = f"{row['beta'] or ''}, {row['n_epochs']:g}, {row['round']}" + (
                " plain" if row["is_plain"] else "")
            learnt = ", ".join(map(str, row["n_train"])) + (
                "" if not row["kept"] else f" ({_sound(row['kept'])})")
            lines.append(f"| {where} | {row['n_seeds']} | {learnt} | " + " | ".join(
                _said(row, name) for name in names) + " |")
        lines.append("")
    return "\n".join(lines)


def _sound(kept_of: Sequence[dict[str, list[int]]]) -> str:
    """Of all seeds, by digits: how many were kept, and the share of them whose steps are right."""
    told = []
    for digits in sorted({digits for one in kept_of for digits in one}):
        n, n_sound = (sum(one.get(digits, [0, 0])[i] for one in kept_of) for i in (0, 1))
        told.append(f"{digits} digits {n}, sound {n_sound / n:.0%}")
    return "; ".join(told)


def _said(row: Row, name: str) -> str:
    if name == "accuracy change" and "accuracy_change" in row:
        mean, low, high = row["accuracy_change"]
        return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
    after, before = row["measures"][name], row["measures"].get(f"{name} before", [])
    told = ", ".join(f"{value:.3f}" + ("" if low is None or "change" not in name else
                     f" ({low:+.2f} to {high:+.2f})") for value, low, high, _ in after)
    return (", ".join(dict.fromkeys(f"{one[0]:.3f}" for one in before)) + " → " if before else ""
            ) + told


# --- the command -----------------------------------------------------------------------------

WAYS: dict[str, Callable[[Place, set[tuple[Any, ...]]], Runs]] = {
    "dpo": dpo, "spin": spin, "star": star}
SMALL = ["n_embd=64", "n_layer=2", "n_head=2", "vocab_size=300"]  # of star


def parse(words: Sequence[str]) -> argparse.Namespace:
    def several(read: Callable[[str], Any]) -> Callable[[str], list[Any]]:
        return lambda text: [read(one) for one in text.split(",")]

    parser = argparse.ArgumentParser(prog="python -m tests.bench.improve")
    parser.add_argument("by", nargs="?", choices=WAYS)
    parser.add_argument("--corpus", help="of dpo and spin")
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--stories", type=int, help="of builtin, or worked examples of star")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tokens", type=parse_tokens, default=1_000_000, help="of the base")
    parser.add_argument("--set", action="append", default=[], help="key=value of the base")
    parser.add_argument("--how", action="append", default=[], help="key=value of what goes on")
    parser.add_argument("--betas", type=several(float), default=[0.05, 0.1, 0.2, 0.5])
    parser.add_argument("--epochs", type=several(float), default=[3.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--unhinted", action="store_true", help="star without rationalisation")
    parser.add_argument("--n", type=int, default=500, help="pairs or problems a round")
    parser.add_argument("--pool", type=int, default=1250, help="pairs that dpo draws from")
    parser.add_argument("--length", type=int, default=64, help="tokens of an answer of dpo")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    if not options.report and None in (options.by, options.models, options.out):
        parser.error("give dpo, spin or star with --models and --out, or --report")
    if options.by == "star":
        options.set = [*SMALL, *options.set]
    return options


def main(words: Sequence[str]) -> int:
    options = parse(words)
    rows = read(options.report or options.out)
    if not options.report:
        known = {tuple(row[key] for key in KEYS) for row in rows}
        options.models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            what = "sums" if options.by == "star" else options.corpus or "builtin"
            text = corpus.resolve(Path(folder), what, n_stories=options.stories,
                                  valid=options.valid)
            for row in WAYS[options.by](Place(options, text, options.models), known):
                rows.append(row)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, separators=(",", ":")) + "\n")
    found = report(rows)
    sys.stdout.write((json.dumps(found) if options.json else text_of(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
