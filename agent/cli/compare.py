"""Commands that say what mattered: compare, importance, lineage."""

import dataclasses
import itertools
import textwrap
from collections.abc import Callable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent import words
from agent.analysis import (
    CONFIDENCE,
    ChainGain,
    Comparison,
    Importance,
    Lineage,
    Ranking,
    Step,
    compare_runs,
    find,
    head,
    in_words,
    interval,
    lineage_of,
    rank,
)
from agent.cli.main import main
from agent.cli.options import complete_labels, study_option
from agent.cli.progress import told_if_slow
from agent.cli.read import page_width
from agent.cli.status import as_json_option, show_json
from agent.home import Home
from agent.ledger import Reader, Run, corpus_of, study_of
from agent.show import BAR, LEGEND, STYLES, chart, loss_range
from engine.config import Config
from engine.errors import UserError
from strategies.base import TITLES

CHART_ROWS = 7
GAP = "  "
MOST_BAR = 20  # cells
GAIN_WIDTH = 14  # of a gain and the number of its steps
FITTING = "fitting a model to all runs; some seconds more"

_SCORES: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("nats/token", lambda run: words.decimal(run.val_loss, 4)),
    ("bits/byte", lambda run: words.decimal(run.val_bpb, 4)),
    ("vs unigram", lambda run: words.percent(run.vs_unigram)),
    ("training", lambda run: words.decimal(run.train_loss, 4)),
    ("tokens/s", lambda run: words.count(run.tok_per_s)),
    ("peak", lambda run: words.megabytes(run.peak_mb)),
    ("params", lambda run: words.count(run.n_params)),
    ("seed", lambda run: words.count(run.seed)),
)


@main.command("compare")
@click.argument("first", metavar="A", shell_complete=complete_labels)
@click.argument("second", metavar="B", shell_complete=complete_labels)
@study_option
@as_json_option
@click.pass_obj
def compare_(home: Home, first: str, second: str, study: int | None, as_json: bool) -> None:
    """Say what B changed in A, and whether the difference is more than luck.

    Example:  agent compare baseline best
    """
    with Reader.open(home.ledger) as ledger:
        found = compare_runs(ledger, first, second, study)
    if as_json:
        show_json(found.as_dict())
    else:
        click.echo(comparison_page(found, page_width()))


@main.command()
@click.argument("key", metavar="[RUN]", required=False, shell_complete=complete_labels)
@study_option
@as_json_option
@click.pass_obj
def importance(home: Home, key: str | None, study: int | None, as_json: bool) -> None:
    """Rank the fields of the configuration by how much they mattered.

    Example:  agent importance
    """
    with Reader.open(home.ledger) as ledger, told_if_slow(FITTING):
        found = rank(ledger, *_task(ledger, key, study))
    if as_json:
        show_json(found.as_dict())
    else:
        click.echo(importance_page(found, page_width()))


def _task(ledger: Reader, key: str | None,
          number: int | None) -> tuple[str, int, Run | None]:
    """Text and budget of the named run, or of a study, and the head of its study."""
    if key is None:
        study = study_of(ledger, number)
        return study.text_sha256, study.budget_tokens, ledger.incumbent(study.id)
    run = find(ledger, key, number)
    corpus = corpus_of(ledger, run)
    if corpus is None and run.source == "measured":
        raise UserError(f"the text of {run.label}, row {run.corpus_id} of corpora, was deleted "
                        "from the ledger; name another run")
    if corpus is None:
        raise UserError(f"{run.label} is a published row, whose text is unknown; name a run that "
                        "was measured here")
    known = {study.id for study in ledger.studies()}
    end = ledger.incumbent(run.calibration_id) if run.calibration_id in known else None
    return corpus.text_sha256, run.budget_tokens or 0, end


@main.command("lineage")
@click.argument("key", metavar="[RUN]", required=False, shell_complete=complete_labels)
@study_option
@as_json_option
@click.pass_obj
def lineage_(home: Home, key: str | None, study: int | None, as_json: bool) -> None:
    """Show the steps from the baseline to the head, each with a gain of its own.

    Example:  agent lineage
    """
    with Reader.open(home.ledger) as ledger:
        found = lineage_of(ledger, head(ledger, study) if key is None
                           else find(ledger, key, study))
    if as_json:
        show_json(dataclasses.asdict(found))
        return
    console = Console(width=page_width(), highlight=False)
    console.print(lineage_table(found))
    click.echo(lineage_sum(found, page_width()))


# --- pages -----------------------------------------------------------------------------------


def comparison_page(found: Comparison, width: int) -> str:
    """Two runs side by side, no line longer than width."""
    runs = (found.first, found.second)
    facts = {f"{run.label} {run.state}": run.config_text for run in runs}
    facts["changed"] = found.changes or "nothing that changes the training"
    facts |= {"note": found.note} if found.note else {}
    name_width = max(map(len, facts)) + len(GAP)
    lines = list(itertools.chain.from_iterable(
        textwrap.wrap(f"{name:<{name_width}}{text}", width, break_on_hyphens=False,
                      subsequent_indent=" " * name_width) for name, text in facts.items()))
    lines += ["", *_scores(found)]
    lines += ["", *_wrapped(f"{found.sentence}.", width)]
    if _differ_in_vocabulary(found):
        lines += _wrapped("Their vocabularies differ, so nats a token do not compare; bits a byte "
                          "do.", width)
    curves = _curves(found, width)
    return "\n".join([*lines, "", *curves] if curves else lines)


def _scores(found: Comparison) -> list[str]:
    runs = (found.first, found.second)
    rows = [["", *(run.label for run in runs)],
            *([title, *(cell(run) for run in runs)] for title, cell in _SCORES),
            *([["tokens", *(words.count(run.budget_tokens) for run in runs)]]
              if found.first.budget_tokens != found.second.budget_tokens else []),
            ["all seeds", *(_seeds(scores) for scores in (found.first_bpb, found.second_bpb))]]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return [GAP.join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2))])
            for row in rows]


def _seeds(scores: dict[int, float]) -> str:
    """Mean over the seeds of a configuration, and how many they are."""
    return f"{sum(scores.values()) / len(scores):.4f} ({len(scores)})"


def _differ_in_vocabulary(found: Comparison) -> bool:
    sizes = {Config.from_dict(run.config).vocab_size for run in (found.first, found.second)}
    return len(sizes) > 1


def _curves(found: Comparison, width: int) -> list[str]:
    """Both curves beside each other, on one scale unless their vocabularies differ."""
    curves = (found.first_curve, found.second_curve)
    if not all(any(m.train_loss is not None or m.val_loss is not None for m in curve)
               for curve in curves):
        return []
    span = None if _differ_in_vocabulary(found) else loss_range([*curves[0], *curves[1]])
    each = (width - len(GAP)) // 2
    sides = [[run.label, *chart(curve, {}, each, CHART_ROWS, span)[:-1]]  # one legend for both
             for run, curve in zip((found.first, found.second), curves, strict=True)]
    return [*(f"{left:<{each}}{GAP}{right}".rstrip()
              for left, right in zip(*sides, strict=True)), f"{GAP}{LEGEND}"]


def importance_page(found: Ranking, width: int) -> str:
    """A row a field, then the steps of several fields and the pairs; no line longer than width."""
    chain = f", and what {found.first} to {found.last} gained" if found.chain else ""
    lines = _wrapped(
        f"How much each field moved the loss, over the values that {found.n_configs} "
        f"configurations tried on {found.text} with {found.budget_tokens:,} tokens "
        f"({found.best_bpb:.4f} to {found.worst_bpb:.4f} bits/byte){chain}:", width)
    alone = {one.fields[0]: one for one in found.chain if len(one.fields) == 1}
    name_width = max(len(one.title) for one in found.fields)
    n_bar = min(MOST_BAR, width - name_width - len(_share_cell(0, 0, 1, True)) - GAIN_WIDTH)
    lines += ["", f"{'':<{name_width}} share      95 %{'':<{max(0, n_bar)}}{'gain alone':>12}"]
    for one in found.fields:
        bar = BAR * round(max(0, n_bar) * one.share)
        lines.append(words.cut(
            f"{one.title:<{name_width}}{_share_cell(one.share, one.low, one.high, one.told)}"
            f"{bar:<{max(0, n_bar)}}{_gain_cell(alone.get(one.name))}".rstrip(), width))
    lines += _pairs(found, name_width)
    return "\n".join([*lines, *_joint_steps(found, width), "", *_reading(found, width)])


def _share_cell(share: float, low: float, high: float, is_told: bool) -> str:
    return f" {100 * share:3.0f}%{' ' if is_told else '?'} {100 * low:3.0f} to {100 * high:3.0f}% "


def _gain_cell(gain: ChainGain | None) -> str:
    return "" if gain is None else f"{gain.gain_bpb:+8.4f} in {gain.n_steps}"


def _pairs(found: Ranking, name_width: int) -> list[str]:
    """What fields do together beyond what each does, and the pair that does most of it."""
    if not found.largest_pairs:
        return []
    first, second = (TITLES[name] for name in found.largest_pairs[0].names[:2])
    pairs = found.pairs
    return [f"{'pairs':<{name_width}}"
            f"{_share_cell(pairs.share, pairs.low, pairs.high, True)}".rstrip(),
            f"  most of it: {first} × {second}"]


def _joint_steps(found: Ranking, width: int) -> list[str]:
    """The steps that changed several fields, whose gain is not divided among them."""
    joint = [one for one in found.chain if len(one.fields) > 1]
    lines = ["", "steps of several fields"] if joint else []
    for one in joint:
        text = f"{_gain_cell(one):<14}{', '.join(TITLES[name] for name in one.fields)}"
        lines += textwrap.wrap(text, width, subsequent_indent=" " * 14, break_on_hyphens=False)
    if found.total_bpb is not None and found.chain:
        lines += [f"{found.total_bpb:+8.4f} from {found.first} to {found.last}"]
    return lines


def _reading(found: Ranking, width: int) -> list[str]:
    """What the numbers mean, and what the runs cannot tell."""
    texts = ["A share is a part of the variance of a fitted model over the range of values that "
             "were tried, with its 95 % interval. A field that was well set from the start has a "
             "share and no gain; gains on one seed claim too much and need not add up."]
    if any(not one.told and not one.others for one in found.fields):
        texts.append("? cannot be told: too few runs moved it without the others.")
    texts += [f"? cannot be told apart, as they only moved together: {', '.join(titles)}; the "
              "share is of them together." for titles in _together(found.fields)]
    if found.never_changed:
        never = ", ".join(TITLES[name] for name in found.never_changed)
        texts.append(f"Never changed: {never}.")
    return [line for text in texts for line in _wrapped(text, width)]


def _together(fields: Sequence[Importance]) -> list[list[str]]:
    """Titles of the fields of each group, each group once."""
    groups = {frozenset((one.name, *one.others)) for one in fields if one.others}
    return [[one.title for one in fields if one.name in group] for group in groups]


def lineage_table(found: Lineage) -> Table:
    """One row a step, what it changed below it."""
    table = Table.grid(padding=(0, 1))
    for _ in range(2):
        table.add_column()
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    table.add_row("run", "verdict", "bits/byte", "gain on the step before", style="bold")
    for step in found.steps:
        table.add_row(Text(step.run.label), Text(words.printable(step.verdict),
                                                 style=STYLES.get(step.verdict, "")),
                      words.decimal(step.run.val_bpb, 4), Text(_step(step)))
    return table


def _step(step: Step) -> str:
    """Its gain, then what it changed."""
    if step.gain is None:
        start = step.changes or step.run.config_text
        seeds = "1 seed" if step.n_seeds == 1 else f"{step.n_seeds or 'no'} seeds"
        return f"{start}\n({seeds} finished)"
    gain = f"{step.gain.bpb:+.4f}, one seed" if step.gain.n_first == step.gain.n_second == 1 else (
        f"{step.gain.bpb:+.4f}, {step.gain.n_first} and {step.gain.n_second} seeds")
    if step.gain.low is not None:
        gain = (f"{step.gain.bpb:+.4f} ({interval(step.gain)}), "
                f"{min(step.gain.n_first, step.gain.n_second)} seeds")
    return "\n".join(filter(None, (gain, step.changes, step.claim)))


def lineage_sum(found: Lineage, width: int) -> str:
    """The whole chain's gain, and how to read the others."""
    steps: Sequence[Step] = found.steps
    lines = []
    if found.total:
        lines += ["", *_wrapped(
            f"{in_words(found.total, steps[0].run.label, steps[-1].run.label)}.", width)]
    if any(step.gain and step.gain.low is None for step in steps):
        lines += ["", *_wrapped(
            "A gain on one seed claims too much: the step was kept because of that very score. It "
            "is over the head's run on the same seed, after a confirmation a fresh one: rows need "
            "not add up.", width)]
    if any(step.verdict == "confirmed" and step.claim is None for step in steps):
        lines += ["", *_wrapped(
            "Steps that have no test of their own were tested, and confirmed, together with those "
            "up to the next one that has.", width)]
    if any(step.gain and step.gain.low is not None for step in steps):
        lines += ["", f"In brackets the {100 * CONFIDENCE:.0f} % interval of a gain."]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)
