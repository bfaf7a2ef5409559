"""Simulated nights in words and numbers: what was confirmed, gained and claimed."""

import statistics
import textwrap
from collections.abc import Callable
from typing import Any

from agent.simulate.night import Night
from agent.simulate.nights import (
    LEAST_COVERED,
    LEAST_FOUND,
    LEAST_GAIN,
    MOST_COVERED,
    MOST_FALSE,
    MOST_OPTIMISM,
    Nights,
    Ratio,
    Share,
    Suite,
    against_greedy,
    coverage,
    coverage_by_seeds,
    false_confirms,
    optimism,
    plants_found,
)

WIDTH = 60
KINDS = ("baseline", "search", "confirm", "ablate")
WORDS = ("confirmed", "refuted", "undecided")


def as_dict(found: Nights) -> dict[str, Any]:
    """Means over the nights, gains in bits per byte; None for what cannot be told."""
    confirmed, gain, claim = (false_confirms(found), against_greedy(found),
                              optimism(found.nights))
    covered, by_seeds = coverage(found), coverage_by_seeds(found)
    return {
        "nights": len(found.nights),
        "runs_by_kind": {kind: statistics.fmean(night.runs[kind] for night in found.nights)
                         for kind in KINDS},
        "batches": {word: statistics.fmean(night.batches[word] for night in found.nights)
                    for word in WORDS},
        "ablated": _mean(found, lambda night: night.n_ablated),
        "length": _mean(found, lambda night: night.length),
        "nights_with_confirmation": confirmed.value,
        "nights_with_plant_confirmed": plants_found(found).value,
        "true_gain": _mean(found, lambda night: night.true),
        "claimed_gain": _mean(found, lambda night: night.claimed),
        "silent_gain": _mean(found, lambda night: night.silent),
        "head_gain": _mean(found, lambda night: night.head_true),
        "greedy_true_gain": statistics.fmean(plain.true for plain in found.plain),
        "greedy_claimed_gain": statistics.fmean(plain.claimed for plain in found.plain),
        "true_gain_vs_greedy": gain.value,
        "optimism": claim.value,
        "greedy_optimism": optimism(found.plain).value,
        "coverage": covered.value if covered else None,
        "coverage_by_seeds_alone": by_seeds.value if by_seeds else None,
        "spread": {"nights_with_confirmation": confirmed.span, "true_gain_vs_greedy": gain.span,
                   "optimism": claim.span,
                   "coverage": covered.span if covered else (None, None)},
    }


def _mean(found: Nights, of: Callable[[Night], float]) -> float:
    return statistics.fmean(map(of, found.nights))


def page(found: Nights, title: str, n_runs: int, sigma: float, n_at_once: int = 1) -> str:
    """One surface whose scores move by sigma bits per byte with the seed; 60 columns at most."""
    told = as_dict(found)
    kinds, batches, span = told["runs_by_kind"], told["batches"], told["spread"]
    low, high = span["nights_with_confirmation"]
    rows = [
        ("confirmed anything", f"{100 * told['nights_with_confirmation']:.1f} % of nights "
                               f"({100 * low:.1f} to {100 * high:.1f})"),
        ("confirmed the plant", f"{100 * told['nights_with_plant_confirmed']:.1f} % of nights"
         if title == "planted" else ""),
        ("runs", ", ".join(f"{kinds[kind]:.1f} {kind}" for kind in KINDS)),
        ("at once", f"{n_at_once}, done in the time of {told['length']:.1f} runs"
         if n_at_once > 1 else ""),
        ("batches", ", ".join(f"{batches[word]:.2f} {word}" for word in WORDS)),
        ("steps left out", f"{told['ablated']:.2f}"),
        ("true gain", f"{told['true_gain']:.4f} bits/byte"),
        ("claimed", _claim(told["claimed_gain"], optimism(found.nights))),
        ("intervals hold it", _covered(coverage(found), coverage_by_seeds(found))),
        ("silent test", f"{told['silent_gain']:.4f}"),
        ("greedy's true gain", f"{told['greedy_true_gain']:.4f}"),
        ("greedy claims", _claim(told["greedy_claimed_gain"], optimism(found.plain))),
        ("of greedy's gain", _percent(against_greedy(found)))]
    lines = textwrap.wrap(f"{_count(len(found.nights))} of {n_runs} runs; proposals: {title}. "
                          f"Means of a night, where a seed moves a score by {sigma:.2g} bits/byte:",
                          WIDTH)
    for name, value in rows:
        if value:
            lines += textwrap.wrap(f"{name:<20}{value}", WIDTH, subsequent_indent=" " * 20)
    return "\n".join(lines)


def suite_page(found: Suite, n_runs: int) -> str:
    """The acceptance lines, no line longer than 60 columns."""
    shares = {"confirmed_noop": ("changes nothing: confirmed", f"<= {100 * MOST_FALSE:.0f} %"),
              "confirmed_seed_swap": ("swaps seeds: confirmed", f"<= {100 * MOST_FALSE:.0f} %"),
              "confirmed_planted": ("planted gain: confirmed", f">= {100 * LEAST_FOUND:.0f} %"),
              "true_gain_vs_greedy": ("true gain, of greedy's", f">= {100 * LEAST_GAIN:.0f} %"),
              "optimism": ("claimed over true", f"±{100 * MOST_OPTIMISM:.0f} %"),
              "coverage": ("95 % intervals hold true",
                           f"{100 * LEAST_COVERED:.0f} to {100 * MOST_COVERED:.0f}")}
    lines = [f"{_count(found.nights)} of {n_runs} runs on each surface", "",
             f"{'':<27}{'found':>8}{'95 %':>16}{'goal':>9}"]
    told = found.as_dict()
    if not found.has_texts:
        del shares["coverage"]
    for key, (name, goal) in shares.items():
        value, (low, high) = told[key], found.spread[key]
        number = "none" if value is None else f"{100 * value:.1f} %"
        span = "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"
        lines.append(f"{name:<27}{number:>8}{span:>16}{goal:>9}")
    failures = found.failures()
    lines += ["", *textwrap.wrap(f"Not accepted: {'; '.join(failures)}." if failures
                                 else "Accepted: every line is met.", WIDTH)]
    return "\n".join(lines)


def _count(n_nights: int) -> str:
    return "1 night" if n_nights == 1 else f"{n_nights:,} nights"


def _claim(gain: float, over: Ratio) -> str:
    if over.value is None:
        return f"{gain:.4f}"
    more = "more" if over.value >= 0 else "less"
    return f"{gain:.4f}, {100 * abs(over.value):.0f} % {more} than true"


def _covered(both: Share | None, by_seeds: Share | None) -> str:
    if both is None or by_seeds is None:
        return ""
    return f"{100 * both.value:.0f} % of {both.of}; over seeds alone {100 * by_seeds.value:.0f} %"


def _percent(one: Ratio) -> str:
    low, high = one.span
    if one.value is None:
        return ""
    if low is None or high is None:
        return f"{100 * one.value:.0f} %"
    return f"{100 * one.value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
