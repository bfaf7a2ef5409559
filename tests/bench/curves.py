"""Anytime curves: the best fresh-seed loss against tokens spent, as data and as lines of text.

Each point is what the arm would have handed over had it been stopped there, trained anew on fresh
seeds, its mean over the nights.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from tests.bench.nights import Night

WIDTH, HEIGHT = 57, 12  # of the chart's field
SHARED = "*"  # a place of more curves than one
FROM = 1  # first point that the scale is made for: the start's is far above all others

Curve = dict[str, Any]
Score = Callable[[Sequence[float | None], Night], float]


def mean_curve(nights: Sequence[Night], is_head: bool, score: Score) -> Curve | None:
    """Mean and standard error at each mark where every night has a score; None without a curve.

    is_head  the agent's head in the place of what it would hand over
    """
    kept = [night for night in nights
            if night["anytime"] and (night["anytime"]["head_bpb"] or not is_head)]
    if not kept:
        return None
    found: Curve = {"nights": len(kept), "tokens": [], "bpb": [], "error": []}
    for i, tokens in enumerate(kept[0]["anytime"]["tokens"]):
        scores = [night["anytime"]["head_bpb" if is_head else "bpb"][i] for night in kept]
        if None in scores:
            continue
        values = [score(its, night) for its, night in zip(scores, kept, strict=True)]
        found["tokens"].append(tokens)
        found["bpb"].append(statistics.mean(values))
        found["error"].append(statistics.stdev(values) / math.sqrt(len(values))
                              if len(values) > 1 else None)
    return found


def span(curves: dict[str, Curve]) -> tuple[float, float]:
    """From the lowest loss to the highest at the FROM-th mark and after it, of all curves."""
    seen = [bpb for curve in curves.values() for bpb in curve["bpb"][FROM:] or curve["bpb"]]
    low, high = min(seen), max(seen)
    return (low, high) if high - low >= 0.002 else (low - 0.001, high + 0.001)


def most_tokens(curves: dict[str, Curve]) -> int:
    return max((max(curve["tokens"], default=0) for curve in curves.values()), default=0)


def chart(curves: dict[str, Curve]) -> list[str]:
    """The curves as letters; a point above the scale is left out."""
    (low, high), last = span(curves), most_tokens(curves)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    letters = dict(zip(curves, "abcdefghijklmnopqrstuvwxyz", strict=False))
    for name, curve in curves.items():
        for tokens, bpb in zip(curve["tokens"], curve["bpb"], strict=True):
            row = round((high - bpb) / (high - low) * (HEIGHT - 1))
            if 0 <= row < HEIGHT:
                column = round(tokens / last * (WIDTH - 1))
                is_free = grid[row][column] == " "
                grid[row][column] = letters[name] if is_free else SHARED
    gutter = {0: f"{high:.3f} ┤", HEIGHT - 1: f"{low:.3f} ┤"}
    lines = ["best fresh-seed bits/byte against tokens spent"]
    lines += [f"{gutter.get(i, '│'):>7}{''.join(cells)}".rstrip() for i, cells in enumerate(grid)]
    lines += ["      └" + "─" * WIDTH, "       0" + f"{last:,}".rjust(WIDTH - 1)]
    return lines + [f"  {letters[name]}  {name:<13}{ending(curve)}"
                    for name, curve in curves.items()] + [f"  {SHARED}  several"]


def ending(curve: Curve) -> str:
    error = curve["error"][-1]
    return f"{curve['bpb'][-1]:.4f}" + ("" if error is None else f" ± {error:.4f}")
