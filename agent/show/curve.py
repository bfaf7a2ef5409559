"""Curves as a few lines of text: losses with yardsticks to pass, the best of a night so far."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from agent import words
from agent.ledger import Metric

TRAIN, VALID, MARK, STAIR = "·", "o", "╌", "━"
LEGEND = f"{TRAIN} training  {VALID} validation  nats/token"
GUTTER = 6  # "12.34 " before the axis

Point = tuple[int, float]


def chart(curve: Sequence[Metric], marks: Mapping[str, float | None], width: int,
          height: int = 9, span: tuple[float, float] | None = None) -> list[str]:
    """Lines no longer than width; none where no loss is known.

    The steps run from 0 to the last one logged, the losses over those seen or over a span that
    holds them. A mark outside is left out.
    """
    train = _points((m.step, m.train_loss) for m in curve)
    valid = _points((m.step, m.val_loss) for m in curve)
    if not train + valid:
        return []
    low, high = span or loss_range(curve)
    names: defaultdict[int, list[str]] = defaultdict(list)  # row → yardsticks on it
    values = {0: high, height - 1: low}
    for name, mark in marks.items():
        if mark is not None and low <= mark <= high:
            row = _row(mark, low, high, height)
            names[row].append(name)
            values[row] = mark
    texts = {row: " " + "/".join(found) for row, found in names.items()}
    n_columns = max(8, width - GUTTER - 1 - max(map(len, texts.values()), default=0))
    last_step = max(step for step, _ in train + valid)
    grid = [[MARK if row in names else " "] * n_columns for row in range(height)]
    for points, glyph in ((_means(train, last_step, n_columns), TRAIN),
                          (_means(valid, last_step, n_columns), VALID)):
        for column, loss in points.items():
            grid[_row(loss, low, high, height)][column] = glyph
    lines = [_gutter(values.get(row)) + "".join(cells) + texts.get(row, "")
             for row, cells in enumerate(grid)]
    return [line.rstrip() for line in lines] + _axis(last_step, n_columns)


def _points(pairs: Iterable[tuple[int, float | None]]) -> list[Point]:
    return [(step, loss) for step, loss in pairs if loss is not None and math.isfinite(loss)]


def loss_range(curve: Iterable[Metric]) -> tuple[float, float]:
    """The losses seen, widened where they hardly differ, so that a flat curve stays flat."""
    losses = [loss for _, loss in _points(
        (m.step, loss) for m in curve for loss in (m.train_loss, m.val_loss))]
    low, high = min(losses), max(losses)
    if high - low >= 0.02:
        return low, high
    return low - 0.01, high + 0.01


def _row(loss: float, low: float, high: float, height: int) -> int:
    return round((high - loss) / (high - low) * (height - 1))


def _means(points: Sequence[Point], last_step: int, n_columns: int) -> dict[int, float]:
    """Mean loss of the points that fall on each column."""
    columns: defaultdict[int, list[float]] = defaultdict(list)
    for step, loss in points:
        columns[round(step / max(1, last_step) * (n_columns - 1))].append(loss)
    return {column: sum(found) / len(found) for column, found in columns.items()}


def _gutter(value: float | None) -> str:
    label = "" if value is None else f"{value:.2f}"
    return f"{label:>{GUTTER - 1}} " + ("│" if value is None else "┤")


def _axis(last_step: int, n_columns: int) -> list[str]:
    end = f"{last_step:,}"
    indent = " " * GUTTER
    return [indent + "└" + "─" * n_columns,
            indent + " 0" + end.rjust(n_columns - 1),
            "  " + LEGEND]


def course(points: Sequence[tuple[float, float]], lasted_s: float, width: int,
           height: int = 5) -> list[str]:
    """The best so far over time as a staircase; none where it never became better.

    points    seconds since the beginning and the score from then on, lower ones later
    """
    if len(points) < 2:
        return []
    high, low = points[0][1], points[-1][1]
    end_s = max(lasted_s, points[-1][0], 1.0)
    n_columns = max(8, width - GUTTER - 1)
    grid = [[" "] * n_columns for _ in range(height)]
    values = {0: high, height - 1: low}
    for i, (at_s, score) in enumerate(points):
        row = _row(score, low, high, height) if high > low else height - 1
        first = round(at_s / end_s * (n_columns - 1))
        last = n_columns if i + 1 == len(points) else round(
            points[i + 1][0] / end_s * (n_columns - 1))
        for column in range(first, max(first + 1, last)):
            for other in grid:
                other[column] = " "
            grid[row][column] = STAIR
    lines = [(_gutter(values.get(row)) + "".join(cells)).rstrip() for row, cells in enumerate(grid)]
    end = words.duration(end_s)
    title = "the best so far, bits/byte"
    indent = " " * GUTTER
    foot = indent + " 0" + title.center(n_columns - 1 - len(end)) + end
    return [*lines, indent + "└" + "─" * n_columns,
            foot if len(title) + len(end) + 4 <= n_columns else indent + " 0" + end.rjust(
                n_columns - 1)]
