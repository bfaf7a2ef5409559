"""Pictures as SVG: two axes and what stands between them, drawn for one width and one height.

A picture is a `Plot` of values; `svg` lays it out. Text keeps its size, so that a page holds one
drawing for a wide window and one for a phone. Colours are classes that the page's style fills in;
none is ever the only sign: shapes, dashes and words say the same.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.show.page import safe
from agent.show.page.contour import segments
from agent.show.page.marks import (
    Band,
    Bars,
    Contours,
    Dots,
    Errors,
    Line,
    Mark,
    Point,
    Rule,
    Shape,
)
from agent.show.page.scale import Scale
from agent.show.page.ticks import BOLD, FONT, LETTER, n_ticks, x_ticks, y_ticks

ROW = 17.0  # of a legend and between labels
MOST_LABEL = 28  # letters beside a point or a line's end
GRAIN = 2.0  # dots of one kind that lie nearer than that are one

# Around a place, each as large as the eye takes for equal.
SHAPES: dict[Shape, str] = {
    "dot": "h0", "ring": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "diamond": "m0-6.4l6 6.4-6 6.4-6-6.4z", "cross": "m-4-4l8 8m0-8l-8 8",
    "triangle": "m0-6l5.6 9.6h-11.2z", "square": "m-4-4h8v8h-8z"}
STYLE: dict[Shape, str] = {"dot": "dot", "ring": "hollow", "cross": "line"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture in the units of its axes; `title` names it, `text` says what is to be seen."""

    title: str
    text: str
    x: Scale
    y: Scale
    marks: Sequence[Mark]
    is_small: bool = False  # one of many: its title stands above, no legend, few ticks


@dataclass(frozen=True, slots=True)
class Field:
    """The rectangle between the axes, in pixels, and how values lie in it."""

    x: Scale
    y: Scale
    left: float
    top: float
    right: float
    bottom: float

    def place(self, point: Point) -> Point:
        return (self.left + (self.right - self.left) * self.x.at(point[0]),
                self.bottom - (self.bottom - self.top) * self.y.at(point[1]))

    def places(self, points: Iterable[Point]) -> list[Point]:
        """Those that are somewhere; also outside, where the field cuts them off."""
        found = (self.place(point) for point in points)
        return [(x, y) for x, y in found if math.isfinite(x) and math.isfinite(y)]

    def holds(self, place: Point) -> bool:
        return (self.left - 1 <= place[0] <= self.right + 1
                and self.top - 1 <= place[1] <= self.bottom + 1)


def svg(plot: Plot, width: int, height: int, name: str, style: str = "") -> str:
    """The picture as one element.

    name   unique in its page, of letters, digits and hyphens
    style  rules for a file of its own; a page has them once for all
    """
    legend = [] if plot.is_small else legend_of(plot.marks)
    rows = legend_rows(legend, width - 8)
    field = _field(plot, width, height, 22 + ROW * len(rows))
    parts = [*_axes(plot, field), *(_drawn(mark, field) for mark in plot.marks)]
    inside = (f'<clipPath id="{name}-f"><rect x="{number(field.left - 6)}" '
              f'y="{number(field.top - 6)}" width="{number(field.right - field.left + 12)}" '
              f'height="{number(field.bottom - field.top + 12)}"/></clipPath>'
              f'<g clip-path="url(#{name}-f)">{"".join(parts)}</g>')
    return element(width, height, name, plot.title, plot.text, "".join(
        [*_legend(rows), inside, *_tick_words(plot, field), *_words_beside(plot, field)]), style)


def element(width: int, height: float, name: str, title: str, text: str, inside: str,
            style: str = "") -> str:
    """An svg element with what it is and shows in words, for who does not see it."""
    own = f'xmlns="http://www.w3.org/2000/svg" width="{width}" height="{number(height)}" '
    rules = f"<style>{style}</style>" if style else ""
    return (f'<svg class="plot" {own if style else ""}viewBox="0 0 {width} {number(height)}" '
            f'role="img" aria-labelledby="{name}-t {name}-d"><title id="{name}-t">'
            f'{safe.isolated(title)}</title><desc id="{name}-d">{safe.isolated(text, 1000)}</desc>'
            f"{rules}{inside}</svg>")


def number(value: float) -> str:
    """A coordinate in as few letters as a tenth of a pixel takes."""
    return f"{value:.1f}".removesuffix(".0").replace("-0.", "-.") if value else "0"


def said(x: float, y: float, words: str, how: str = "", anchor: str = "") -> str:
    """Text at a place; how are classes."""
    at = f' text-anchor="{anchor}"' if anchor else ""
    kind = f' class="{how}"' if how else ""
    return f'<text x="{number(x)}" y="{number(y)}"{kind}{at}>{safe.isolated(words, 80)}</text>'


# --- the frame -------------------------------------------------------------------------------


def _field(plot: Plot, width: int, height: int, top: float) -> Field:
    n_letters = max((len(words) for _, words in plot.y.ticks(n_ticks(height, 1))), default=1)
    left = 8 + LETTER * n_letters
    ends = [line.end for line in plot.marks if isinstance(line, Line) and line.end]
    right = width - 14 - min(0.4 * width, BOLD * max(map(len, ends), default=0))
    return Field(plot.x, plot.y, left, top + (6 if plot.x.label else 0), right,
                 height - (40 if plot.x.label else 24))


def _axes(plot: Plot, field: Field) -> list[str]:
    """The grid of both axes as one path, behind everything."""
    marks = [field.place((plot.x.low, value))[1] for value, _ in _y_ticks(field)]
    lines = [f"M{number(field.left)} {number(y)}H{number(field.right)}" for y in marks]
    x_marks = [field.place((value, plot.y.low))[0] for value, _ in _x_ticks(field)]
    lines += [f"M{number(x)} {number(field.bottom)}v4" for x in x_marks]
    return [f'<path class="grid" d="{"".join(lines)}"/>']


def _x_ticks(field: Field) -> list[tuple[float, str]]:
    return x_ticks(field.x, field.right - field.left)


def _y_ticks(field: Field) -> list[tuple[float, str]]:
    return y_ticks(field.y, field.bottom - field.top)


def _tick_words(plot: Plot, field: Field) -> list[str]:
    """What the grid means, and the quantities; of a small picture its title in their place."""
    found = [said(field.left - 6, field.place((plot.x.low, value))[1] + 4, words, "tick", "end")
             for value, words in _y_ticks(field)]
    found += [said(field.place((value, plot.y.low))[0], field.bottom + 17, words, "tick", "middle")
              for value, words in _x_ticks(field)]
    above = plot.title if plot.is_small else plot.y.label
    found.append(said(2 if not plot.is_small else field.left, field.top - 11, above,
                      "name" if plot.is_small else "axis"))
    if plot.x.label:
        found.append(said(field.right, field.bottom + 34, plot.x.label, "axis", "end"))
    return found


# --- the legend ------------------------------------------------------------------------------


def legend_of(marks: Sequence[Mark]) -> list[tuple[Mark, str]]:
    """The marks that have a name, each name once."""
    named: dict[str, Mark] = {}
    for mark in marks:
        if mark.name:
            named.setdefault(mark.name, mark)
    return [(mark, name) for name, mark in named.items()]


def legend_rows(entries: Sequence[tuple[Mark, str]], width: float
                ) -> list[list[tuple[Mark, str, float]]]:
    """Entries in rows no wider than width, each with where it begins."""
    rows: list[list[tuple[Mark, str, float]]] = []
    at = width
    for mark, name in entries:
        needs = 24 + LETTER * len(name) + 14
        if at + needs > width or not rows:
            rows.append([])
            at = 2.0
        rows[-1].append((mark, name, at))
        at += needs
    return rows


def _legend(rows: Sequence[Sequence[tuple[Mark, str, float]]]) -> list[str]:
    found = []
    for i, row in enumerate(rows):
        y = 10 + ROW * i
        for mark, name, x in row:
            found += [_key(mark, x, y), said(x + 22, y + 4, name)]
    return found


def _key(mark: Mark, x: float, y: float) -> str:
    """A mark as it looks in the picture, small."""
    if isinstance(mark, Dots):
        return _shapes([(x + 8, y)], mark.shape, mark.kind)
    if isinstance(mark, Band | Bars):
        how = "band" if isinstance(mark, Band) else "fill"
        return f'<path class="k{mark.kind} {how}" d="M{number(x)} {number(y - 4)}h16v8h-16z"/>'
    how = _line_classes(mark) if isinstance(mark, Line) else (
        "rule" if isinstance(mark, Rule) else "line")
    return f'<path class="k{mark.kind} {how}" d="M{number(x)} {number(y)}h16"/>'


# --- marks -----------------------------------------------------------------------------------


def _drawn(mark: Mark, field: Field) -> str:
    match mark:
        case Line():
            return _path(_line_path(mark, field), mark.kind, _line_classes(mark))
        case Dots():
            return _dots(mark, field)
        case Band():
            upper = field.places((x, high) for x, _, high in mark.points)
            lower = field.places((x, low) for x, low, _ in mark.points)
            return _path(joined([*upper, *reversed(lower)]) + "z" if upper else "", mark.kind,
                         "band")
        case Bars():
            return _path(_bars(mark, field), mark.kind, "fill")
        case Errors():
            ends = [(field.places([(x, low), (x, high)])) for x, low, high in mark.points]
            return _path("".join(_whisker(*both) for both in ends if len(both) == 2), mark.kind,
                         "line")
        case Contours():
            # In pixels, so that heights are linear between neighbours as they are drawn.
            xs = [field.place((x, field.y.low))[0] for x in mark.xs]
            ys = [field.place((field.x.low, y))[1] for y in mark.ys]
            pieces = [piece for level in mark.levels
                      for piece in segments(xs, ys, mark.heights, level)]
            return _path("".join(joined(piece) for piece in pieces), mark.kind, "line thin")
        case Rule():
            return _path(_rule_path(mark, field), mark.kind, "rule")


def _path(d: str, kind: int, how: str) -> str:
    return f'<path class="k{kind} {how}" d="{d}"/>' if d else ""


def joined(places: Sequence[Point]) -> str:
    """A path through all of them."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in places) if places else ""


def _line_classes(mark: Line) -> str:
    return "line" + (" thin" if mark.is_thin else "") + (" dash" if mark.is_dashed else "")


def _line_path(mark: Line, field: Field) -> str:
    places = field.places(mark.points)
    if not mark.is_step or not places:
        return joined(places)
    (x, y), *rest = places
    return f"M{number(x)} {number(y)}" + "".join(f"H{number(a)}V{number(b)}" for a, b in rest)


def _rule_path(mark: Rule, field: Field) -> str:
    if mark.axis == "y":
        y = field.place((field.x.low, mark.at))[1]
        return f"M{number(field.left)} {number(y)}H{number(field.right)}"
    x = field.place((mark.at, field.y.low))[0]
    return f"M{number(x)} {number(field.top)}V{number(field.bottom)}"


def _bars(mark: Bars, field: Field) -> str:
    found = []
    for x, value in mark.points:
        corners = field.places([(x - mark.width / 2, mark.floor), (x + mark.width / 2, value)])
        if len(corners) == 2:
            (left, floor), (right, top) = corners
            found.append(f"M{number(left)} {number(floor)}V{number(top)}H{number(right)}"
                         f"V{number(floor)}z")
    return "".join(found)


def _whisker(low: Point, high: Point) -> str:
    (x, y), (_, y2) = low, high
    return (f"M{number(x)} {number(y)}V{number(y2)}M{number(x - 3)} {number(y)}h6"
            f"M{number(x - 3)} {number(y2)}h6")


def _dots(mark: Dots, field: Field) -> str:
    """All as one path; one by one where each says what it is."""
    if mark.titles:
        return "".join(
            _shapes(field.places([point]), mark.shape, mark.kind, title)
            for point, title in zip(mark.points, mark.titles, strict=True))
    apart = {(round(x / GRAIN), round(y / GRAIN)): (x, y) for x, y in field.places(mark.points)
             if field.holds((x, y))}
    return _shapes(list(apart.values()), mark.shape, mark.kind)


def _shapes(places: Sequence[Point], shape: Shape, kind: int, title: str = "") -> str:
    if not places:
        return ""
    d = "".join(f"M{number(x)} {number(y)}{SHAPES[shape]}" for x, y in places)
    told = f"<title>{safe.isolated(title)}</title>" if title else ""
    how = STYLE.get(shape, "fill")
    end = f">{told}</path>" if told else "/>"
    return f'<path class="k{kind} {how}" d="{d}"{end}'


# --- words inside ----------------------------------------------------------------------------


def _words_beside(plot: Plot, field: Field) -> list[str]:
    """Names of rules, of lines' ends and of points: each where it covers no other."""
    found: list[str] = []
    ends = {mark.end: field.place(mark.points[-1])[1] for mark in plot.marks
            if isinstance(mark, Line) and mark.end and mark.points}
    kinds = {mark.end: mark.kind for mark in plot.marks if isinstance(mark, Line)}
    most = int((0.4 * (field.right + field.left)) / LETTER)
    for end, y in apart(ends, field.bottom).items():
        found.append(said(field.right + 8, y + 4, end[:most], f"k{kinds[end]} end"))
    taken: list[tuple[float, float, float]] = []
    dots = [place for mark in plot.marks if isinstance(mark, Dots | Line)
            for place in field.places(mark.points)]
    for mark in plot.marks:
        if isinstance(mark, Rule) and mark.label:
            found += _rule_words(mark, field, dots, taken)
    for mark in plot.marks:
        if isinstance(mark, Dots):
            for point, label in zip(mark.points, mark.labels, strict=False):
                found += _label(field.place(point), label, field, taken)
    return found


def apart(places: dict[str, float], lowest: float) -> dict[str, float]:
    """Heights of labels, moved so far from one another that each can be read."""
    found: dict[str, float] = {}
    below = lowest + ROW
    for name, place in sorted(places.items(), key=lambda one: -one[1]):
        below = found[name] = min(place, below - ROW + 2)
    return found


def _rule_words(mark: Rule, field: Field, dots: Sequence[Point],
                taken: list[tuple[float, float, float]]) -> list[str]:
    """The name of a rule, at the end where fewer points are."""
    if mark.axis == "x":
        x = field.place((mark.at, field.y.low))[0]
        return _free(said(x + 4, field.top + 8, mark.label, "halo tick"),
                     (x + 4, x + 4 + LETTER * len(mark.label), field.top + 8), taken)
    y, length = field.place((field.x.low, mark.at))[1] - 5, LETTER * len(mark.label)
    left = min((field.left + 4, field.right - length),
               key=lambda start: _n_within(dots, start, start + length, y))
    return _free(said(left, y, mark.label, "halo tick"), (left, left + length, y), taken)


def _n_within(dots: Sequence[Point], left: float, right: float, y: float) -> int:
    return sum(left - 8 <= x <= right + 8 and y - FONT - 4 <= its_y <= y + 6 for x, its_y in dots)


def _label(place: Point, label: str, field: Field,
           taken: list[tuple[float, float, float]]) -> list[str]:
    if not label or not field.holds(place):
        return []
    label, (x, y) = label[:MOST_LABEL], place
    length = LETTER * len(label)
    for left, up in ((x - length / 2, 11.0), (x - length / 2, -20.0), (x + 9, -4.0),
                     (x - 9 - length, -4.0)):
        left = min(max(left, field.left + 2), field.right - length)
        drawn = _free(said(left, y - up, label, "halo strong"), (left, left + length, y - up),
                      taken)
        if drawn:
            return drawn
    return []


def _free(drawn: str, box: tuple[float, float, float],
          taken: list[tuple[float, float, float]]) -> list[str]:
    """The words where no others are yet, and their place taken with that."""
    left, right, y = box
    if any(left < its_right + 4 and right > its_left - 4 and abs(y - its_y) < FONT + 1
           for its_left, its_right, its_y in taken):
        return []
    taken.append(box)
    return [drawn]
