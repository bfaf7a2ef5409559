"""The first line of a night."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.machine import kernels
from agent.night.choice import Choice, Difference
from agent.night.opening import WIDTH, in_lines, opening, remarks, shown_home, until
from agent.night.wish import Wish
from agent.trial.prepare import Source
from tests.support.parts import TINY, FakeTime, a_run, a_study

CLOCK = FakeTime(minutes=22 * 60 + 30).clock()


def wish(**changes: Any) -> Wish:
    return Wish(Source("data"), 3000.0, **changes)


def told(tmp_path: Path, **changes: Any) -> str:
    """What a night says that goes on with a study of one ended and one queued run."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(a_study(ledger))
        done = a_run(ledger, strategy="baseline", study=study.id)
        ledger.claim("2026-11-20T10:00:00Z", 4242, run_id=done.id)
        ledger.finish(done.id, "finished", "2026-11-20T10:01:00Z", val_bpb=2.0)
        a_run(ledger, seed=1, strategy="baseline", study=study.id)
        return opening(ledger, Path.home() / "nights", "novel", study,
                       Choice(study, TINY, study, ()), wish(**changes), CLOCK)


def test_a_night_that_goes_on_says_with_what(tmp_path: Path) -> None:
    assert told(tmp_path, night_s=8 * 3600.0) == (
        "home ~/nights, text novel; going on with study 1: 1 run, head B1; 3,200 tokens a run, "
        "about 10 s each; until 06:30 (8 h)")


@pytest.mark.parametrize(("changes", "expected"), [
    ({"n_trials": 4}, "about 10 s each, 4 runs at once; 9 runs"),
    ({"n_trials": 1, "cluster": "local:1"},
     "about 10 s each, 1 run at once on cluster local:1; 9 runs"),
    ({"n_trials": 1}, "about 10 s each; 9 runs")])
def test_several_at_once_and_a_cluster_are_said(
        tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    assert told(tmp_path, max_runs=9, **changes).endswith(expected)


def test_the_line_is_one_or_two_of_80_columns_broken_between_words(tmp_path: Path) -> None:
    sentence = told(tmp_path, night_s=8 * 3600.0, max_runs=200)
    lines = in_lines(sentence).splitlines()
    assert len(lines) == 2
    assert max(len(line.strip()) for line in lines) <= WIDTH
    assert " ".join(line.strip() for line in lines) == sentence


@pytest.mark.parametrize(("names", "expected"), [
    (["text"], "new study 1, with another text than study 2"),
    (["text", "width", "seed"], "new study 1, with another text, width and seed than study 2"),
    (["text", "width", "seed", "layers", "heads"],
     "new study 1, with another text, width, seed and 2 more things than study 2")])
def test_a_new_study_names_what_differs_from_the_last(
        tmp_path: Path, names: list[str], expected: str) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(a_study(ledger))
        last = dataclasses.replace(study, id=2)
        choice = Choice(None, TINY, last, tuple(Difference(name, "", "") for name in names))
        said = opening(ledger, Path("/h"), "novel", study, choice, wish(max_runs=1), CLOCK)
    assert expected in said
    assert len(in_lines(said).splitlines()) <= 2


def test_of_a_home_that_is_long_to_tell_fewer_differences_are_named(tmp_path: Path) -> None:
    names = ("text", "width", "layers", "heads", "window", "batch")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(a_study(ledger))
        choice = Choice(None, TINY, study, tuple(Difference(name, "", "") for name in names))
        said = opening(ledger, Path("/" + "h" * 40), "novel", study, choice, wish(max_runs=1),
                       CLOCK)
    assert "with another text and 5 more things than study 1" in said


def test_the_first_study_is_just_new(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(a_study(ledger))
        said = opening(ledger, tmp_path, "novel", study, Choice(None, TINY, None, ()), wish(),
                       CLOCK)
    assert "; new study 1; " in said


@pytest.mark.parametrize(("asked", "expected"), [
    ({}, "until told to stop"), ({"night_s": 5400.0}, "until 00:00 (1 h 30 min)"),
    ({"night_s": 20.0}, "until 22:31 (20 s)"),
    ({"max_runs": 1}, "1 run"), ({"night_s": 240.0, "max_runs": 20}, "until 22:34 (4 min) or 20 "
                                                                     "runs"),
    ({"night_s": 2 * 86_400.0}, "for 2 d")])
def test_a_night_says_how_long_it_will_go_on(asked: dict[str, Any], expected: str) -> None:
    assert until(wish(**asked), CLOCK) == expected


def test_a_long_folder_is_told_by_its_end() -> None:
    shown = shown_home(Path("/a" * 40) / "nights")
    assert shown.startswith("…")
    assert shown.endswith("/nights")
    assert len(shown) <= 48


def test_all_that_differs_is_told_and_how_to_go_back(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        last, study = (ledger.calibration(a_study(ledger, budget_tokens=n)) for n in (3200, 100))
    choice = Choice(None, TINY, last, (Difference("text", "text novel, not tiny", "--corpus"),
                                       Difference("width", "width 8, not 16", "--set")))
    assert remarks(choice, study, wish())[1:] == [
        "study 2, and not the last one, 1: text novel, not tiny; width 8, not 16; `agent run "
        "--study 1` goes on with that"]
    assert remarks(choice, study, wish(study=2))[1:] == []  # it was named


def test_a_night_with_time_for_much_longer_runs_says_how_to_get_them(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(a_study(ledger, run_s=10.0))
    choice = Choice(study, TINY, study, ())
    assert remarks(choice, study, wish(night_s=8 * 3600.0))[1:] == [
        "note: this night has time for runs of 10 min; --run-for 10m opens a study of such runs"]
    assert remarks(choice, study, wish(night_s=300.0))[1:] == []
    assert remarks(choice, study, wish(night_s=8 * 3600.0, run_tokens=3200))[1:] == []


@pytest.mark.parametrize(("own", "is_new", "asked", "expected"), [
    ("c11-0123abcd", True, False, "computed by numpy and kernels in C, c11-0123abcd"),
    (None, True, True, "computed by numpy alone, as AGENT_NATIVE=0 asks"),
    (None, False, False, "computed by numpy alone, as study 1 began"),
    (None, True, False, "computed by numpy alone: there is none; `agent doctor` tells what helps")])
def test_a_night_says_what_computes(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, is_new: bool,
        asked: bool, expected: str) -> None:
    monkeypatch.setattr(kernels, "is_asked", lambda: asked)
    monkeypatch.setattr(kernels, "why_numpy", lambda: "there is none")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = dataclasses.replace(ledger.calibration(a_study(ledger)), kernels=own)
    choice = Choice(None if is_new else study, TINY, None, ())
    assert remarks(choice, study, wish(max_runs=1)) == [expected]
