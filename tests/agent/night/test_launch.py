"""Which study a night goes on with, and what it does with a worker that was left alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli.main import main
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.night.launch import (
    Desk,
    Wish,
    _is_left_paused,
    _require_room,
    _require_time,
    _study,
)
from agent.search import Plan
from agent.trial.orphan import end_orphan
from agent.trial.prepare import Source
from engine.config import Config
from engine.errors import UserError
from tests.engine.text.test_corpus import made_by_rule_1, text_file
from tests.support.parts import MODEL, NOW, TINY, Listener, a_study


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
    assert listener.said[1:] == [
        f"note: {tokens.n_tokens['confirm']:,} tokens confirm beside the "
        f"{tokens.n_tokens['search']:,} that search: an earlier version cut this text so, and its "
        "studies go on with that; a new --home cuts it into a half and two quarters"]


def test_a_time_that_does_not_hold_the_baselines_is_refused() -> None:
    with pytest.raises(UserError, match="4 s are too short for a night here: five baseline runs"):
        _require_time(12.0, wish(), 4.0)
    _require_time(12.0, wish(max_runs=1), 20.0)  # a number of runs was asked for, not a night
    _require_time(12.0, wish(), 60.0)


def test_a_run_longer_than_its_night_is_refused() -> None:
    with pytest.raises(UserError, match="one run takes about 2 min here, longer than the 1 min"):
        _require_time(120.0, wish(max_runs=1), 60.0)
    _require_time(120.0, wish(max_runs=1), None)


def test_a_night_too_short_for_one_run_of_its_study_says_what_to_do(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        found = ledger.calibration(a_study(ledger, run_s=600.0))
        with pytest.raises(UserError, match=r"^one run of study 1 takes about 10 min, longer than "
                                            r"the 4 min of this night; .*--run-for"):
            _require_room(ledger, found, 240.0)
        _require_room(ledger, found, None)
        _require_room(ledger, found, 600.0)


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
        assert child.wait(10) != 0


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
