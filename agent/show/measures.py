"""What a model was measured by before and after it was improved, as lines for people."""

from collections.abc import Iterator

from agent.ledger import Measures

# What each is, in words; "right of 2 digits" says it itself.
LABELS = {"loss on the text": "loss on real text, nats a token",
          "accuracy": "pairs: the better one likelier",
          "win rate": "pairs: the better one gained more",
          "margin": "its gain over the worse, β · nats",
          "KL to the start": "drift from the start, nats/token",
          "faults a story": "faults a story", "faultless stories": "stories without a fault",
          "tokens a story": "tokens a story", "distinct-2": "pairs of tokens that differ"}
WIDEST = 33


def before_and_after(rows: Measures, width: int) -> Iterator[str]:
    """A line a measure, of things that were not trained on: before, after, the 95 % interval.

    Where the same things were asked before, the interval is that of the change.
    """
    found: dict[str, Measures] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row)
    yield f"  {'held out, not trained on':{WIDEST}}{'before':>7}{'after':>8}  95 % interval"
    for name in [*(one for one in LABELS if one in found),
                 *(one for one in found if one not in LABELS and not one.endswith(" change"))]:
        own, after = found[name], found[name][-1]
        before = f"{own[0]['value']:.3f}" if len(own) > 1 or not after["step"] else ""
        start = (f"  {LABELS.get(name, name):{WIDEST}}{before:>7}"
                 f"{format(after['value'], '.3f') if after['step'] else '':>8}").rstrip()
        change = found.get(f"{name} change")
        last, sign = (change[-1], "+") if change else (after, "")
        if last["low"] is None or not last["step"]:
            yield start
            continue
        told = f"{last['low']:{sign}.3f} to {last['high']:{sign}.3f}"
        told = f"{last['value']:+.3f} ({told})" if change else told
        is_short = len(start) + 2 + len(told) <= width
        yield f"{start}  {told}" if is_short else f"{start}\n{told:>{max(width, len(told))}}"
