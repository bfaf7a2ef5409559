"""What each picture of a study of size and data holds."""

import dataclasses

from agent.analysis.scaling.checked import against_law
from agent.show.page.draw import Plot
from agent.show.page.marks import Band, Contours, Dots, Errors, Line, Rule
from agent.show.page.size_figures import figures
from tests.support.example_grids import SHAPES, studied


def plots() -> dict[str, Plot]:
    study, _, _ = studied()
    return {figure.name: plot for figure in figures(study, against_law(study))
            for plot in figure.pictures if isinstance(plot, Plot)}


def test_a_line_a_size_with_the_yardsticks_beside() -> None:
    marks = plots()["loss-over-tokens"].marks
    assert [mark.end for mark in marks if isinstance(mark, Line)][0] == "786k"
    assert len([mark for mark in marks if isinstance(mark, Line)]) == len(SHAPES)
    assert {mark.label for mark in marks if isinstance(mark, Rule)} >= {"bigram", "trigram"}


def test_yardsticks_and_runs_stand_among_the_lines_of_equal_loss() -> None:
    marks = plots()["contours"].marks
    assert any(isinstance(mark, Contours) for mark in marks)
    assert "the bigram's 3.60" in {mark.name for mark in marks if isinstance(mark, Line)}
    assert any(isinstance(mark, Dots) and len(mark.points) >= 25 for mark in marks)


def test_held_out_runs_are_told_from_the_others_by_shape() -> None:
    shapes = {mark.name: mark.shape for mark in plots()["foretold"].marks
              if isinstance(mark, Dots)}
    assert len(set(shapes.values())) == 2


def test_thresholds_are_brackets_with_the_laws_band() -> None:
    marks = plots()["thresholds-tokens"].marks
    assert any(isinstance(mark, Band) for mark in marks)
    errors = [mark for mark in marks if isinstance(mark, Errors)]
    assert all(low < high for mark in errors for _, low, high in mark.points)


def test_without_parts_and_seeds_those_pictures_are_left_out() -> None:
    study, _, _ = studied()
    runs = [run for run in study.runs if run.unique >= run.tokens and run.family == "balanced"]
    bare = dataclasses.replace(study, runs=runs, sigma=None, families=[])
    names = {figure.name for figure in figures(bare, against_law(bare))}
    assert not names & {"loss-over-different-text", "families", "exponents"}
