"""The pictures of a study of size and data, each under the sentence that says what it shows."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from agent.analysis.scaling import (
    Checked,
    Observed,
    Study,
    Threshold,
    families_names,
    law_surface,
    main_thresholds,
)
from agent.show.page.blocks import Figure
from agent.show.page.draw import Plot
from agent.show.page.marks import (
    BLUE,
    GREEN,
    N_KINDS,
    ORANGE,
    PURPLE,
    QUIET,
    RED,
    Band,
    Contours,
    Dots,
    Errors,
    Line,
    Mark,
    Point,
    Rule,
    Shape,
)
from agent.show.page.ranked import Row, Rows
from agent.show.page.scale import Scale, linear_ticks, scale_of
from agent.words import amount

LOSS, TOKENS, PARAMETERS = "nats/token", "tokens seen", "parameters of the matrices"
SHAPES: tuple[Shape, ...] = ("dot", "diamond", "square", "triangle")
SIGNS: dict[str, tuple[int, Shape]] = {"unigram": (GREEN, "dot"), "bigram": (BLUE, "diamond"),
                                       "trigram": (ORANGE, "square")}
N_LEVELS = 9  # lines of equal loss, about
BEYOND = 1.5  # factor by which a bracket without an end reaches over what was run


def figures(study: Study, checked: Sequence[Checked]) -> Iterator[Figure]:
    """In the order in which they answer: data, size, both, the law, thresholds, families."""
    yield from _over_tokens(study)
    yield from _over_parameters(study)
    yield from _over_unique(study)
    yield from _contours(study)
    of_law = [one for one in checked if one.is_of_law]
    yield from _foretold(of_law)
    yield from _residuals(study, of_law)
    yield from _thresholds(study)
    yield from _families(study)


def _axis(values: Iterable[float], label: str, kind: str = "log") -> Scale:
    found = scale_of(values, label, "log" if kind == "log" else "linear", 0.06)
    assert found is not None  # every study has runs
    return found


def _own(study: Study) -> list[Observed]:
    """The runs of the family of the most runs."""
    name = families_names(study.runs)[0]
    return [run for run in study.runs if run.family == name]


def _whole(runs: Sequence[Observed]) -> list[Observed]:
    """Those that saw as much different text as any of their length, or nothing twice."""
    most = max(run.unique for run in runs)
    return [run for run in runs if run.unique >= min(run.tokens, most)]


def _means(pairs: Iterable[tuple[float, float]]) -> list[Point]:
    """One point for each x, over seeds."""
    found = defaultdict(list)
    for x, y in pairs:
        found[x].append(y)
    return [(x, sum(ys) / len(ys)) for x, ys in sorted(found.items())]


def _lines(groups: dict[str, list[Point]]) -> list[Mark]:
    """A line a group, named at its end; colour, dash and shape tell it."""
    marks: list[Mark] = []
    for i, (name, points) in enumerate(groups.items()):
        kind = 1 + i % (N_KINDS - 1)
        marks += [Line(points=points, kind=kind, end=name, is_dashed=bool(i // 4 % 2)),
                  Dots(points=points, kind=kind, shape=SHAPES[i % len(SHAPES)])]
    return marks


def _rules(study: Study, losses: Sequence[float]) -> list[Mark]:
    """The yardsticks that lie among these losses, or just beside."""
    reach = 0.15 * (max(losses) - min(losses))
    return [Rule(at=nats, label=name) for name, nats in study.yardsticks.items()
            if min(losses) - reach <= nats <= max(losses) + reach]


def _with_rules(study: Study, groups: dict[str, list[Point]], x: Scale, title: str,
                text: str) -> Plot:
    losses = [y for points in groups.values() for _, y in points]
    rules = _rules(study, losses)
    heights = [*losses, *(one.at for one in rules if isinstance(one, Rule))]
    return Plot(title=title, text=text, x=x, y=_axis(heights, LOSS, "linear"),
                marks=[*rules, *_lines(groups)])


def _over_tokens(study: Study) -> Iterator[Figure]:
    runs = _whole(_own(study))
    groups = {amount(n): _means((run.tokens, run.loss) for run in runs if run.n_matrices == n)
              for n in sorted({run.n_matrices for run in runs}, reverse=True)}
    first, last = (groups[name] for name in (list(groups)[-1], list(groups)[0]))
    finding = (f"More data helps every size: the smallest falls from {first[0][1]:.2f} to "
               f"{first[-1][1]:.2f} nats/token, the largest from {last[0][1]:.2f} to "
               f"{last[-1][1]:.2f}.")
    yield Figure(name="loss-over-tokens", finding=finding, height=380, note=(
        "A line a size (parameters of its matrices), means over seeds. Dotted: models that count "
        "tokens, pairs and triples of the training text."), pictures=[_with_rules(
            study, groups, _axis([run.tokens for run in runs], TOKENS), "Loss over data", finding)])


def _over_parameters(study: Study) -> Iterator[Figure]:
    runs = _whole(_own(study))
    groups = {f"{amount(d)} tokens": _means((run.n_matrices, run.loss) for run in runs
                                            if run.tokens == d)
              for d in sorted({run.tokens for run in runs})}
    groups = {name: points for name, points in groups.items() if len(points) > 1}
    if not groups:
        return
    best = {name: min(points, key=lambda one: one[1])[0] for name, points in groups.items()}
    few, many = next(iter(best)), list(best)[-1]
    finding = (f"With {few} {amount(best[few])} parameters are best, with {many} "
               f"{amount(best[many])}.")
    yield Figure(name="loss-over-parameters", finding=finding, height=380, note=(
        "A line an amount of tokens seen, means over seeds."), pictures=[_with_rules(
            study, groups, _axis([run.n_matrices for run in runs], PARAMETERS), "Loss over size",
            finding)])


def _over_unique(study: Study) -> Iterator[Figure]:
    """Loss over tokens of the largest size that was run on parts of the text."""
    own = _own(study)
    most = max(run.unique for run in own)
    parts = [run for run in own if run.unique < min(run.tokens, most)]
    if not parts:
        return
    n_runs = Counter(run.n_matrices for run in parts)
    size = max(n_runs, key=lambda one: (n_runs[one], one))
    groups: dict[str, list[Point]] = {}
    for unique in sorted({run.unique for run in parts if run.n_matrices == size}):
        groups[f"{amount(unique)} different"] = _means(
            (run.tokens, run.loss) for run in parts
            if run.n_matrices == size and run.unique == unique)
    whole = _means((run.tokens, run.loss) for run in _whole(own) if run.n_matrices == size)
    if whole:
        groups["all of the text"] = whole
    worst = {name: points[-1][1] for name, points in groups.items()}
    finding = (f"What is seen again teaches less: after the most tokens {amount(size)} parameters "
               "are at " + ", ".join(f"{loss:.2f} ({name})" for name, loss in worst.items()) + ".")
    tokens = [x for points in groups.values() for x, _ in points]
    yield Figure(name="loss-over-different-text", finding=finding, height=380, note=(
        "A line an amount of different tokens, over the tokens seen."), pictures=[_with_rules(
            study, groups, _axis(tokens, TOKENS), "Loss over data that repeats", finding)])


def _contours(study: Study) -> Iterator[Figure]:
    its = law_surface(study)
    heights = [loss for row in its.loss for loss in row]
    runs = _whole(_own(study))
    levels = linear_ticks(min(heights), max(heights), N_LEVELS)
    step = f"{levels[1] - levels[0]:g} " if len(levels) > 1 else ""
    marks: list[Mark] = [Contours(xs=its.tokens, ys=its.sizes, heights=its.loss, levels=levels,
                                  kind=QUIET)]
    for name, (kind, _) in SIGNS.items():
        nats = study.yardsticks.get(name)
        if nats is not None and (frontier := its.frontier(nats)):
            marks.append(Line(points=frontier, kind=kind, is_dashed=name == "trigram",
                              name=f"the {name}'s {nats:.2f}"))
    cells: dict[Point, list[float]] = defaultdict(list)
    for run in runs:
        cells[run.tokens, run.n_matrices].append(run.loss)
    marks.append(Dots(points=list(cells), kind=PURPLE, name="measured",
                      labels=[f"{sum(losses) / len(losses):.2f}" for losses in cells.values()]))
    finding = (f"By the law {study.best.form.words} size and data make up for each other along "
               "these lines.")
    yield Figure(name="contours", finding=finding, height=460, note=(
        f"Lines of equal loss, {step}nats/token apart, each token seen once; the numbers are the "
        f"runs of the family {families_names(study.runs)[0]}."), pictures=[Plot(
            title="Lines of equal loss", text=finding, x=_axis(its.tokens, TOKENS),
            y=_axis(its.sizes, PARAMETERS), marks=marks)])


def _foretold(checked: Sequence[Checked]) -> Iterator[Figure]:
    seen = [one for one in checked if not one.is_held_out]
    held = [one for one in checked if one.is_held_out]
    every = [value for one in checked for value in (one.run.loss, one.foretold)]
    axis = _axis(every, LOSS, "linear")
    marks: list[Mark] = [
        Line(points=[(axis.low, axis.low), (axis.high, axis.high)], kind=QUIET, is_thin=True),
        Dots(points=[(one.foretold, one.run.loss) for one in seen], kind=BLUE, name="fitted to")]
    if held:
        marks.append(Dots(points=[(one.foretold, one.run.loss) for one in held], kind=RED,
                          shape="diamond", name="held out: of the most compute"))
    worst = max(checked, key=lambda one: abs(one.error_percent))
    finding = (f"The law and the runs differ by {abs(worst.error_percent):.1f} % at most "
               f"({worst.run.label}).")
    yield Figure(name="foretold", finding=finding, height=420, note=(
        "On the line both are the same; above it a run did worse than foretold."), pictures=[Plot(
            title="Foretold and measured", text=finding,
            x=Scale(axis.low, axis.high, "foretold, nats/token"),
            y=Scale(axis.low, axis.high, "measured, nats/token"), marks=marks)])


def _residuals(study: Study, checked: Sequence[Checked]) -> Iterator[Figure]:
    x = _axis([one.flops for one in checked], "compute, 6 N D")
    marks: list[Mark] = []
    if study.sigma:
        noise = 200 * study.sigma
        marks.append(Band(points=[(x.low, -noise, noise), (x.high, -noise, noise)], kind=QUIET,
                          name="2 σ of seeds"))
    marks.append(Rule(at=0.0))
    for i, name in enumerate(families_names(study.runs)):
        points = [(one.flops, one.error_percent) for one in checked
                  if one.run.family == name and not one.is_held_out]
        if points:
            marks.append(Dots(points=points, kind=1 + i % (N_KINDS - 1),
                              shape=SHAPES[i % len(SHAPES)], name=name))
    if held := [(one.flops, one.error_percent) for one in checked if one.is_held_out]:
        marks.append(Dots(points=held, kind=RED, shape="cross", name="held out"))
    errors = [one.error_percent for one in checked]
    n_over = sum(abs(error) > 200 * (study.sigma or math.inf) for error in errors)
    finding = (f"{n_over} of {len(errors)} runs are off the law by more than seeds differ."
               if study.sigma else "What the law leaves of each run.")
    yield Figure(name="residuals", finding=finding, note="Measured over foretold, less one.",
                 pictures=[Plot(title="What the law leaves", text=finding, x=x,
                                y=_axis([*errors, 0.0], "per cent", "linear"), marks=marks)])


def _thresholds(study: Study) -> Iterator[Figure]:
    for axis, label, what in (("tokens", TOKENS, "tokens"), (
            "unique", "different tokens", "different tokens of text")):
        its = [one for one in main_thresholds(study, axis) if one.yardstick in SIGNS]
        ends = [value for one in its for value in (one.above, one.below) if value is not None]
        if not ends:
            continue
        y = _axis([min(ends) / BEYOND, max(ends) * BEYOND], label)
        marks = [mark for name in SIGNS for mark in _frontier(
            [one for one in its if one.yardstick == name], name, y)]
        finding = f"How many {what} each size needs to know more than counting tells."
        yield Figure(name=f"thresholds-{axis}", finding=finding, height=420, note=(
            "Upright: between the last run above a yardstick and the first below it; with its sign "
            "at an end it is open on the other. Lines and bands: by the law, with its 95 % "
            "interval."), pictures=[Plot(
                title=f"Thresholds in {what}", text=finding,
                x=_axis([one.size for one in its], PARAMETERS), y=y, marks=marks)])


def _frontier(its: Sequence[Threshold], name: str, y: Scale) -> Iterator[Mark]:
    """The brackets of one yardstick, and the law's line with its band; open ends reach the edge."""
    kind, shape = SIGNS[name]
    # Beside each other, so that brackets of one size do not hide each other.
    aside = {"unigram": 0.965, "bigram": 1.0, "trigram": 1.036}[name]
    law = [(one.size, one.foretold) for one in its if one.foretold is not None]
    band = [(one.size, max(one.low, y.low), min(one.high or y.high, y.high)) for one in its
            if one.foretold is not None and one.low is not None and one.low < y.high]
    if len(band) > 1:
        yield Band(points=band, kind=kind)
    if len(law) > 1:
        yield Line(points=law, kind=kind, is_thin=True, is_dashed=True)
    known = [(one.size * aside, one.above or y.low, one.below or y.high) for one in its
             if one.above is not None or one.below is not None]
    if known:
        yield Errors(points=known, kind=kind)
        # In the middle of a bracket; of one with an open end at the end that a run is.
        yield Dots(points=[(one.size * aside, math.sqrt((one.above or one.below or 0.0)
                                                        * (one.below or one.above or 0.0)))
                           for one in its if one.above is not None or one.below is not None],
                   kind=kind, shape=shape, name=f"the {name}")


def _families(study: Study) -> Iterator[Figure]:
    names = families_names(study.runs)
    if len(names) < 2:
        return
    amounts = [d for d in sorted({run.tokens for run in study.runs}, reverse=True)
               if len({run.family for run in study.runs if run.tokens == d}) > 1]
    if amounts:
        runs = [run for run in _whole(study.runs) if run.tokens == amounts[0]]
        groups = {name: _means((run.n_matrices, run.loss) for run in runs if run.family == name)
                  for name in names}
        groups = {name: points for name, points in groups.items() if len(points) > 1}
        if groups:
            finding = (f"At {amount(amounts[0])} tokens the lowest loss is "
                       + ", ".join(f"{min(y for _, y in points):.2f} ({name})"
                                   for name, points in groups.items()) + ".")
            yield Figure(name="families", finding=finding, note="A line a family of shapes.",
                         pictures=[_with_rules(study, groups, _axis(
                             [x for points in groups.values() for x, _ in points], PARAMETERS),
                             "Families", finding)])
    rows = [Row(name=one.name, lead=sign, told=f"{low:.2f} to {high:.2f}", kind=kind,
                value=math.sqrt(low * high), low=low, high=high, shape="diamond")
            for key, sign, kind in (("alpha", "α", BLUE), ("beta", "β", ORANGE))
            for one in study.families if one.draws
            for low, high in [one.draws.ci95[key]]]
    if rows:
        finding = "Exponents of size and data by family, with their 95 % intervals."
        yield Figure(name="exponents", finding=finding, note="The middle of each is marked.",
                     pictures=[Rows(title="Exponents", text=finding, label="exponent", rows=rows)])
