"""A run's own log, events.jsonl, as values and as lines for people."""

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from agent import words
from agent.home import RunFolder
from agent.trial import read_events
from engine.errors import UserError

POLL_S = 0.5

LogEvent = dict[str, Any]


def read(folder: RunFolder, offset: int = 0) -> tuple[list[LogEvent], int]:
    """The whole lines behind offset, and the offset behind them; none where there is no log.

    A number that is not finite is None, as in the ledger.
    """
    try:
        events, offset = read_events(folder, offset)
    except OSError as error:
        raise UserError(f"{folder.events} cannot be read: {error.strerror}") from error
    return [{name: _finite(value) for name, value in event.items()} for event in events], offset


def follow(folder: RunFolder, has_ended: Callable[[], bool],
           sleep: Callable[[float], None]) -> Iterator[LogEvent]:
    """Every event, as it comes, until the run has ended."""
    offset = 0
    while True:
        is_last = has_ended()  # before reading, so that nothing written before the end is missed
        events, offset = read(folder, offset)
        yield from events
        if is_last:
            return
        sleep(POLL_S)


def last_sample(folder: RunFolder) -> str | None:
    """The newest text the run wrote; None where it wrote none."""
    samples = [event for event in read(folder)[0] if event.get("kind") == "sample"]
    return str(samples[-1].get("text", "")) if samples else None


def samples(folder: RunFolder) -> list[tuple[int, str]]:
    """The texts a run wrote as it learnt; none where its log is elsewhere or cannot be read."""
    try:
        events = read(folder)[0]
    except UserError:
        return []
    return [(int(event.get("step") or 0), str(event.get("text", ""))) for event in events
            if event.get("kind") == "sample"]


def output(folder: RunFolder) -> str:
    """What the worker printed; nothing, unless something broke."""
    try:
        return folder.output.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UserError(f"{folder.output} cannot be read: {error.strerror}") from error


def line(event: LogEvent, width: int) -> str:
    """An event in words; a sample takes as many lines as its text needs."""
    kind = str(event.get("kind", "?"))
    say = _SENTENCES.get(kind, _anything)
    text = words.fitted(f"{kind:<10} {words.printable(say(event))}", width, " " * 11)
    if kind == "sample":
        text += "\n" + indented(words.printable(str(event.get("text", ""))), width)
    return text.rstrip()


def indented(text: str, width: int) -> str:
    """Foreign text wrapped at width, set off by two columns; its own lines stay lines."""
    return "\n".join(textwrap.fill(one, width, initial_indent="  ", subsequent_indent="  ")
                     for one in text.splitlines())


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _start(event: LogEvent) -> str:
    return (f"worker {event.get('pid')} at step {words.count(event.get('step'))} "
            f"of {words.count(event.get('n_steps'))}")


def _at_step(event: LogEvent) -> str:
    return f"{words.count(event.get('step')):>6}"


def _step(event: LogEvent) -> str:
    return (f"{_at_step(event)}  loss {words.decimal(event.get('loss'), 4)}, norm "
            f"{words.decimal(event.get('grad_norm'), 2)}, {words.count(event.get('tok_per_s'))} "
            f"tok/s{_beside(event, 'train_accuracy', 'train_margin')}")


def _eval(event: LogEvent) -> str:
    return (f"{_at_step(event)}  {words.decimal(event.get('nats'), 4)} nats/token, "
            f"{words.decimal(event.get('bpb'), 4)} bits/byte"
            f"{_beside(event, 'accuracy', 'win_rate', 'margin', 'KL_to_the_start')}")


def _beside(event: LogEvent, *names: str) -> str:
    """What a run on pairs tells of them, too; of held-out ones with an evaluation."""
    return "".join(f", {name.removeprefix('train_').replace('_', ' ')} "
                   f"{words.decimal(event[name], 3)}" for name in names if name in event)


def _rung(event: LogEvent) -> str:
    return f"{_at_step(event)}  {words.decimal(event.get('bpb'), 4)} bits/byte at the rung"


def _pruned(event: LogEvent) -> str:
    return (f"{_at_step(event)}  {words.decimal(event.get('rung_bpb'), 4)} bits/byte is over "
            f"{words.decimal(event.get('max_bpb'), 4)}, so the run ends here")


def _done(event: LogEvent) -> str:
    return (f"{_at_step(event)}  in {words.duration(event.get('elapsed_s'))}, "
            f"{words.megabytes(event.get('peak_mb'))}")


def _diverged(event: LogEvent) -> str:
    return f"{_at_step(event)}  {event.get('message')}"


def _layers(event: LogEvent) -> str:
    largest = [score for score in event.get("max_score") or [] if isinstance(score, int | float)]
    return (f"{_at_step(event)}  activations {_range(event.get('act_rms'))}, gradients "
            f"{_range(event.get('grad_rms'))}, largest score "
            f"{words.decimal(max(largest, default=None), 1)}")


def _range(values: object) -> str:
    known = [value for value in values if isinstance(value, int | float)] if isinstance(
        values, list) else []
    low, high = (f"{one(known):.2g}" if known else words.UNKNOWN for one in (min, max))
    return low if low == high else f"{low} to {high}"


def _trace(event: LogEvent) -> str:
    return f"{_at_step(event)}  {event.get('told')}"


def _tracing(event: LogEvent) -> str:
    return (f"{_at_step(event)}  {words.count(event.get('done'))} of "
            f"{words.count(event.get('total'))} steps once more")


def _scoring(event: LogEvent) -> str:
    shard = f" on {event['shard']}" if event.get("shard") else ""
    return (f"{_at_step(event)}  {words.count(event.get('done'))} of "
            f"{words.count(event.get('total'))} {event.get('what') or 'windows'}{shard}")


def _making(event: LogEvent) -> str:
    return (f"{words.count(event.get('done'))} of {words.count(event.get('of'))} things to learn "
            f"from, batch {words.count(event.get('batch'))}")


def _anything(event: LogEvent) -> str:
    return "  ".join(f"{name} {value}" for name, value in event.items() if name != "kind")


_SENTENCES: dict[str, Callable[[LogEvent], str]] = {
    "start": _start, "step": _step, "eval": _eval, "sample": _at_step, "checkpoint": _at_step,
    "rung": _rung, "pruned": _pruned, "done": _done, "diverged": _diverged,
    "scoring": _scoring, "making": _making, "layers": _layers, "trace": _trace, "tracing": _tracing,
}
