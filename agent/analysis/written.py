"""What a model writes beside real text: the measures of a run, in pairs and in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.text import quality


@dataclass(frozen=True, slots=True)
class Written:
    """One figure of a model's texts and of real text."""

    name: str
    value: float
    low: float | None  # 95 % over the texts
    high: float | None
    real: float
    real_low: float | None
    real_high: float | None
    n: int | None  # texts


# Of each figure: in half a line, in a table's first column, and how its values are written.
SAID = {
    "known words": ("known words {own:.0%} ({real:.0%})", "known words",
                    "{:.1%}"),
    "nats under a trigram": ("{own:.2f} nats by a trigram ({real:.2f})",
                             "nats by a trigram", "{:.2f}"),
    "distinct-2": ("different pairs {own:.0%} ({real:.0%})", "different pairs", "{:.1%}"),
    "distinct-3": ("triples {own:.0%} ({real:.0%})", "different triples", "{:.1%}"),
    "longest copy": ("longest copy {own:.0f} tokens ({real:.0f})",
                     "longest copy, tokens", "{:.1f}"),
}


def written_in(rows: Iterable[Mapping[str, Any]]) -> list[Written]:
    """The figures of a run's texts that stand beside those of real text, in the order of NAMES."""
    by_name = {row["name"]: row for row in rows}
    return [Written(name, own["value"], own["low"], own["high"], real["value"], real["low"],
                    real["high"], own["n"])
            for name in SAID
            if (own := by_name.get(name)) and (real := by_name.get(name + quality.REAL))]


def told_of_text(its: Iterable[Written]) -> list[str]:
    """Two short lines; none where nothing was measured."""
    told = [SAID[one.name][0].format(own=one.value, real=one.real) for one in its]
    if not told:
        return []
    return [f"its text (real text): {', '.join(told[:2])}", *filter(None, [", ".join(told[2:])])]


def rows_of_text(its: Iterable[Written]) -> list[tuple[str, str, str]]:
    """What is measured, of the model's texts, of real text; means with their 95 % intervals."""
    return [(SAID[one.name][1], _value(SAID[one.name][2], one.value, one.low, one.high),
             _value(SAID[one.name][2], one.real, one.real_low, one.real_high)) for one in its]


def _value(form: str, value: float, low: float | None, high: float | None) -> str:
    told = form.format(value)
    return told if low is None or high is None else (
        f"{told} ({form.format(low)} to {form.format(high)})")
