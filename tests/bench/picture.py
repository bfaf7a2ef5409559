"""Anytime curves as an SVG picture that reads on a dark page and on a light one."""

from html import escape
from typing import Any

from tests.bench import curves
from tests.bench.curves import Curve
from tests.bench.report import ORDER

WIDTH, HEIGHT = 760, 340  # of a group's panel
LEFT, RIGHT, TOP, BOTTOM = 56, 220, 44, 40
N_TICKS = 4
LINE = 15  # height of a label
# Of each arm in the order of rows, as their dashes.
LIGHT = ("#0b6b4f", "#0b6b4f", "#b3261e", "#8a5a00", "#6a3fb5", "#3a5a8c", "#a02c7a", "#555555",
         "#1c7f94", "#7a4a2b")
DARK = ("#5fd3a8", "#5fd3a8", "#ff8a80", "#ffc25c", "#bfa3ff", "#8fb8f0", "#f39ad4", "#aaaaaa",
        "#7fd4e6", "#d9a98a")
DASHES = ("none", "2 4", "none", "6 3", "none", "8 3 2 3", "none", "2 2", "10 3", "4 2 1 2")


def svg(found: dict[str, Any]) -> str:
    """One panel under another for the groups that have curves."""
    groups = [group for group in found["groups"] if group["curves"]]
    height = HEIGHT * max(1, len(groups))
    panels = "".join(f'<g transform="translate(0 {HEIGHT * i})">{_panel(group)}</g>\n'
                     for i, group in enumerate(groups))
    words = " ".join(_in_words(group) for group in groups) or "No night has a curve."
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'aria-labelledby="title text" font-family="sans-serif" font-size="12">\n'
            f'<title id="title">Best fresh-seed loss against tokens spent</title>\n'
            f'<desc id="text">{escape(words)}</desc>\n<style>{_style()}</style>\n'
            f'<clipPath id="field"><rect x="0" y="{TOP - 2}" width="{WIDTH}" height="{HEIGHT}"/>'
            f'</clipPath>\n<rect class="page" width="{WIDTH}" height="{height}"/>\n'
            f"{panels}</svg>\n")


def _style() -> str:
    lines = "".join(f".l{i} {{ stroke-dasharray: {dash} }} " for i, dash in enumerate(DASHES))
    return (f"{_colours(LIGHT, '#ffffff', '#222222', '#cccccc')}{lines}"
            "path { fill: none; stroke-width: 2 } .few, .grid { stroke-width: 1 } "
            "@media (prefers-color-scheme: dark) "
            f"{{ {_colours(DARK, '#101418', '#e6e6e6', '#3a4048')}}}")


def _colours(colours: tuple[str, ...], page: str, ink: str, grid: str) -> str:
    lines = "".join(f".l{i} {{ stroke: {colour} }} .t{i} {{ fill: {colour} }} "
                    for i, colour in enumerate(colours))
    return (f".page {{ fill: {page} }} text {{ fill: {ink} }} .grid {{ stroke: {grid} }} {lines}")


def _panel(group: dict[str, Any]) -> str:
    its: dict[str, Curve] = group["curves"]
    (low, high), last = curves.span(its), curves.most_tokens(its)
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT

    def x(tokens: float) -> float:
        return round(LEFT + (right - LEFT) * tokens / last, 1)

    def y(bpb: float) -> float:
        return round(TOP + (bottom - TOP) * (high - bpb) / (high - low), 1)

    parts = [_text(LEFT, 18, f"{group['text']}, from {group['start']}"),
             _text(LEFT, 34, "bits/byte of what would be handed over, on fresh seeds")]
    for i in range(N_TICKS + 1):
        bpb, tokens = low + (high - low) * i / N_TICKS, last * i / N_TICKS
        parts += [f'<path class="grid" d="M{LEFT} {y(bpb)}H{right}"/>',
                  _text(LEFT - 6, y(bpb) + 4, f"{bpb:.3f}", "end"),
                  _text(x(tokens), bottom + 18, f"{tokens / 1e6:.2g}M", "middle")]
    parts.append(_text(right, bottom + 34, "tokens spent", "end"))
    ends = _apart({name: y(curve["bpb"][-1]) for name, curve in its.items()}, bottom)
    most_runs = max(int(name.split()[1]) for name in its)
    for name, curve in its.items():
        arm, runs = name.split()
        kind, few = ORDER.index(arm), " few" if int(runs) < most_runs else ""
        points = [f"{x(tokens)} {y(bpb)}" for tokens, bpb
                  in zip(curve["tokens"], curve["bpb"], strict=True)]
        end = f"M{x(curve['tokens'][-1])} {y(curve['bpb'][-1])}L{right + 12} {ends[name]}"
        parts += [f'<path class="l{kind}{few}" clip-path="url(#field)" d="M{"L".join(points)}"/>',
                  f'<path class="grid" d="{end}"/>',
                  _text(right + 16, ends[name] + 4, f"{name}: {curves.ending(curve)}",
                        kind=f"t{kind}")]
    return "\n".join(parts)


def _text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _apart(places: dict[str, float], bottom: float) -> dict[str, float]:
    """Heights of the labels, so far from one another that each can be read."""
    found, lowest = {}, bottom + LINE
    for name, place in sorted(places.items(), key=lambda one: -one[1]):
        lowest = found[name] = min(place, lowest - LINE)
    return found


def _in_words(group: dict[str, Any]) -> str:
    ends = "; ".join(f"{name} {curves.ending(curve)}" for name, curve in group["curves"].items())
    return (f"{group['text']}, from {group['start']}, runs of {group['tokens_per_run']:,} tokens; "
            f"bits/byte at the end: {ends}.")
