"""The search as pictures: what is told is what the findings hold."""

import dataclasses

from agent.analysis.findings import Findings
from agent.analysis.slices import Slice
from agent.ledger.records import Earned
from agent.show.page import search
from agent.show.page.blocks import Figure, Finding
from agent.show.page.draw import Plot
from agent.show.page.marks import Contours, Dots
from agent.show.page.ranked import Rows


def test_the_chain_shows_its_largest_steps_and_every_claim(record: Findings) -> None:
    section = search.chain(record)
    assert section is not None
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    assert figure.finding == ("19 steps from B2 to E54, +0.5419 bits/byte; 62 % of it came from "
                              "the learning rate.")
    (rows,) = figure.pictures
    assert isinstance(rows, Rows)
    claims = [row for row in rows.rows if row.shape == "diamond"]
    assert [row.name for row in claims] == ["E11 over B2", "E23 over E11", "E33 over E23",
                                            "E48 over E33", "E54 over E48"]
    assert all(row.low is not None and row.low < (row.value or 0) for row in claims)
    assert len(rows.rows) == 12 + 5


def test_fields_that_the_runs_cannot_tell_are_called_that(record: Findings) -> None:
    section = search.importance(record)
    assert section is not None
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    (rows,) = figure.pictures
    assert isinstance(rows, Rows)
    untold = {one.title for one in record.importance if not one.told}
    assert all((row.name.partition(":")[0] in untold) == ("cannot tell" in row.name)
               for row in rows.rows)


def test_every_slice_marks_where_the_winner_stands(record: Findings) -> None:
    section = search.slices(record)
    assert section is not None
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    assert len(figure.pictures) == search.MOST_SLICES
    scales = {plot.title: plot.x.kind for plot in figure.pictures if isinstance(plot, Plot)}
    assert scales["learning rate"] == "log"
    assert scales["optimizer"] == "linear"
    names = {plot.title: plot.x.names for plot in figure.pictures if isinstance(plot, Plot)}
    assert names["optimizer"] == ("AdamW", "Lion")


def test_the_winner_is_on_the_panel_however_far_the_others_are_ahead() -> None:
    one = Slice(name="lr", title="learning rate", kind="linear", choices=[], best="2", best_at=2.0,
                points=[(1.0, 1.88), (2.0, 2.17)], labels=["E2", "E1"])
    plot = search._slice(one)
    assert plot is not None
    for mark in plot.marks:
        if isinstance(mark, Dots) and mark.shape == "diamond":
            ((_, bpb),) = mark.points
            assert plot.y.low <= bpb <= plot.y.high


def test_strategies_are_told_by_what_they_earned_or_by_what_they_tried(record: Findings) -> None:
    section = search.strategies(record)
    assert section is not None
    assert isinstance(section.blocks[0], Figure)
    assert section.blocks[0].finding.startswith("Learning rate earned most: +0.3335")
    vain = Earned(strategy="random", n_runs=4, n_kept=0, n_confirmed=0, n_pruned=1, gain_bpb=None,
                  tokens=10, saved_tokens=30)
    other = search.strategies(dataclasses.replace(record, earned=[vain], rungs=[]))
    assert other is not None
    first, second = other.blocks
    assert isinstance(first, Finding)
    assert isinstance(second, Finding)
    assert first.finding == "No idea was kept yet."
    assert second.note == "1 run given up at a quarter saved 30 tokens."


def test_a_quarter_and_the_end_are_a_picture_once_enough_runs_have_both(record: Findings) -> None:
    pairs = [(1.5 + i / 10, 1.2 + i / 20) for i in range(search.LEAST_RUNGS)]
    section = search.strategies(dataclasses.replace(record, rungs=pairs))
    assert section is not None
    assert isinstance(section.blocks[-1], Figure)


def test_a_whole_grid_has_lines_of_equal_loss(record: Findings) -> None:
    section = search.grid(record)
    assert section is not None
    lines, contours = section.blocks
    assert isinstance(lines, Figure)
    assert isinstance(contours, Figure)
    assert lines.finding == "128d/4L on 3.2M tokens is the best cell, at 1.126 bits/byte."
    assert contours.finding == ("With 50k tokens 82k parameters were best, with 3.2M tokens 1.31M.")
    plot = contours.pictures[0]
    assert isinstance(plot, Plot)
    assert any(isinstance(mark, Contours) for mark in plot.marks)


def test_what_is_unknown_has_no_section(empty: Findings) -> None:
    assert [of(empty) for of in (search.chain, search.importance, search.slices, search.strategies,
                                 search.grid)] == [None] * 5
