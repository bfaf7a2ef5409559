"""The course and the curves as pictures."""

import dataclasses

from agent.analysis.course import Course
from agent.analysis.findings import Findings
from agent.show.page import course
from agent.show.page.blocks import Figure
from agent.show.page.draw import Plot
from agent.show.page.marks import Dots, Line, Rule


def picture(section: object) -> Plot:
    (figure,) = section.blocks  # type: ignore[attr-defined]
    assert isinstance(figure, Figure)
    (plot,) = figure.pictures
    assert isinstance(plot, Plot)
    return plot


def test_the_best_so_far_never_gets_worse_and_ends_with_the_night(record: Findings) -> None:
    plot = picture(course.best_so_far(record))
    (line,) = (mark for mark in plot.marks if isinstance(mark, Line))
    heights = [y for _, y in line.points]
    assert heights == sorted(heights, reverse=True)
    assert line.points[-1][0] == record.course.hours
    assert line.is_step


def test_what_became_of_runs_has_shapes_of_its_own(record: Findings) -> None:
    dots = {mark.name: mark for mark in picture(course.best_so_far(record)).marks
            if isinstance(mark, Dots)}
    assert set(dots) == {"tried", "fresh seed", "baseline", "confirmed"}
    assert len({mark.shape for mark in dots.values()}) == 4
    assert len(dots["confirmed"].points) == record.tally.n_confirmed
    assert [label for label in dots["confirmed"].labels if label] == ["E54"]


def test_yardsticks_near_the_course_are_lines_and_far_ones_are_not(record: Findings) -> None:
    labels = [mark.label for mark in picture(course.best_so_far(record)).marks
              if isinstance(mark, Rule) and mark.axis == "y"]
    assert labels == ["bigram 1.602", "trigram 1.306"]


def test_a_short_night_is_counted_in_minutes(night: Findings) -> None:
    plot = picture(course.best_so_far(night))
    assert plot.x.label == "minutes of computing"
    assert 5 < plot.x.high < 6


def test_the_baseline_is_dashed_and_the_winner_is_last(record: Findings) -> None:
    named = [mark for mark in picture(course.curves(record)).marks
             if isinstance(mark, Line) and mark.end]
    assert (named[0].end, named[-1].end) == ("B2", "E54")
    assert [mark.is_dashed for mark in named] == [True] + [False] * (len(named) - 1)


def test_nothing_is_drawn_of_nothing(empty: Findings, record: Findings) -> None:
    assert course.best_so_far(empty) is None
    assert course.curves(empty) is None
    one = Course(scored=record.course.scored[:1], leads=[], nights=[], hours=0.0)
    assert course.best_so_far(dataclasses.replace(record, course=one)) is not None
