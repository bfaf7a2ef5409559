"""The morning as blocks: what stands in it, in any width."""

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.ledger.ended import Claim
from agent.ledger.ledger import Ledger
from agent.show import dashboard, waking
from agent.show.morning import Hint, Morning, Point
from agent.show.status import Rung, Status, gather
from tests.support import example_ledger as example

SAMPLE = "Once upon a time there was a fox, and the fox was very small and very brown. " * 8
CLAIM = Claim(label="E1", against="B2", decided_at=example.NOW, gain_bpb=0.2501, low_bpb=0.2312,
              high_bpb=0.269, n_seeds=2, is_over_texts=1)
FOUND = Morning(
    why="the night's time is over", ended_at="2026-03-25T06:00:00Z", lasted_s=28800.0,
    trained_s=27000.0, tokens=36_000_000, n_runs=48, n_tried=37, n_kept=4, n_confirmed=3,
    n_pruned=5, n_broken=2, claims=[CLAIM], n_claims_before=0,
    silent={"claimed_bpb": 0.2501, "silent_bpb": 0.2412, "low_bpb": 0.22, "high_bpb": 0.26,
            "n_batches": 1, "n_blocks": 64},
    course=[Point(at_s=0.0, bpb=1.7, label="B1"), Point(at_s=14400.0, bpb=1.3, label="E1")],
    sample=SAMPLE, next=[Hint(command="agent sample best", why="more of its text"),
                         Hint(command="agent run --for 8h", why="goes on from there")])


@pytest.fixture
def status(tmp_path: Path) -> Iterator[Status]:
    path = tmp_path / "night.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        ledger.event("night_over", "over: the night's time is over", "2026-03-25T06:00:00Z")
        yield dataclasses.replace(
            gather(ledger, "2026-03-25T07:00:00Z", is_daemon_alive=False,
                   read_mb=lambda pid: None, home="/nights"), morning=FOUND)


def text_of(status: Status, width: int = 80, **changes: Any) -> str:
    console = Console(file=io.StringIO(), width=width)
    found = dataclasses.replace(status, morning=dataclasses.replace(FOUND, **changes), run=None)
    console.print(dashboard.render(found, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words_of(status: Status, **changes: Any) -> str:
    return " ".join(text_of(status, **changes).split())


def test_it_opens_with_the_home_the_end_and_what_was_confirmed(status: Status) -> None:
    lines = [line.rstrip() for line in text_of(status).splitlines()]
    assert lines[:7] == [
        "home      /nights",
        "night     over for 1 h: the night's time is over",
        "          runs: 48 of 20 ended this night, 1 queued, 2,048,000 tokens a run",
        "",
        "confirmed E1 0.2501 bits/byte better than B2 on 2 fresh seeds",
        "          95 %: +0.2312 to +0.2690",
        "          silent test +0.2412 (95 %: +0.2200 to +0.2600)"]


def test_it_says_what_was_tried_and_what_it_took(status: Status) -> None:
    text = words_of(status)
    assert ("ideas 37 tried this night, 4 kept, 3 confirmed by 1 test, 5 given up at a quarter, 2 "
            "runs broke" in text)
    assert "spent 8 h, 7 h 30 min of it in 48 runs; 36.0M tokens" in text


def test_the_winner_stands_with_its_configuration_among_the_yardsticks(status: Status) -> None:
    assert ("best E1, kept, not confirmed yet: 1.159 bits/byte, 2.500 nats/token 128d/4L AdamW "
            "lr=2e-3; on stories better than uniform 3.213, unigram 2.680, bigram 1.595, trigram "
            "1.326") in words_of(status)


def test_what_is_not_passed_is_ahead() -> None:
    rungs = [Rung(name="unigram", nats=5.0, bpb=2.0), Rung(name="bigram", nats=4.0, bpb=1.5),
             Rung(name="trigram", nats=None, bpb=None)]
    assert waking.standing(1.7, rungs) == (
        "better than unigram 2.000; not yet bigram 1.500")
    assert waking.standing(2.7, rungs) == "not yet unigram 2.000, bigram 1.500"
    assert waking.standing(1.0, []) == ""


@pytest.mark.parametrize("width", [40, 60, 80])
def test_its_text_takes_four_lines_cut_at_a_word(status: Status, width: int) -> None:
    lines = [line.rstrip() for line in text_of(status, width).splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("its text"))
    text = lines[start:lines.index("", start)]
    assert len(text) == 4
    assert text[-1].endswith("…")
    assert set(" ".join(text).rstrip("…").split()) <= {*SAMPLE.split(), "its", "text"}


def test_the_best_so_far_is_a_staircase_over_the_night(status: Status) -> None:
    text = text_of(status)
    assert " 1.70 ┤━" in text
    assert " 1.30 ┤ " in text
    assert "the best so far, bits/byte" in text
    assert "the best so far" not in text_of(status, course=FOUND.course[:1])


def test_what_to_do_next_is_a_column_or_where_that_is_too_wide_two_lines(status: Status) -> None:
    assert "agent sample best   more of its text" in text_of(status, 60)
    narrow = [line.strip() for line in text_of(status, 40).splitlines()]
    assert "next      agent sample best" in narrow
    assert "more of its text" in narrow


@pytest.mark.parametrize(("changes", "words"), [
    ({"claims": [], "silent": None}, "confirmed nothing yet: 4 runs kept, on one seed alone"),
    ({"claims": [], "silent": None, "n_kept": 0}, "confirmed nothing"),
    ({"claims": [], "silent": None, "n_claims_before": 2},
     "confirmed nothing new; 2 of this study before this night"),
    ({"claims": [CLAIM] * 5}, "and 2 before"),
    ({"silent": FOUND.silent | {"n_batches": 2}},  # type: ignore[operator]
     "all 2 claims +0.2501, silent test +0.2412"),
    ({"silent": {"silent_bpb": 0.1}}, "silent test +0.1000"),
    ({"claims": [dataclasses.replace(CLAIM, is_over_texts=0)]},
     "95 % over seeds alone: +0.2312 to +0.2690")])
def test_what_is_claimed_is_said_as_it_is(
        status: Status, changes: dict[str, Any], words: str) -> None:
    assert words in words_of(status, **changes)


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("is_short", [False, True])
def test_all_names_of_the_page_stand_in_one_column(
        status: Status, width: int, is_short: bool) -> None:
    found = dataclasses.replace(status, run=None)
    console = Console(file=io.StringIO(), width=width)
    for name, block in dashboard.blocks(found, width, is_short=is_short).items():
        if name != "course":
            console.print(block)
    assert isinstance(console.file, io.StringIO)
    lines = [line for line in console.file.getvalue().splitlines() if line.strip()]
    assert {line[9] for line in lines} == {" "}
    assert not any(line[10] == " " for line in lines if line[0] != " ")


@pytest.mark.parametrize("width", [1, 5, 9, 12, 20])
def test_no_terminal_is_too_narrow_to_be_drawn_on(status: Status, width: int) -> None:
    assert text_of(status, width)


@pytest.mark.parametrize("width", [40, 60, 61, 80, 200])
def test_no_line_is_longer_than_the_terminal(status: Status, width: int) -> None:
    assert max(map(len, text_of(status, width).splitlines())) <= width


def test_what_would_steer_the_terminal_is_not_repeated(status: Status) -> None:
    assert "\x1b" not in text_of(status, sample="a \x1b[2J b")
