"""The night as pictures: the best so far, and the loss of runs as they learnt."""

from agent.analysis import Course, Curve, Findings
from agent.show.page import said
from agent.show.page.blocks import Figure, Section
from agent.show.page.draw import Plot
from agent.show.page.marks import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    QUIET,
    RED,
    Dots,
    Line,
    Mark,
    Rule,
    Shape,
)
from agent.show.page.scale import Scale

ABOVE, NEAR = 0.3, 0.55  # of the way from start to best: room above it, and to a yardstick
EARLY = 0.03  # of the tokens, before which all curves look alike
SHORT, SHORTEST = 0.75, 0.04  # hours, below which minutes say more, and seconds
LATE = 0.95  # part of the tokens, from which on nothing was overtaken
MOST_TITLES = 150
WORDS: tuple[tuple[str, str, int, Shape], ...] = (
    ("tried", "tried", QUIET, "dot"), ("checked", "fresh seed", QUIET, "ring"),
    ("baseline", "baseline", PURPLE, "square"), ("kept", "kept", ORANGE, "triangle"),
    ("refuted", "refuted", RED, "cross"), ("confirmed", "confirmed", GREEN, "diamond"))


def best_so_far(found: Findings) -> Section | None:
    """The course of the scores; None where no run has finished."""
    course = found.course
    if not course.scored:
        return None
    y = _reach(found)
    unit, label = clock(course.hours)
    last = unit * course.hours or 1.0
    marks: list[Mark] = [Rule(at=one.bpb, label=f"{one.name} {said.bits(one.bpb)}")
                         for one in found.yardsticks if y.low <= one.bpb <= y.high]
    marks += [Rule(at=unit * night, axis="x", label=f"night {i + 1}" if i else "")
              for i, night in enumerate(course.nights) if len(course.nights) > 1]
    marks.append(Line(points=[*((unit * lead.hours, lead.bpb) for lead in course.leads),
                              *([(last, course.leads[-1].bpb)] if course.leads else [])],
                      is_step=True, name="best so far"))
    marks += _words(course, unit, found.winner.label if found.winner else "")
    n_above = sum(one.bpb > y.high for one in course.scored)
    note = "Each mark is a finished run, at the hours of computing until its end."
    if n_above:
        note += (f" {said.plural(n_above, 'run')} scored above the picture.")
    picture = Plot(title="Best so far", text=_finding(found), x=Scale(0, last * 1.01, label),
                   y=y, marks=marks)
    return Section(name="course", title="Best so far", blocks=[Figure(
        name="course", finding=_finding(found), note=note, pictures=[picture], height=380)])


def clock(hours: float) -> tuple[float, str]:
    """What to count such a time in: how many of it make an hour, and its name."""
    if hours < SHORTEST:
        return 3600.0, "seconds of computing"
    return (60.0, "minutes of computing") if hours < SHORT else (1.0, "hours of computing")


def _finding(found: Findings) -> str:
    leads, hours = found.course.leads, said.hours(found.course.hours)
    if not leads:
        return f"{said.plural(len(found.course.scored), 'run')} finished in {hours} of computing."
    first, last = leads[0], leads[-1]
    standing = said.passed(found, last.bpb)
    end = f": {standing}." if standing else "."
    if len(leads) == 1:
        return f"{last.label} is the best, at {said.bits(last.bpb)} bits/byte{end}"
    return (f"From {said.bits(first.bpb)} to {said.bits(last.bpb)} bits/byte in {hours} of "
            f"training{end}")


def _reach(found: Findings) -> Scale:
    """From a little below the best to a little above the start; further to a yardstick nearby."""
    course = found.course
    known = [lead.bpb for lead in course.leads] or [one.bpb for one in course.scored]
    known += [one.bpb for one in course.scored if one.word in ("kept", "confirmed", "baseline")]
    start, best = max(known), min(known)
    way = max(start - best, 0.02 * start, 1e-6)
    low = best - 0.06 * way
    high = start + ABOVE * way
    for one in found.yardsticks:
        if best - NEAR * way <= one.bpb < low:
            low = one.bpb - 0.06 * way
        if high < one.bpb <= start + NEAR * way:
            high = one.bpb + 0.06 * way
    return Scale(low, high, "bits/byte")


def _words(course: Course, unit: float, winner: str) -> list[Mark]:
    found: list[Mark] = []
    for word, name, kind, shape in WORDS:
        its = [one for one in course.scored if one.word == word]
        is_told = word not in ("tried", "checked") and len(its) <= MOST_TITLES
        if its:
            found.append(Dots(
                points=[(unit * one.hours, one.bpb) for one in its], kind=kind, name=name,
                shape=shape,
                titles=[f"{one.label}, {name}: {said.bits(one.bpb)}" for one in its]
                if is_told else (),
                labels=[one.label if one.label == winner else "" for one in its]))
    return found


# --- loss curves -----------------------------------------------------------------------------


def curves(found: Findings) -> Section | None:
    """Training loss over tokens, the named runs over the many; None where nothing was logged."""
    known = [curve for curve in found.curves if len(curve.points) > 1]
    if not known:
        return None
    last = max(curve.points[-1][0] for curve in known)
    first = max(EARLY * last, min(curve.points[0][0] for curve in known))
    seen = sorted(bpb for curve in known for at, bpb in curve.points if at >= first)
    if len(seen) < 2 or first >= last:
        return None
    low, high = seen[0], seen[int(0.985 * (len(seen) - 1))]
    reach = max(0.04 * (high - low), 1e-6)
    named = [curve for curve in known if curve.is_named]
    marks: list[Mark] = [_line(curve, i == 0, QUIET) for i, curve in enumerate(
        curve for curve in known if not curve.is_named)]
    kinds = [PURPLE, *[GREEN] * max(0, len(named) - 2), BLUE]
    marks += [_line(curve, False, kind) for curve, kind in zip(named, kinds, strict=False)]
    picture = Plot(title="Loss curves", text=_overtaken(named) or "Loss of the runs.",
                   x=Scale(first, last * 1.02, "tokens", "log"),
                   y=Scale(low - reach, high + reach, "training loss, bits/byte"), marks=marks)
    return Section(name="curves", title="Loss curves", blocks=[Figure(
        name="curves", finding=_overtaken(named) or f"{said.plural(len(known), 'run')} as they "
        "learnt.", note=_what(named, len(known)), pictures=[picture], height=360)])


def _line(curve: Curve, is_first: bool, kind: int) -> Line:
    if kind == QUIET:
        return Line(points=curve.points, kind=QUIET, is_thin=True,
                    name="other runs" if is_first else "")
    return Line(points=curve.points, kind=kind, end=curve.label, is_dashed=kind == PURPLE)


def _overtaken(named: list[Curve]) -> str:
    """When the last curve was where the first ended."""
    if len(named) < 2:
        return ""
    first, last = named[0], named[-1]
    goal = first.points[-1][1]
    at = next((tokens for tokens, bpb in last.points if bpb <= goal), None)
    if at is None:
        return f"{last.label} ends above {first.label}'s training loss."
    share = at / last.points[-1][0]
    if share > LATE:
        return f"{last.label} came down to where {first.label}, the baseline, ended."
    return (f"After {100 * share:.0f} % of its tokens {last.label} was where {first.label}, the "
            "baseline, ended.")


def _what(named: list[Curve], n: int) -> str:
    dashed = f"{named[0].label} (dashed) is the baseline. " if named else ""
    return (f"{dashed}{n} curves laid over each other: the mean of the training loss between "
            "points, in bits a byte, so that vocabularies compare.")
