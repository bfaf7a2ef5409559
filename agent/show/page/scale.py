"""From values to places on an axis, linear or logarithmic, and the round values that mark it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from agent.words import UNITS

STEPS = (1.0, 2.0, 5.0, 10.0)  # of a power of ten, what people count in
FEW_DECADES = 2.5  # up to so many a logarithmic axis has 2 and 5 beside 1
LEAST_FACTOR = 3.0  # ends nearer than that are marked as on a linear axis
SMALL, LARGE = 0.01, 10_000  # outside of these a number is written with an exponent or a unit
FINEST = 1e-4  # step between neighbours that is still written out
ROUNDING = 1e-9  # of an axis, by which a tick may lie outside

Kind = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from low to high; `label` says the quantity and its unit."""

    low: float
    high: float
    label: str = ""
    kind: Kind = "linear"
    names: tuple[str, ...] = ()  # of choices at 0, 1, 2, …: they are the ticks

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"an axis from {self.low} to {self.high} has no length")
        if self.kind == "log" and self.low <= 0:
            raise ValueError(f"a logarithmic axis cannot begin at {self.low}")

    def at(self, value: float) -> float:
        """Where a value lies, 0 at low and 1 at high; nan where the axis has no such place."""
        if self.kind == "linear":
            return (value - self.low) / (self.high - self.low)
        if not value > 0:
            return math.nan
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """About so many round values on the axis, each with its words: rather more than one."""
        if self.names:
            return [(float(i), name) for i, name in enumerate(self.names)]
        if self.kind == "log" and self.high / self.low >= LEAST_FACTOR:
            values = _logarithmic(self.low, self.high, most)
            if len(values) > 1:
                return [(value, short(value)) for value in values]
        for more in range(3):  # one alone does not say how far it is to the next
            values = linear_ticks(self.low, self.high, most + more)
            if len(values) > 1:
                break
        step = values[1] - values[0] if len(values) > 1 else self.high - self.low
        return [(value, short(value, step)) for value in values]


def scale_of(values: Iterable[float], label: str = "", kind: Kind = "linear",
             margin: float = 0.05) -> Scale | None:
    """An axis that holds all finite values with a margin at both ends; None where there are none.

    margin  part of the length; on a logarithmic axis values of 0 and below do not count
    """
    known = [value for value in values
             if math.isfinite(value) and (kind == "linear" or value > 0)]
    if not known:
        return None
    low, high = min(known), max(known)
    if kind == "log":
        reach = max(math.log(high / low), 0.1) * margin
        return Scale(low * math.exp(-reach), high * math.exp(reach), label, kind)
    reach = (high - low) * margin or abs(high) * margin or 1.0
    return Scale(low - reach, high + reach, label, kind)


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from low to high, as many as fit into most."""
    least = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(least))
    for step in (*(power * one for one in STEPS), power * 20):
        first = math.ceil(low / step - ROUNDING)
        last = math.floor(high / step + ROUNDING)
        if last - first + 1 <= most:
            break
    return [i * step for i in range(first, last + 1)]


def _logarithmic(low: float, high: float, most: int) -> list[float]:
    """Powers of ten, with 2 and 5 times them between where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if math.log10(high / low) <= FEW_DECADES else (1,)
    every = [factor * 10.0 ** power for power in range(first, last + 1) for factor in factors]
    within = [value for value in every if low * (1 - ROUNDING) <= value <= high * (1 + ROUNDING)]
    if len(within) > most and len(factors) > 1:
        within = [value for value in within if abs(math.log10(value) % 1) < ROUNDING
                  or abs(math.log10(value) % 1 - 1) < ROUNDING]
    stride = -(-len(within) // max(1, most))
    return within[::max(1, stride)]


def short(value: float, step: float | None = None) -> str:
    """A number in few letters: 1.25, 3e-4, 20k, 1.5M; step says how fine neighbours differ."""
    size = abs(value)
    if size < (step or 0) * ROUNDING or value == 0:
        return "0"
    if size >= LARGE or (size >= 1000 and step is None):
        for unit, sign in UNITS:
            if size >= unit:
                return f"{value / unit:.4g}{sign}"
    if size < SMALL and (step is None or step < FINEST):
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if step is None:
        return f"{value:.3g}"
    return f"{value:,.{max(0, -math.floor(math.log10(step) + ROUNDING))}f}"
