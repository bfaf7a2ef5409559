"""The dashboard: fits a phone, says the same without colour, and what it says is true."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.ledger.ledger import Ledger
from agent.machine.present import Present
from agent.show import dashboard
from agent.show.status import Status, gather
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW, START

SILENT = "2026-03-24T22:45:20Z"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "night.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        yield ledger


def look(ledger: Ledger, now: str = NOW, alive: bool = True) -> Status:
    return gather(ledger, now, is_daemon_alive=alive, read_mb=lambda pid: 101.5)


def text_of(status: Status, width: int = 60, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, **options)  # type: ignore[arg-type]
    console.print(dashboard.render(status, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words_of(status: Status, **options: object) -> str:
    """The text with its line breaks undone."""
    return " ".join(text_of(status, **options).split())


@pytest.mark.parametrize("width", [40, 60, 61, 80, 200])
@pytest.mark.parametrize("now", [NOW, SILENT])
def test_no_line_is_longer_than_the_terminal(night: Ledger, width: int, now: str) -> None:
    night.event("guard", "the machine has 190 MB free, " * 5, now)
    assert max(map(len, text_of(look(night, now), width).splitlines())) <= width


def test_no_line_is_longer_than_sixty_without_runs(ledger: Ledger) -> None:
    assert max(map(len, text_of(look(ledger)).splitlines())) <= 60


def test_without_colour_it_says_the_same(night: Ledger) -> None:
    coloured = text_of(look(night), force_terminal=True, color_system="truecolor")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text_of(look(night))


def test_it_tells_what_runs_now(night: Ledger) -> None:
    text = words_of(look(night))
    assert "E3 running, scale_up 160d/4L AdamW lr=3e-3" in text
    assert "50% step 1,000 of 2,000 20,000 tok/s, 51 s left" in text
    assert "RAM 102 MB, predicted 173 MB, limit 3,000 MB" in text


def test_it_tells_what_a_run_takes_by_those_that_ended(night: Ledger) -> None:
    found = look(night)
    assert found.night is not None
    assert "each" not in words_of(found)
    paced = replace(found, night=replace(found.night, run_s=35.0))
    assert "2,048,000 tokens a run, about 35 s each" in words_of(paced)


def test_a_run_after_its_last_step_is_evaluating(night: Ledger) -> None:
    found = look(night)
    assert found.progress is not None
    last = replace(found.progress, step=2000, share=1.0, left_s=0.0)
    assert "100% step 2,000 of 2,000 20,000 tok/s, evaluating" in words_of(
        replace(found, progress=last))


def test_it_tells_the_nights_budget(night: Ledger) -> None:
    text = words_of(look(night))
    assert "night on, started 30 min ago, 7 h 30 min left" in text
    assert "runs: 3 of 20 ended this night, 1 queued, 2,048,000 tokens a run" in text


def test_a_night_without_deadline_goes_on_until_stopped(night: Ledger) -> None:
    night.event("night", "another", NOW, data={"started_at": START})
    assert ("on, started 30 min ago, until stopped runs: 3 ended this night, 1 queued"
            in words_of(look(night)))


@pytest.mark.parametrize(("data", "expected"), [
    ({"n_trials": 1}, "until stopped, one run at a time (--trials K) runs: 3"),
    ({"n_trials": 4, "cluster": "local:4"},
     "until stopped, 4 runs at once on cluster local:4 runs: 3")])
def test_it_tells_how_many_runs_go_at_once_and_where(
        night: Ledger, data: dict[str, object], expected: str) -> None:
    night.event("night", "another", NOW, data={"started_at": START, **data})
    assert expected in words_of(look(night))


def test_it_draws_the_curve_with_the_yardsticks_in_range(night: Ledger) -> None:
    lines = text_of(look(night)).splitlines()
    assert any(line.startswith(" 3.44 ┤") and line.endswith("bigram") for line in lines)
    assert any(line.startswith(" 2.86 ┤") and line.endswith("trigram") for line in lines)
    assert not any("╌ unigram" in line for line in lines)  # 5.78 is above the first loss


def test_the_best_stands_below_the_yardsticks_it_has_passed(night: Ledger) -> None:
    lines = [line.split() for line in text_of(look(night)).splitlines()]
    start = lines.index(["best", "nats/token", "bits/byte"])
    rows = [line[:-1] for line in lines[start + 1 : start + 6]]
    assert rows == [["uniform", "6.931", "3.213"], ["unigram", "5.780", "2.680"],
                    ["bigram", "3.440", "1.595"], ["trigram", "2.860", "1.326"],
                    ["→", "E1", "2.500", "1.159"]]
    assert "E1, kept: 128d/4L AdamW lr=2e-3; on stories, vocabulary 1,024" in words_of(look(night))


def test_a_weak_best_stands_above_what_it_has_not_passed(ledger: Ledger) -> None:
    example.add_corpus(ledger)
    example.add_study(ledger)
    example.queue(ledger)
    example.finish(ledger, example.claim(ledger, START), 4.0, START)
    lines = [line.split()[0] for line in text_of(look(ledger)).splitlines() if line.strip()]
    assert lines.index("unigram") < lines.index("→") < lines.index("bigram")


def test_bars_are_as_long_as_the_losses(night: Ledger) -> None:
    lines = {line.split()[0]: line.count(dashboard.BAR)
             for line in text_of(look(night)).splitlines() if "." in line}
    assert lines["bigram"] / lines["uniform"] == pytest.approx(3.44 / 6.931, abs=0.03)


def test_it_tells_where_the_search_stands(night: Ledger) -> None:
    now = Present(at=NOW, word="go", cause="", reason="", told="", readings={},
                  search="head E1, 1 kept step past B2")
    found = gather(night, NOW, is_daemon_alive=True, read_mb=lambda pid: None, present=now)
    assert "search head E1, 1 kept step past B2" in words_of(found)


def test_it_gives_the_reason_of_each_decision(night: Ledger) -> None:
    text = words_of(look(night))
    assert "E2 discarded 0.0510 bits/byte worse than the head on one seed" in text
    assert "E1 kept 0.0232 bits/byte better" in text
    assert text.index("E2 discarded") < text.index("E1 kept") < text.index("B2 baseline")


def test_it_gives_the_guards_last_word_and_its_age(night: Ledger) -> None:
    assert ("guard no word yet E2, 5 min ago: the machine has 190 MB free, under the reserve of "
            "200 MB") in words_of(look(night))


def word(**changes: Any) -> Present:
    values = {"at": "2026-03-24T22:30:08Z", "word": "go", "cause": "", "reason": "all is well",
              "told": "battery 80 %, 31.0 °C", "readings": {"battery_age_s": 45.0}}
    return Present(**(values | changes))


def with_word(ledger: Ledger, alive: bool = True, **changes: Any) -> Status:
    return gather(ledger, NOW, is_daemon_alive=alive, read_mb=lambda pid: 101.5,
                  present=word(**changes))


def test_while_the_guard_lets_go_its_readings_and_their_age_are_shown(night: Ledger) -> None:
    status = with_word(night)
    assert (status.guard_word, status.guard_now) == ("go", word())
    assert ("guard go: battery 80 %, 31.0 °C read 12 s ago, the battery 57 s ago E2, 5 min ago: "
            "the machine") in words_of(status)


def test_while_the_guard_waits_its_reason_comes_first(night: Ledger) -> None:
    status = with_word(night, word="waits", reason="battery at 20 %", readings={})
    assert status.guard_word == "waits"
    assert words_of(status).endswith(
        "guard waits: battery at 20 % battery 80 %, 31.0 °C read 12 s ago")


def test_the_word_of_a_daemon_that_is_gone_counts_for_nothing(night: Ledger) -> None:
    status = with_word(night, alive=False)
    assert (status.guard_word, status.guard_now) == ("no agent runs", None)
    assert "guard no agent runs E2, 5 min ago: the machine" in words_of(status)


def test_a_go_without_readings_says_its_reason(night: Ledger) -> None:
    assert "guard go: all is well read 12 s ago" in words_of(with_word(night, told="", readings={}))


def test_a_run_without_a_sign_of_life_is_named(night: Ledger) -> None:
    text = words_of(look(night, SILENT))
    assert ("no sign of life since 2026-03-24 22:30 UTC (15 min); `agent run` goes on from its "
            "checkpoint") in text
    assert "tok/s" not in text


@pytest.mark.parametrize(("kind", "alive", "sentence"), [
    ("pause", True, "night paused, started 30 min ago, 7 h 30 min left"),
    ("stop", True, "night stopping, started 30 min ago"),
    ("night_over", False, "night over for 0 s: because runs: 3 of 20 ended this night"),
    ("night_over", True, "night none; an agent is preparing one, or trains by hand"),
    ("pause", False, "night off: no agent is running; `agent run` goes on"),
])
def test_it_tells_the_state_of_the_night(
        night: Ledger, kind: str, alive: bool, sentence: str) -> None:
    night.event(kind, "because", NOW)
    assert sentence in words_of(look(night, alive=alive))


def test_between_runs_it_shows_the_last(night: Ledger) -> None:
    example.finish(night, night.run("E3"), 2.6, NOW)
    text = words_of(look(night))
    assert ("nothing runs; the last was E3, finished 160d/4L AdamW lr=3e-3 "
            "2.600 nats/token, 1.205 bits/byte") in text


def test_an_empty_ledger_says_how_to_begin(ledger: Ledger) -> None:
    text = words_of(look(ledger, alive=False))
    assert "none yet; `agent run --for 8h` starts one" in text
    assert "nothing has run yet; `agent run --for 4m` makes a first night" in text
    assert text.endswith("guard no agent runs")


def test_a_queued_first_run_is_told(ledger: Ledger) -> None:
    example.add_corpus(ledger)
    example.add_study(ledger)
    example.queue(ledger)
    assert "nothing has run yet, 1 queued; `agent run` starts them" in words_of(
        look(ledger, alive=False))
    assert "nothing has run yet, 1 queued guard" in words_of(look(ledger))


def test_brackets_and_controls_in_foreign_text_are_shown_as_they_are(night: Ledger) -> None:
    night.event("guard", "[red]not markup[/red] \x1b[2J", NOW)
    assert "[red]not markup[/red] \ufffd[2J" in words_of(look(night))


def test_a_corpus_without_yardsticks_leaves_dashes(ledger: Ledger) -> None:
    example.add_corpus(ledger, uniform_nats=None, unigram_nats=None, unigram_bpb=None)
    example.add_study(ledger)
    example.queue(ledger)
    example.finish(ledger, example.claim(ledger, START), 4.0, START)
    lines = [line.split() for line in text_of(look(ledger)).splitlines()]
    assert ["unigram", "-", "-"] in lines


def test_watching_looks_again_until_ctrl_c(night: Ledger) -> None:
    console = Console(file=io.StringIO(), width=60, height=60, force_terminal=True)
    looks: list[str] = []

    def read() -> Status:
        looks.append("look")
        return look(night)

    def sleep(seconds: float) -> None:
        looks.append(f"sleep {seconds:g}")
        if len(looks) == 6:
            raise KeyboardInterrupt

    dashboard.watch(read, console, sleep)
    assert looks == ["look", "sleep 2"] * 3
    assert isinstance(console.file, io.StringIO)
    assert "E3 running" in console.file.getvalue()


def test_watching_ends_where_the_terminal_has_closed(night: Ledger) -> None:
    file = io.StringIO()
    file.isatty = lambda: True  # type: ignore[method-assign]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 5, "it goes on for no one"
        file.isatty = lambda: False  # type: ignore[method-assign]

    dashboard.watch(lambda: look(night), Console(file=file, width=60, height=60), sleep)
    assert len(slept) == 1


def test_a_small_terminal_gets_a_small_chart(night: Ledger) -> None:
    def rows_of_chart(height: int) -> int:
        console = Console(file=io.StringIO(), width=60, height=height, force_terminal=True)

        def sleep(_seconds: float) -> None:
            raise KeyboardInterrupt

        dashboard.watch(lambda: look(night), console, sleep)
        assert isinstance(console.file, io.StringIO)
        return sum("┤" in line or "│" in line for line in console.file.getvalue().splitlines())

    assert rows_of_chart(30) < rows_of_chart(40) <= dashboard.CHART_ROWS
    assert rows_of_chart(60) == dashboard.CHART_ROWS + dashboard.COURSE_ROWS


def watched(status: Status, width: int, height: int) -> list[str]:
    """The lines of one picture that `--watch` draws."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True,
                      color_system=None)

    def sleep(_seconds: float) -> None:
        raise KeyboardInterrupt

    dashboard.watch(lambda: status, console, sleep)
    assert isinstance(console.file, io.StringIO)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    return [line.rstrip() for line in plain.splitlines()]


NAMES = ("home", "night", "now", "search", "ideas", "best", "last", "guard")


def busy(ledger: Ledger) -> Status:
    now = word(search="head E1, 1 kept step past B2, not confirmed yet; a plateau: only the shape")
    return gather(ledger, NOW, is_daemon_alive=True, read_mb=lambda pid: 101.5, present=now,
                  home="/data/data/com.termux/files/home/nights")


@pytest.mark.parametrize("width", [60, 80])
def test_watching_in_24_lines_shows_every_block(night: Ledger, width: int) -> None:
    lines = watched(busy(night), width, 24)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    assert [name for name in NAMES if not any(line.startswith(name) for line in lines)] == []
    assert any("┤" in line for line in lines)
    assert not any("more block" in line for line in lines)


@pytest.mark.parametrize("height", [8, 12, 16, 20])
def test_a_window_too_low_for_all_says_what_is_left_out(night: Ledger, height: int) -> None:
    lines = watched(busy(night), 80, height)
    assert len(lines) <= height
    assert lines[-1].endswith("enlarge the window, or `agent status`")
    names = {*NAMES[:-2], "guard"}
    shown = {name for name in names if any(line.startswith(name) for line in lines)}
    assert "night" in shown
    n_left_out = int(lines[-1].split()[0])
    assert 0 <= n_left_out - len(names - shown) <= 2  # the curve and the decisions


def test_a_tall_window_shows_the_long_form(night: Ledger) -> None:
    assert any("nats/token  bits/byte" in line for line in watched(busy(night), 80, 60))


def test_a_run_that_a_night_left_unfinished_is_told_after_the_morning(night: Ledger) -> None:
    text = words_of(look(night, alive=False))
    assert "E3 was interrupted after step 1,000; `agent run` goes on" in text
    assert text.index("confirmed nothing yet") < text.index("E3 was interrupted")
    waiting = replace(night.run("E3"), steps=None)
    text = words_of(replace(look(night, alive=False), run=waiting))
    assert "E3 was interrupted before its first checkpoint; `agent run` begins it again" in text


def test_what_a_paused_night_saved_waits_and_was_not_interrupted(night: Ledger) -> None:
    night.requeue(night.run("E3").id, NOW, "stopped at a checkpoint")
    night.event("pause", "paused", NOW)
    text = words_of(look(night))
    assert "E3 waits after step 1,000" in text
    assert "interrupted" not in text


def test_it_says_which_home_it_reads(night: Ledger) -> None:
    assert text_of(busy(night)).splitlines()[0].rstrip() == (
        "home   /data/data/com.termux/files/home/nights")
