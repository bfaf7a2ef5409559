"""Which study a night goes on with, and what it does with a worker that was left alone."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli.main import main
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import Calibration
from agent.machine import machine
from agent.night import launch
from agent.night.launch import (
    Desk,
    Wish,
    _is_left_paused,
    _study,
    _tick_through,
    run_night,
    train_once,
)
from agent.night.needs import require_room, require_time, typed
from agent.search import Plan, study
from agent.trial.orphan import end_orphan
from agent.trial.prepare import Source
from engine.config import Config
from engine.errors import UserError
from tests.engine.text.test_corpus import made_by_rule_1, text_file
from tests.support.parts import MODEL, NOW, TINY, Listener, a_study
from tests.support.patience import patience


def wish(**changes: Any) -> Wish:
    return Wish(Source("data"), 3000.0, **changes)


def test_a_study_of_a_text_that_an_earlier_version_cut_goes_on_and_says_so(tmp_path: Path) -> None:
    train = text_file(tmp_path / "train.txt", 25)
    valid = text_file(tmp_path / "valid.txt", 8, seed=1)
    home = Home(tmp_path / "home")
    home.data.mkdir(parents=True)
    made_by_rule_1(home.data, train, valid)
    asked = Wish(Source(str(home.data), str(train), str(valid)), 3000.0, MODEL)
    listener = Listener()
    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, listener, lambda *_: None)
        tokens = at.tokens(asked.source)(TINY.vocab_size)
        a_study(ledger, text=tokens.corpus.sha256, seeds=[0, 1, 2, 3, 4],
                config=Config().assign(MODEL).to_dict())
        found = _study(at, asked, at.night(Plan(3000.0), asked.source), None)
    assert found.id == 1
    assert listener.said[1:-1] == [
        f"note: {tokens.n_tokens['confirm']:,} tokens confirm beside the "
        f"{tokens.n_tokens['search']:,} that search: an earlier version cut this text so, and its "
        "studies go on with that; a new --home cuts it into a half and two quarters"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Desk, Wish]]:
    """A home with a study of another device, whose runs took 26 s there and take 3 s here."""
    text = text_file(tmp_path / "text.txt", 40)
    home = Home(tmp_path / "home")
    asked = Wish(Source(str(home.data), str(text)), 3000.0, MODEL, night_s=16 * 26 / 0.9)
    monkeypatch.setattr(study, "measure", lambda *_, **__: study.Speed(0.024, 1e-9, 32))
    home.root.mkdir()
    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, Listener(), lambda *_: None)
        tokens = at.tokens(asked.source)(TINY.vocab_size)
        a_study(ledger, text=tokens.corpus.sha256, seeds=[0, 1, 2, 3, 4], run_s=26.0,
                config=Config().assign(MODEL).to_dict(), device="a phone, 8 cores, Linux")
        yield at, asked


def goes_on_at(at: Desk, asked: Wish) -> Calibration:
    deadline_s = at.clock.boot() + (asked.night_s or 0.0)
    return _study(at, asked, at.night(Plan(3000.0), asked.source), deadline_s)


def test_a_home_that_was_moved_goes_on_with_what_this_device_can(
        elsewhere: tuple[Desk, Wish]) -> None:
    at, asked = elsewhere
    found = goes_on_at(at, asked)
    assert (found.id, found.budget_tokens, found.device) == (1, 3200, machine.device())
    assert found.tok_per_s == pytest.approx(32 / 0.024)
    assert found.run_s == pytest.approx(2.7, rel=0.01)
    assert at.observer.said[2:] == [  # type: ignore[attr-defined]
        f"study 1 was measured on a phone, 8 cores, Linux; here, on {machine.device()}, a run "
        "takes about 3 s, before 26 s"]


def test_the_next_night_on_that_device_goes_on_with_the_study_and_measures_nothing(
        elsewhere: tuple[Desk, Wish]) -> None:
    at, asked = elsewhere
    for _ in range(2):
        found = goes_on_at(at, asked)
    assert found.id == 1
    assert [event.kind for event in at.ledger.events()] == ["device"]


def test_a_time_that_does_not_hold_the_baselines_is_refused() -> None:
    with pytest.raises(UserError, match="4 s are too short for a night here: five baseline runs"):
        require_time(12.0, wish(), 4.0)
    require_time(12.0, wish(max_runs=1), 20.0)  # a number of runs was asked for, not a night
    require_time(12.0, wish(), 60.0)


@pytest.mark.parametrize(("settings", "remedy"), [
    ([], "give it --for 120s, or a smaller model with --set n_embd=64"),
    (["n_embd=64"], "give it --for 120s, or a smaller model with --set n_embd=32"),
    (["n_embd=16", "n_head=1"], "give it --for 120s, or a smaller model with --set n_embd=8"),
    (["n_embd=8", "n_head=1"], "give it --for 120s")])
def test_the_remedy_for_too_short_a_night_is_ready_to_type(
        settings: list[str], remedy: str) -> None:
    with pytest.raises(UserError) as found:
        require_time(12.0, wish(settings=settings), 4.0)
    assert str(found.value).split("; ")[1] == remedy


@pytest.mark.parametrize(("seconds", "told"), [
    (0.4, "1s"), (90.0, "90s"), (121.0, "3m"), (7201.0, "3h")])
def test_a_time_is_told_as_one_types_it(seconds: float, told: str) -> None:
    assert typed(seconds) == told


def test_a_run_longer_than_its_night_is_refused() -> None:
    with pytest.raises(UserError, match="one run takes about 2 min here, longer than the 1 min"):
        require_time(120.0, wish(max_runs=1), 60.0)
    require_time(120.0, wish(max_runs=1), None)


def test_a_night_too_short_for_one_run_of_its_study_says_what_to_do(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        found = ledger.calibration(a_study(ledger, run_s=600.0))
        with pytest.raises(UserError, match=r"^one run of study 1 takes about 10 min, longer than "
                                            r"the 4 min of this night; .*--run-for"):
            require_room(ledger, found, 240.0)
        require_room(ledger, found, None)
        require_room(ledger, found, 600.0)


@pytest.mark.parametrize(("kinds", "expected"), [
    (["night", "pause"], True), (["night", "pause", "guard"], True),
    (["night", "pause", "resume"], False), (["night", "pause", "stop", "night_over"], False),
    (["pause", "night"], False), ([], False)])
def test_a_pause_outlives_an_agent_that_was_killed(
        tmp_path: Path, kinds: list[str], expected: bool) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for kind in kinds:
            ledger.event(kind, "a test", NOW)
        assert _is_left_paused(ledger) is expected


def worker(folder: str) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()", folder],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             start_new_session=True)
    assert child.stdout is not None
    child.stdout.readline()  # it runs
    return child


def test_an_orphan_is_ended(tmp_path: Path) -> None:
    with worker(str(tmp_path)) as child:
        end_orphan(child.pid, tmp_path)
        assert child.wait(patience(10)) != 0


def test_a_process_that_only_has_the_pid_of_an_orphan_is_left_alone(tmp_path: Path) -> None:
    with worker("something else") as child:
        end_orphan(child.pid, tmp_path)
        assert child.poll() is None
        child.communicate(b"\n")
    assert child.returncode == 0


def test_resume_lets_the_next_agent_work_where_none_runs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with Ledger.open(home.ledger) as ledger:
        for kind in ("night", "pause"):
            ledger.event(kind, "a test", NOW)
    said = [CliRunner().invoke(main, ["--home", str(tmp_path), "resume"]) for _ in range(2)]
    assert (said[0].exit_code, said[0].stderr) == (
        0, "no agent runs; the next one will not be paused\n")
    assert "no agent runs in" in said[1].stderr
    with Ledger.open(home.ledger) as ledger:
        assert not _is_left_paused(ledger)
        assert [event.kind for event in ledger.events()] == ["resume", "pause", "night"]


def test_a_night_on_wrong_numbers_begins_no_run_and_names_what_mends_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    text = text_file(tmp_path / "text.txt", 40)
    asked = Wish(Source(str(home.data), str(text)), 3000.0, MODEL, n_replicas=3, run_tokens=3200)
    tried: list[tuple[Config, int]] = []

    def prove(config: Config, n_replicas: int) -> tuple[str, str]:
        tried.append((config, n_replicas))
        return "2 by 2 is 5", "export OPENBLAS_CORETYPE=ARMV8"

    home.root.mkdir()
    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, Listener(), lambda *_: None, prove=prove)
        for begin in (run_night, train_once):
            with pytest.raises(UserError, match="2 by 2 is 5; every loss would be void, so nothing "
                               "was run; first: export OPENBLAS_CORETYPE=ARMV8"):
                begin(at, asked)
        assert ledger.runs() == []
        sha = at.tokens(asked.source)(300).corpus.sha256
        a_study(ledger, text=sha, seeds=[0, 1, 2, 3, 4], config=Config().assign(MODEL).to_dict())
        with pytest.raises(UserError, match="2 by 2 is 5"):  # also where a study goes on
            run_night(at, dataclasses.replace(asked, settings=()))
    assert tried == [(Config().assign(MODEL), 3)] * 3


def test_a_night_that_met_wrong_numbers_ends_with_that_sentence(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "Daemon", lambda *_: SimpleNamespace(run=lambda: None))
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        at = Desk(Home(tmp_path), ledger, Listener(), lambda *_: None)
        night = at.night(Plan(3000.0), Source("data"))
        _tick_through(at, night)
        night.fault = "2 by 2 is 5"
        with pytest.raises(UserError, match="2 by 2 is 5"):
            _tick_through(at, night)


def test_a_run_by_hand_that_waits_in_an_earlier_order_goes_on_in_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "Daemon", lambda *_: SimpleNamespace(run=lambda: None))
    home, text = Home(tmp_path / "home"), text_file(tmp_path / "text.txt", 40)
    home.root.mkdir()

    def asked(*more: str) -> Wish:
        return Wish(Source(str(home.data), str(text)), 3000.0, (*MODEL, *more), steps=20)

    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, Listener(), lambda *_: None, prove=lambda *_: None)
        first = train_once(at, asked("data_order=linear"))
        assert train_once(at, asked()).id == first.id
        other = train_once(at, asked("data_order=circular"))
        assert other.id != first.id
        assert train_once(at, asked()).id == other.id
