"""A study of size and data on a terminal: sentences, and the table of thresholds."""

from collections.abc import Sequence

from agent import words
from agent.analysis.scaling import (
    Ground,
    RateCheck,
    Study,
    Threshold,
    bracket,
    headline,
    law_amount,
    main_thresholds,
    sentences,
)

YARDSTICKS = ("unigram", "bigram", "trigram")
GAP = "  "
AXES = {"tokens": "tokens after which each size passes a yardstick; in brackets by the law",
        "unique": "different tokens of text it takes for that at the most tokens"}


def lines(study: Study, ground: Ground, checks: Sequence[RateCheck], width: int) -> list[str]:
    """The answer first, then what it rests on."""
    found = words.wrapped(f"{headline(study, ground)}.", width)
    for axis in AXES:
        if table := threshold_rows(study, axis):
            found += ["", *words.wrapped(AXES[axis], width), *_columns(table, width)]
    found.append("")
    for _, sentence in sentences(study, ground, checks):
        found += words.wrapped(sentence, width)
    return found


def threshold_rows(study: Study, axis: str, *, is_short: bool = True) -> list[list[str]]:
    """A heading, then a row for each size of the main family: where it passes each yardstick.

    is_short  the law's word without its interval, for a terminal
    """
    its = main_thresholds(study, axis)
    names = [name for name in YARDSTICKS if any(one.yardstick == name for one in its)]
    by_size: dict[float, dict[str, Threshold]] = {}
    for one in its:
        by_size.setdefault(one.size, {})[one.yardstick] = one
    rows = [[words.amount(size), *(_told(its.get(name), is_short) for name in names)]
            for size, its in by_size.items()]
    return [["parameters", *names], *rows] if rows else []


def _told(one: Threshold | None, is_short: bool) -> str:
    """150k to 500k (320k): between runs, and by the law."""
    if one is None:
        return words.UNKNOWN
    law = law_amount(one.foretold, "never")
    if not is_short and one.foretold is not None:
        ends = [law_amount(value, "beyond") for value in (one.low, one.high)]
        law = f"{law}; 95 %: {' to '.join(ends)}"
    return f"{bracket(one.above, one.below)} ({law})"


def _columns(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A table; where it is too wide, the brackets without the law's word."""
    for shown in (rows, [[cell.partition(" (")[0] for cell in row] for row in rows]):
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        found = [GAP.join(cell.rjust(one) for cell, one in zip(row, widths, strict=True))
                 for row in shown]
        if max(map(len, found)) <= width:
            break
    return found
