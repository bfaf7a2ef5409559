"""The machine over the night as pictures: speed, memory, battery, heat, and what the guard did."""

from collections.abc import Sequence

from agent import words
from agent.analysis import Findings, MachineCourse
from agent.show.page import said
from agent.show.page.blocks import Block, Figure, Finding, Items, Section
from agent.show.page.course import clock
from agent.show.page.draw import Plot
from agent.show.page.marks import BLUE, ORANGE, QUIET, RED, Dots, Line, Mark, Point, Rule
from agent.show.page.scale import Scale, scale_of

MOST_RULES = 40  # words of the guard that are drawn as lines
MOST_WORDS = 8  # that are told
LEAST_READ = 2  # readings of a battery that make a picture
WIDE = 6.0  # times the slowest, from which on speeds stand on a logarithmic axis
MESSAGE = 160  # letters of a word that are told


def machine(found: Findings) -> Section | None:
    """How the machine did; None where nothing is known of it."""
    its, hours = found.machine, found.tally.hours
    if not its.loads and not its.words:
        return None
    unit, label = clock(hours)
    x = Scale(0, (unit * hours or 1.0) * 1.01, label)
    guard: list[Mark] = [Rule(at=unit * one.hours, axis="x", kind=RED, name="the guard spoke")
                         for one in its.words[-MOST_RULES:]]
    blocks = [block for block in (
        _speed(its, x, unit, guard), _memory(its, x, unit, guard), _readings(its, x, unit))
        if block is not None]
    return Section(name="machine", title="The machine", blocks=[*blocks, *_guard(its)])


def _speed(its: MachineCourse, x: Scale, unit: float, guard: Sequence[Mark]) -> Block | None:
    points = [(unit * one.hours, one.tok_per_s) for one in its.loads if one.tok_per_s]
    speeds = sorted(speed for _, speed in points)
    y = scale_of(speeds, "tokens a second", "log", 0.08)
    if y is None:
        return None
    if speeds[-1] < WIDE * speeds[0]:
        y = Scale(0.0, 1.05 * speeds[-1], y.label)
    on = f" on {words.cut(its.devices[0], 60)}" if len(its.devices) == 1 else ""
    ends = f", from {speeds[0]:,.0f} to {speeds[-1]:,.0f}" if speeds[0] < speeds[-1] else ""
    finding = f"{speeds[len(speeds) // 2]:,.0f} tokens a second in the middle{on}{ends}."
    return _figure("speed", "Speed", finding, "Each dot is a run; small models are fast ones.", x,
                   y, [*guard, Dots(points=points, kind=BLUE)])


def _memory(its: MachineCourse, x: Scale, unit: float, guard: Sequence[Mark]) -> Block | None:
    measured = [(unit * one.hours, one.peak_mb) for one in its.loads if one.peak_mb]
    foreseen = [(unit * one.hours, one.predicted_mb) for one in its.loads
                if one.peak_mb and one.predicted_mb]
    y = scale_of([0.0, *(mb for _, mb in [*measured, *foreseen])], "peak memory, MB", margin=0.04)
    if not measured or y is None:
        return None
    finding = f"At most {max(mb for _, mb in measured):,.0f} MB of memory in a run."
    return _figure("memory", "Memory", finding, "Measured, and predicted before the run began.", x,
                   Scale(0.0, y.high, y.label), [
                       *guard, Dots(points=foreseen, kind=QUIET, shape="ring", name="predicted"),
                       Dots(points=measured, kind=BLUE, name="measured")])


def _readings(its: MachineCourse, x: Scale, unit: float) -> Block | None:
    """Battery and heat, each where it was read."""
    charge: list[Point] = [(unit * one.hours, one.battery_pct) for one in its.words
                           if one.battery_pct is not None]
    heat: list[Point] = [(unit * one.hours, one.heat_c) for one in its.words
                         if one.heat_c is not None]
    plots = []
    if len(charge) >= LEAST_READ:
        low = min(value for _, value in charge)
        plots.append(Plot(title="Battery", text=f"At least {low:.0f} %.", x=x,
                          y=Scale(0, 105, "battery, %"),
                          marks=[Line(points=charge, kind=BLUE), Dots(points=charge, kind=BLUE)]))
    y = scale_of([value for _, value in heat], "heat, °C", margin=0.15)
    if len(heat) >= LEAST_READ and y is not None:
        high = max(value for _, value in heat)
        plots.append(Plot(title="Heat", text=f"At most {high:.1f} °C.", x=x, y=y, marks=[
            Line(points=heat, kind=ORANGE), Dots(points=heat, kind=ORANGE, shape="square")]))
    if not plots:
        return None
    return Figure(name="battery", finding=" ".join(plot.text for plot in plots),
                  note="As the guard read them, whenever it had something to say.", pictures=plots,
                  height=190)


def _figure(name: str, title: str, finding: str, note: str, x: Scale, y: Scale,
            marks: Sequence[Mark]) -> Figure:
    return Figure(name=name, finding=finding, note=note, height=210, pictures=[
        Plot(title=title, text=finding, x=x, y=y, marks=marks)])


def _guard(its: MachineCourse) -> list[Block]:
    if not its.n_words:
        return [Finding(note="The guard had nothing to stop.")]
    newest = its.words[-MOST_WORDS:][::-1]
    return [Finding(finding=f"The guard spoke {said.times(its.n_words)}.",
                    note="The newest first." if its.n_words > 1 else ""),
            Items(lines=[f"{words.clock(one.at)}  {one.label + ': ' if one.label else ''}"
                         f"{words.cut(one.message, MESSAGE)}" for one in newest])]
