"""The status as rich renderables; they fit 60 columns and read the same without colour."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent import words
from agent.ledger import Decision, Run
from agent.machine import Present
from agent.search import in_short
from agent.show import beside, earnings, grid, waking
from agent.show.curve import chart, course
from agent.show.fit import fitted, stacked
from agent.show.rows import NARROW, WIDE, facts
from agent.show.status import Progress, Rung, Status

MAX_WIDTH = 76  # wider lines are hard to read
CHART_ROWS, LEAST_ROWS, COURSE_ROWS = 9, 4, 4
N_SHORT = 3  # decisions where each has a line
REFRESH_S = 2.0
BAR = "━"

# Where a window has no room for all.
LEAST_FIRST = ("home", "guard", "spent", "decided", "ideas", "course", "curve", "text", "search",
               "best", "next", "now", "confirmed", "night")

STYLES = {"kept": "green", "confirmed": "bold green", "baseline": "cyan", "ablated": "cyan",
          "discarded": "dim", "pruned": "dim", "refuted": "yellow", "undecided": "yellow",
          "diverged": "red", "killed": "red", "failed": "red", "lost": "red"}


def render(status: Status, width: int, chart_rows: int = CHART_ROWS) -> RenderableType:
    """The whole dashboard, no line longer than width."""
    return stacked(blocks(status, min(width, MAX_WIDTH), chart_rows))


def blocks(status: Status, width: int, chart_rows: int = CHART_ROWS, *,
           is_short: bool = False, has_course: bool = True) -> dict[str, RenderableType]:
    """What there is to see by name, in the order of reading; a night that is over opens with what
    it came to.
    """
    page: dict[str, RenderableType] = {}
    names = WIDE if status.morning else NARROW  # one column for the names of a whole page
    if status.home:
        page["home"] = facts({"home": status.home}, width, names)
    page["night"] = facts({"night": _line(_night(status), width, names) if is_short
                           else _night(status)}, width, names)
    if status.morning:
        page |= waking.blocks(status, status.morning, width, is_short=is_short)
        page |= _waits(status, width, is_short, names)
        if status.run and status.run.state in ("queued", "running"):  # interrupted
            page["now"] = facts({"now": _lines(_run(status), width, names) if is_short
                                 else _run(status)}, width, names)
    else:
        page |= _at_work(status, width, chart_rows, is_short=is_short)
        if has_course and not is_short and (best := _best_so_far(status, width)):
            page["course"] = Text("\n".join(best), no_wrap=True, overflow="crop")
    if status.decisions:
        page["decided"] = (_decided(status.decisions, width, names)
                           if is_short or status.morning
                           else _decisions(status.decisions, width))
    guard = Text(_guard(status))
    page["guard"] = facts({"guard": _line(guard, width, names) if is_short else guard}, width,
                          names)
    return page


def _at_work(status: Status, width: int, chart_rows: int, *,
             is_short: bool) -> dict[str, RenderableType]:
    """What runs, where the search stands, how the loss falls and how good the best is."""
    now = _run(status).append(beside.told(status, width - NARROW - 1, is_short=is_short))
    page: dict[str, RenderableType] = {"now": facts(
        {"now": _lines(now, width) if is_short else now}, width)}
    page |= _waits(status, width, is_short, NARROW)
    if status.guard_now and status.guard_now.search:
        search = Text(words.printable(status.guard_now.search))
        page["search"] = facts({"search": _line(search, width) if is_short else search}, width)
    if ideas := earnings.lines(status.earned, status.predicted):
        page["ideas"] = facts({"ideas": "\n".join(ideas[:1] if is_short else ideas)}, width)
    lines = chart(status.curve, {rung.name: rung.nats for rung in status.yardsticks}, width,
                  chart_rows)
    if lines:
        page["curve"] = Text("\n".join(lines), no_wrap=True, overflow="crop")
    if status.grid:
        page["grid"] = Text("\n".join(grid.page(status.grid, width)), no_wrap=True)
    if status.best_yardsticks and status.best:
        page["best"] = (facts({"best": _lines(Text(waking.best(status, is_short=True)), width)},
                              width) if is_short else _ladder(status, width))
    return page


def _waits(status: Status, width: int, is_short: bool, names: int) -> dict[str, RenderableType]:
    """What is queued for other studies, if anything is."""
    waits = Text(words.printable("\n".join(status.elsewhere)))
    return {"waits": facts({"waits": _line(waits, width, names) if is_short else waits}, width,
                           names)} if status.elsewhere else {}


def _best_so_far(status: Status, width: int) -> list[str]:
    """The best of the night as it fell; nothing before it fell once."""
    if status.night is None:
        return []
    lasted_s = words.seconds_between(status.night.started_at, status.at)
    return course([(point.at_s, point.bpb) for point in status.course], lasted_s, width,
                  COURSE_ROWS)


def watch(read: Callable[[], Status], console: Console,
          sleep: Callable[[float], None] = time.sleep) -> None:
    """Show the dashboard anew every REFRESH_S seconds, until Ctrl-C or the terminal closes."""
    def picture() -> RenderableType:
        status, width = read(), min(console.width, MAX_WIDTH)
        free = console.height - 32  # the rest takes about 32 lines
        rows = min(CHART_ROWS, max(4, free))
        has_course = free >= CHART_ROWS + COURSE_ROWS + 3
        return fitted([blocks(status, width, rows, has_course=has_course),
                       blocks(status, width, LEAST_ROWS, is_short=True)],
                      LEAST_FIRST, console, console.height)

    try:
        with Live(picture(), console=console, auto_refresh=False, screen=True) as live:
            had_terminal = console.is_terminal
            while console.is_terminal == had_terminal:  # one that closed would be drawn for no one
                sleep(REFRESH_S)
                live.update(picture(), refresh=True)
    except KeyboardInterrupt:
        return


# --- parts -----------------------------------------------------------------------------------


def _line(text: Text, width: int, names: int = NARROW) -> Text:
    """All of it on one line, cut at a comma or else at a word."""
    plain = "; ".join(" ".join(line.split()) for line in text.plain.splitlines())
    return Text(words.cut_list(plain, width - names - 1))


def _lines(text: Text, width: int, names: int = NARROW) -> Text:
    """As many lines as it has, each cut at a word; the colours of those that fit stay."""
    return Text("\n").join(
        line if len(line) <= width - names - 1
        else Text(words.cut_at_word(line.plain, width - names - 1), line.style)
        for line in text.split("\n"))


def _decided(decisions: Sequence[Decision], width: int, names: int) -> Table:
    """The newest decisions on a line each."""
    table = Table.grid(padding=(0, 1))
    for least in (names, 3, len("discarded")):
        table.add_column(min_width=least, no_wrap=True)
    table.add_column(no_wrap=True)
    widest = max(len(one.label) for one in decisions)
    room = width - names - max(3, widest) - len("discarded") - 3
    for i, one in enumerate(decisions[:N_SHORT]):
        table.add_row(Text("" if i else "last", style="bold"), one.label,
                      Text(one.verdict, style=STYLES.get(one.verdict, "")),
                      words.cut_at_word(words.printable(" ".join(in_short(
                          one.verdict, one.evidence, one.reason).split())), room))
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
        if status.morning:
            ago_s = words.seconds_between(status.morning.ended_at, status.at)
            line = words.printable(f"over for {words.duration(ago_s)}: {status.morning.why}")
    else:
        ago = words.duration(words.seconds_between(night.started_at, status.at))
        left = "until stopped" if night.left_s is None else f"{words.duration(night.left_s)} left"
        line = f"{night.state}, started {ago} ago, {left}"
        if night.n_trials is not None:
            line += f", {words.at_once(night.n_trials, night.cluster)}"
    planned = "" if night.max_runs is None else f" of {night.max_runs}"
    n_ended = status.morning.n_runs if status.morning else night.n_ended
    line += f"\nruns: {n_ended}{planned} ended this night, {night.n_queued} queued"
    if night.budget_tokens is not None:
        line += f", {words.count(night.budget_tokens)} tokens a run"
    if night.run_s is not None:
        line += f", about {words.duration(night.run_s)} each"
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
        onward = "goes on from its checkpoint" if run.steps else "begins it again"
        remedy = "" if status.is_daemon_alive else f"; `agent run` {onward}"
        after = f"after step {run.steps:,}" if run.steps else "before its first checkpoint"
        waits = "waits" if status.is_daemon_alive else "was interrupted"
        text = Text(f"{run.label} {waits} {after}{remedy}\n")
        return text.append(run.config_text).append(_trouble(status))
    if progress is None:
        text = Text(f"nothing runs; the last was {run.label}, {run.state}\n")
        text.append(run.config_text)
        if run.val_loss is not None:
            text.append(f"\n{_score(run.val_loss, run.val_bpb)}")
        return text.append(_trouble(status))
    text = Text(f"{run.label} running", style="bold")
    text.append(f", {run.strategy}\n{run.config_text}\n", style="not bold")
    text.append(_progress(progress, run, status))
    return text.append(_trouble(status))


def _trouble(status: Status) -> Text:
    """What is wrong with the network of the run; nothing where a decision just below says it."""
    is_told = any(status.trouble in one.reason for one in status.decisions) if (
        status.trouble) else True
    return Text("") if is_told else Text(f"\n{words.printable(status.trouble or '')}",
                                         style="not bold red")


def _progress(progress: Progress, run: Run, status: Status) -> Text:
    night = status.night
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
    if status.beside:
        rams = [progress.ram_mb, *(one.progress.ram_mb for one in status.beside)]
        text.append(f", all {words.megabytes(sum(ram or 0.0 for ram in rams))}")
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
    name = words.one_line(corpus.name, waking.MOST_NAME)
    return Group(table, Text(words.printable(
        f"{best.label}{said}: {best.config_text}; on {name}, vocabulary {corpus.vocab_size:,}"),
        style="dim"))


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
