"""The status as rich renderables; they fit 60 columns and read the same without colour."""

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent import words
from agent.ledger import Decision, Run
from agent.machine import Present
from agent.show import earnings
from agent.show.curve import chart
from agent.show.status import Night, Progress, Rung, Status

MAX_WIDTH = 76  # wider lines are hard to read
CHART_ROWS = 9
REFRESH_S = 2.0
BAR = "━"

STYLES = {"kept": "green", "confirmed": "bold green", "baseline": "cyan", "ablated": "cyan",
          "discarded": "dim", "pruned": "dim", "refuted": "yellow", "undecided": "yellow",
          "diverged": "red", "killed": "red", "failed": "red", "lost": "red"}


def render(status: Status, width: int, chart_rows: int = CHART_ROWS) -> RenderableType:
    """The whole dashboard, no line longer than width."""
    width = min(width, MAX_WIDTH)
    facts = {"night": _night(status), "now": _run(status)}
    if status.elsewhere:
        facts["waits"] = Text(words.printable("\n".join(status.elsewhere)))
    if status.guard_now and status.guard_now.search:
        facts["search"] = Text(words.printable(status.guard_now.search))
    if ideas := earnings.lines(status.earned):
        facts["ideas"] = Text("\n".join(ideas))
    parts: list[RenderableType] = [_facts(facts, width)]
    lines = chart(status.curve, {rung.name: rung.nats for rung in status.yardsticks}, width,
                  chart_rows)
    if lines:
        parts += [Text(), Text("\n".join(lines), no_wrap=True, overflow="crop")]
    if status.best_yardsticks:
        parts += [Text(), _ladder(status, width)]
    if status.decisions:
        parts += [Text(), _decisions(status.decisions, width)]
    parts += [Text(), _facts({"guard": Text(_guard(status))}, width)]
    return Group(*parts)


def watch(read: Callable[[], Status], console: Console,
          sleep: Callable[[float], None] = time.sleep) -> None:
    """Show the dashboard anew every REFRESH_S seconds, until Ctrl-C."""
    def picture() -> RenderableType:
        rows = min(CHART_ROWS, max(4, console.height - 32))  # the rest takes about 32 lines
        return render(read(), console.width, rows)

    try:
        with Live(picture(), console=console, auto_refresh=False, screen=True) as live:
            while True:
                sleep(REFRESH_S)
                live.update(picture(), refresh=True)
    except KeyboardInterrupt:
        return


# --- parts -----------------------------------------------------------------------------------


def _facts(facts: Mapping[str, Text], width: int) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=6, style="bold")
    table.add_column(width=max(10, width - 7), overflow="fold")
    for name, fact in facts.items():
        table.add_row(name, fact)
    return table


def _night(status: Status) -> Text:
    night = status.night
    if status.is_daemon_alive and (night is None or night.state == "over"):
        return Text("none; an agent is preparing one, or trains by hand")
    if night is None:
        return Text("none yet; `agent run --for 8h` starts one")
    if night.state == "off":
        line = "off: no agent is running; `agent run` goes on"
    elif night.state == "over":
        line = words.printable(night.message)
    else:
        ago = words.duration(words.seconds_between(night.started_at, status.at))
        left = "until stopped" if night.left_s is None else f"{words.duration(night.left_s)} left"
        line = f"{night.state}, started {ago} ago, {left}"
    planned = "" if night.max_runs is None else f" of {night.max_runs}"
    line += f"\nruns: {night.n_ended}{planned} done, {night.n_queued} queued"
    if night.budget_tokens is not None:
        line += f", {words.count(night.budget_tokens)} tokens a run"
    return Text(line)


def _run(status: Status) -> Text:
    run, progress = status.run, status.progress
    if run is None:
        n_queued = status.counts["queued"]
        remedy = "`agent run` starts them" if n_queued else (
            "`agent run --for 4m` makes a first night")
        waiting = f", {n_queued} queued" if n_queued else ""
        return Text(f"nothing has run yet{waiting}"
                    + ("" if status.is_daemon_alive else f"; {remedy}"))
    if run.state in ("queued", "running") and progress is None:
        remedy = "" if status.is_daemon_alive else "; `agent run` goes on from its checkpoint"
        text = Text(f"{run.label} was interrupted after step {words.count(run.steps)}{remedy}\n")
        return text.append(run.config_text)
    if progress is None:
        text = Text(f"nothing runs; the last was {run.label}, {run.state}\n")
        text.append(run.config_text)
        if run.val_loss is not None:
            text.append(f"\n{_score(run.val_loss, run.val_bpb)}")
        return text
    text = Text(f"{run.label} running", style="bold")
    text.append(f", {run.strategy}\n{run.config_text}\n", style="not bold")
    text.append(_progress(progress, run, status.night))
    return text


def _progress(progress: Progress, run: Run, night: Night | None) -> Text:
    n_filled = round(20 * progress.share)
    text = Text(style="not bold")
    text.append(BAR * n_filled, style="green").append("╌" * (20 - n_filled), style="dim")
    text.append(f" {100 * progress.share:.0f}%  step {progress.step:,} of {progress.n_steps:,}\n")
    if progress.silent_s is not None:
        text.append(f"no sign of life since {words.clock(run.heartbeat_at)} "
                    f"({words.duration(progress.silent_s)}); `agent run` goes on from its "
                    "checkpoint", style="red")
        return text
    left = ("evaluating" if progress.step == progress.n_steps
            else f"{words.duration(progress.left_s)} left")
    text.append(f"{words.count(progress.tok_per_s)} tok/s, {left}\n")
    text.append(f"RAM {words.megabytes(progress.ram_mb)}, predicted "
                f"{words.megabytes(run.predicted_mb)}")
    if night and night.max_ram_mb is not None:
        text.append(f", limit {words.megabytes(night.max_ram_mb)}")
    return text


def _ladder(status: Status, width: int) -> RenderableType:
    """The yardsticks and the best run among them, the hardest last."""
    best, corpus = status.best, status.best_corpus
    assert best is not None  # its yardsticks are there
    assert corpus is not None
    own = Rung(name=f"→ {best.label}", nats=best.val_loss, bpb=best.val_bpb)
    rungs = sorted([*status.best_yardsticks, own], key=lambda rung: -(rung.nats or 0.0))
    easiest = max((rung.nats or 0.0 for rung in rungs), default=0.0) or 1.0
    table = Table.grid(padding=(0, 2))
    table.add_column(width=8)
    table.add_column(justify="right", width=10)
    table.add_column(justify="right", width=9)
    table.add_column()
    table.add_row(Text("best", style="bold"), "nats/token", "bits/byte", "")
    for rung in rungs:
        n = round(max(4, width - 34) * (rung.nats or 0.0) / easiest)
        table.add_row(rung.name, words.decimal(rung.nats, 3), words.decimal(rung.bpb, 3),
                      Text(BAR * n, style="green" if rung is own else "dim"),
                      style="bold" if rung is own else "")
    said = f", {status.best_verdict}" if status.best_verdict else ""
    return Group(table, Text(f"{best.label}{said}: {best.config_text}; on {corpus.name}, "
                             f"vocabulary {corpus.vocab_size:,}", style="dim"))


def _decisions(decisions: Sequence[Decision], width: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=max(len("decided"), *(len(one.label) for one in decisions)))
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row(Text("decided", style="bold"), "", "")
    for one in decisions:
        table.add_row(one.label, Text(one.verdict, style=STYLES.get(one.verdict, "")),
                      Text(words.printable(one.reason)))
    table.width = width
    return table


def _guard(status: Status) -> str:
    """The present word with its readings, or else the last one."""
    now = status.guard_now
    lines = [status.guard_word]
    if now:
        lines = [f"{now.word}: {now.told if now.word == 'go' and now.told else now.reason}"]
        lines += [now.told] if now.word == "waits" and now.told else []
        lines.append(_age(now, status.at))
    if status.guard and status.guard_word != "waits":  # waiting is its last word
        ago = words.duration(words.seconds_between(status.guard.at, status.at))
        about = f"{status.guard.label}, " if status.guard.label else ""
        lines.append(f"{about}{ago} ago: {status.guard.message}")
    return words.printable("\n".join(lines))


def _age(now: Present, at: str) -> str:
    """How old the readings are; the battery is asked once a minute."""
    age_s = words.seconds_between(now.at, at)
    battery_s = now.readings.get("battery_age_s")
    battery = "" if battery_s is None else (
        f", the battery {words.duration(max(0.0, age_s) + battery_s)} ago")
    return f"read {words.duration(age_s)} ago{battery}"


def _score(nats: float | None, bpb: float | None) -> str:
    return f"{words.decimal(nats, 3)} nats/token, {words.decimal(bpb, 3)} bits/byte"
