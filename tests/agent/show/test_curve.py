"""The loss curve as text."""

import math

import pytest

from agent.ledger.records import Metric
from agent.show.curve import MARK, TRAIN, VALID, chart, course


def metric(step: int, train: float | None = None, valid: float | None = None) -> Metric:
    return Metric(step, step * 1024, train_loss=train, val_loss=valid)


FALLING = [metric(step, 6.9 - step / 250, 6.95 - step / 250) for step in range(50, 1001, 50)]
MARKS = {"uniform": 6.93, "unigram": 5.78, "bigram": 3.44, "trigram": 2.86}


def test_no_line_is_longer_than_asked_for() -> None:
    assert max(map(len, chart(FALLING, MARKS, 60))) <= 60
    assert max(map(len, chart(FALLING, MARKS, 40))) <= 40


def test_a_falling_loss_goes_from_top_left_to_bottom_right() -> None:
    rows = chart([metric(0, 6.0), metric(100, 4.0), metric(200, 2.0)], {}, 40, 5)[:5]
    assert [row.find(TRAIN) for row in rows if TRAIN in row] == [7, 23, 39]
    assert TRAIN in rows[0]
    assert TRAIN in rows[2]
    assert TRAIN in rows[4]


def test_a_mark_stands_between_the_losses_above_and_below_it() -> None:
    rows = chart([metric(0, valid=6.0), metric(100, valid=2.0)], {"half": 4.0}, 40, 9)[:9]
    assert rows[4].startswith(" 4.00 ┤" + MARK)
    assert rows[4].endswith(" half")
    assert VALID in rows[0]
    assert VALID in rows[8]


def test_marks_out_of_range_or_unknown_are_left_out() -> None:
    text = "\n".join(chart(FALLING, MARKS | {"odd": None}, 60))
    assert "unigram" in text
    assert "bigram" in text
    assert "trigram" not in text  # 2.86 is below the last loss
    assert "odd" not in text


def test_marks_on_one_row_share_it() -> None:
    lines = chart([metric(0, 6.0), metric(9, 2.0)], {"a": 3.99, "b": 4.01}, 40, 3)
    assert lines[1].endswith(" a/b")


def test_the_axis_ends_at_the_last_step_and_names_the_glyphs() -> None:
    lines = chart(FALLING, {}, 60)
    assert lines[-2].split() == ["0", "1,000"]
    assert f"{TRAIN} training" in lines[-1]
    assert f"{VALID} validation" in lines[-1]


def test_losses_that_are_missing_or_not_finite_draw_nothing() -> None:
    assert chart([], MARKS, 60) == []
    assert chart([metric(1), metric(2, math.nan, math.inf)], MARKS, 60) == []


def test_one_point_and_a_flat_line_are_drawn() -> None:
    assert any(VALID in line for line in chart([metric(0, valid=3.0)], {}, 60)[:9])
    flat = chart([metric(step, 3.0) for step in (0, 10, 20)], {}, 60)[:9]
    assert [line.count(TRAIN) for line in flat if TRAIN in line] == [3]


def test_many_steps_of_one_column_are_averaged() -> None:
    close = [metric(0, 6.0), metric(1, 6.0), metric(2, 2.0), metric(10_000, 2.0)]
    rows = chart(close, {}, 40, 9)[:9]
    assert rows[3][7] == TRAIN  # a third of the way from 6 to 2: (6 + 6 + 2) / 3 = 4.67


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_the_course_is_a_staircase_that_falls_to_the_end(width: int) -> None:
    lines = course([(0.0, 2.0), (1800.0, 1.5), (3600.0, 1.0)], 7200.0, width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith(" 2.00 ┤━")
    assert lines[4].startswith(" 1.00 ┤")
    assert lines[4].endswith("━")
    rows = [line[7:].ljust(width - 7) for line in lines[:5]]
    assert all(sum(row[i] == "━" for row in rows) == 1 for i in range(width - 7))
    assert lines[-1].endswith("2 h")


def test_a_course_without_a_step_is_not_drawn() -> None:
    assert course([], 60.0, 60) == course([(0.0, 2.0)], 60.0, 60) == []


def test_steps_nearer_than_a_column_leave_one_mark_in_it() -> None:
    lines = course([(0.0, 2.0), (0.1, 1.9), (0.2, 1.0)], 7200.0, 40)
    assert sum(line[7:8] == "━" for line in lines[:5]) == 1
