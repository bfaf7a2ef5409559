"""Runs and corpora as plain text: the list, one run whole, the yardsticks."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from agent import words
from agent.ledger import Corpus, Decision, Remark, Run
from agent.show.columns import GAP, Column, fitting, rows
from agent.show.curve import chart
from agent.show.run_log import indented
from agent.show.status import Detail, Rung, ladder

NAME_WIDTH = 11  # of the facts of one run
MOST_NAME = 50  # letters of a text's name
STAR, INDENT = "★ ", "     "
MIN_CONFIG = 18  # columns below which a configuration says nothing


_COLUMNS: tuple[Column[Run], ...] = (
    Column("run", lambda run: run.label, 0, is_text=True),
    Column("params", lambda run: words.size(run.n_params), 4),
    Column("steps", lambda run: words.count(run.steps), 5),
    Column("nats", lambda run: words.decimal(run.val_loss, 3), 1),
    Column("bits/B", lambda run: words.decimal(run.val_bpb, 3), 2),
    Column("unigram", lambda run: words.percent(run.vs_unigram), 3),
    Column("tok/s", lambda run: words.count(run.tok_per_s), 6),
    Column("took", lambda run: words.duration(run.duration_s), 7),
)


def run_list(runs: Sequence[Run], verdicts: Mapping[int, str], width: int,
             remarks: Mapping[int, Remark] | None = None) -> str:
    """One line a run, and a note under it; columns are dropped until the rest fits, and a
    configuration is cut. A star stands before it.
    """
    noted = remarks or {}
    if not runs:
        return "no runs"
    status: Column[Run] = Column("status", lambda run: verdicts.get(run.id, run.state), 0,
                                 is_text=True)
    columns = fitting(
        [_COLUMNS[0], status, *_COLUMNS[1:]],
        lambda left: len(rows(left, runs)[0]) + len(GAP) + MIN_CONFIG > width)
    head, *found = rows(columns, runs)
    lines = [f"{head}{GAP}config"]
    for row, run in zip(found, runs, strict=True):
        remark = noted.get(run.id, Remark())
        lines.append(f"{row}{GAP}{STAR if remark.is_starred else ''}{run.config_text}")
        if remark.note:
            lines.append(f"{INDENT}“{words.printable(' '.join(remark.note.split()))}”")
    return "\n".join(words.cut_at_word(line, width) for line in lines)


# --- one run ---------------------------------------------------------------------------------


def run_page(detail: Detail, sample: str | None, width: int) -> str:
    """Everything about one run, no line longer than width."""
    run = detail.run
    lines = [*textwrap.wrap(words.printable(f"{run.label} {run.state}, {run.config_text}"), width,
                            subsequent_indent="  ", break_on_hyphens=False), ""]
    for name, text in _facts(detail).items():
        lines += _wrapped(name, words.printable(text), width)
    marks = ladder(detail.corpus)
    curve = chart(detail.metrics, {rung.name: rung.nats for rung in marks}, width)
    if curve:
        lines += ["", *curve]
    if detail.corpus:
        own = Rung(name=f"→ {run.label}", nats=run.val_loss, bpb=run.val_bpb)
        lines += ["", *_rungs([*marks, own] if run.val_loss is not None else marks)]
    for decision in detail.decisions:
        lines += ["", *_decision(decision, width)]
    if sample is not None:
        lines += ["", "its last sample", indented(words.printable(sample), width)]
    return "\n".join(lines)


def _facts(detail: Detail) -> dict[str, str]:
    """What is known of a run, in words; the unknown is left out."""
    run, parent, corpus = detail.run, detail.parent, detail.corpus
    changes = [f"{name} {_value(both['old'])} → {_value(both['new'])}"
               for name, both in detail.diff.items()]
    facts = {
        "why": run.reason and f"{run.strategy}: {run.reason}",
        "parent": parent and f"{parent.label}, {parent.config_text}",
        "changed": ", ".join(changes),
        "config": ", ".join(f"{name} {_value(value)}" for name, value in run.config.items()),
        "corpus": corpus and f"{corpus.name}, vocabulary {corpus.vocab_size:,}",
        "size": run.n_params and f"{run.n_params:,} parameters" + (
            "" if run.n_params_embedding is None
            else f", {run.n_params_embedding:,} of them in embedding and head"),
        "budget": run.budget_tokens and f"{run.budget_tokens:,} tokens, seed {run.seed}",
        "done": run.steps and f"{run.steps:,} steps" + (
            "" if run.tokens is None else f", {run.tokens:,} tokens"),
        "result": _result(run),
        "speed": run.tok_per_s and f"{run.tok_per_s:,.0f} tok/s, {words.duration(run.duration_s)}",
        "memory": run.predicted_mb and (f"predicted {words.megabytes(run.predicted_mb)}, measured "
                                        f"{words.megabytes(run.peak_mb)}"),
        "times": ", ".join(f"{what} {words.clock(stamp)}" for what, stamp in (
            ("queued", run.created_at), ("started", run.started_at), ("ended", run.ended_at))
            if stamp),
        "machine": run.device,
        "code": run.code_version,
        "kernels": run.kernels,
        "error": run.error,
        # Of one that diverged the error ends with it.
        "trouble": detail.trace and run.state != "diverged" and detail.trace.told,
        "notes": run.notes,
        "starred": detail.is_starred and "★ by agent star",
        "note": detail.note,
        "source": f"{run.source}, uid {run.uid}",
    }
    return {name: text for name, text in facts.items() if text}


def _result(run: Run) -> str | None:
    if run.val_loss is None:
        return None
    text = f"{run.val_loss:.4f} nats/token"
    if run.val_bpb is not None:
        text += f", {run.val_bpb:.4f} bits/byte"
    if run.vs_unigram is not None:
        text += f", {words.percent(run.vs_unigram)} against the unigram"
    return text if run.train_loss is None else f"{text}; training {run.train_loss:.4f}"


def _decision(decision: Decision, width: int) -> list[str]:
    against = f" against {decision.against}" if decision.against else ""
    head = (f"{decision.verdict}{against}, {words.clock(decision.decided_at)}, "
            f"rule {decision.rule}")
    return [*textwrap.wrap(head, width, subsequent_indent="  "),
            *_wrapped("  because", words.printable(decision.reason), width),
            *_wrapped("  evidence", words.printable(_evidence(decision.evidence)), width)]


_EVIDENCE = {
    "bpb": "{:.4f} bits/byte", "confirm_bpb": "{:.4f} on the shard that confirms",
    "head_bpb": "head {:.4f}", "gain_bpb": "gain {:+.4f}", "cost_bpb": "costs {:+.4f}",
    "most_bpb": "at most {:+.4f}", "low_bpb": "95 % from {:+.4f}", "high_bpb": "to {:+.4f}",
    "seeds_low_bpb": "over seeds alone from {:+.4f}", "seeds_high_bpb": "to {:+.4f}",
    "n_blocks": "{} blocks of text",
    "n": "n {}", "z": "z {:.2f}", "least_z": "of {:.2f}", "s_d": "noise of a difference {:.4f}",
    "df": "{} degrees of freedom", "rho": "correlation over seeds {:+.2f}",
    "sigma": "spread of one run {:.4f}",
}


def _evidence(evidence: Mapping[str, Any]) -> str:
    """The numbers of a decision; one that no rule here knows is named as it is."""
    known = [text.format(evidence[name]) for name, text in _EVIDENCE.items()
             if evidence.get(name) is not None]
    others = [f"{name} {_value(value)}" for name, value in evidence.items()
              if name not in _EVIDENCE and value is not None]
    return ", ".join(known + others) or "none"


def _wrapped(name: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(f"{name:<{NAME_WIDTH}}{text}", width,
                         subsequent_indent=" " * NAME_WIDTH, break_on_hyphens=False)


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "default", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- yardsticks ------------------------------------------------------------------------------


def baselines(corpora: Sequence[Corpus]) -> str:
    """The yardsticks of every corpus under its name and sizes."""
    if not corpora:
        return "no corpus yet; `agent run --for 4m` prepares one"
    return "\n\n".join("\n".join(_corpus(corpus)) for corpus in corpora)


def _corpus(corpus: Corpus) -> list[str]:
    return [f"{words.one_line(corpus.name, MOST_NAME)} ({corpus.source}), "
            f"vocabulary {corpus.vocab_size:,}",
            f"  trained on {words.count(corpus.n_stories_train)} stories, "
            f"{words.count(corpus.n_tokens_train)} tokens",
            f"  scored on {words.count(corpus.n_tokens_search)} tokens, "
            f"{words.count(corpus.n_bytes_search)} bytes",
            *_rungs(ladder(corpus))]


def _rungs(rungs: Sequence[Rung]) -> list[str]:
    rows = [f"{rung.name:<10}{words.decimal(rung.nats, 4):>12}{words.decimal(rung.bpb, 4):>11}"
            for rung in rungs]
    return [f"{'':<10}{'nats/token':>12}{'bits/byte':>11}", *rows]
