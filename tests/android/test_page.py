"""termux/README.md's part "On the phone", typed line by line into a phone that has nothing yet."""

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from agent.home.lock import holder
from tests.android.sandbox import ROOT, missing
from tests.android.terminal import Terminal

pytestmark = [pytest.mark.android,
              pytest.mark.skipif(missing() is not None, reason=str(missing()))]
PATIENCE_S = 60.0
BOOT, WATCHDOG = ".termux/boot/phi-auto", ".termux/phi-auto-watchdog"


def page_lines() -> list[str]:
    """Every command of the page, in order; short times where the page says that any will do."""
    text = (ROOT / "termux/README.md").read_text(encoding="utf-8")
    page = text.partition("\n## On the phone\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [re.sub(r"(--run-for) \S+(.*# or another time)", r"\1 2s\2", line)
            for line in "".join(blocks).splitlines()]


@dataclass(frozen=True)
class Typed:
    """A line of the page, what it did, and what was there afterwards."""

    line: str
    status: int
    said: str
    starters: set[str]
    states: list[str]  # of the ledger's runs


@dataclass
class Walk:
    """The page as it went, and what was asked beside it."""

    terminal: Terminal
    typed: list[Typed]
    doctor: str = ""
    orphaned: tuple[int, str] = (0, "")

    def type(self, line: str) -> None:
        status, said = self.terminal.type(line)
        if "agent stop" in line:
            until(lambda: not self.works(), line)
        elif line.endswith(WATCHDOG) and status == 0:
            until(lambda: "running" in self.states(), line)
        home = self.terminal.phone.home
        self.typed.append(Typed(line, status, said, {
            name for name in (BOOT, WATCHDOG) if (home / name).exists()}, self.states()))
        if line == "agent doctor":
            self.doctor = self.terminal.type("agent doctor --json")[1]
        if line == "pkg upgrade" and self.states():
            self.orphaned = self.terminal.type("agent status")

    def works(self) -> bool:
        return holder(self.terminal.nights / "agent.lock") is not None

    def states(self) -> list[str]:
        if not (self.terminal.nights / "ledger.db").exists():
            return []
        with closing(sqlite3.connect(self.terminal.nights / "ledger.db", timeout=10)) as db, db:
            rows = db.execute("SELECT state FROM runs ORDER BY id").fetchall()
        db.close()
        return [state for (state,) in rows]

    def at(self, start: str) -> list[Typed]:
        return [typed for typed in self.typed if typed.line.startswith(start)]


def until(claim: Callable[[], bool], line: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end, f"it did not come to what this is for: {line}"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    # On this phone it is now between one and two at night, without any zoneinfo file.
    east = 1 - time.gmtime().tm_hour
    with Terminal(tmp_path_factory.mktemp("page"), f"NIGHT{-east:+}") as terminal:
        walk = Walk(terminal, [])
        for line in page_lines():
            walk.type(line)
        yield walk


def test_every_command_of_the_page_works_as_printed(walk: Walk) -> None:
    assert len(walk.typed) > 15
    assert [(typed.line, typed.said) for typed in walk.typed if typed.status != 0] == []
    assert [typed.line for typed in walk.typed if "Traceback" in typed.said] == []


def test_the_installer_puts_in_what_the_phone_starts(walk: Walk) -> None:
    first, again, _ = walk.at("sh ~/phi-auto/termux/install.sh")
    assert first.starters == again.starters == {BOOT, WATCHDOG}
    scheduled = [call for call in walk.terminal.calls("termux-job-scheduler")
                 if "--script" in call]
    assert [call[1] for call in scheduled] == [str(walk.terminal.phone.home / WATCHDOG)] * 2


def test_the_doctor_finds_nothing_that_fails(walk: Walk) -> None:
    verdicts = {check["name"]: check["verdict"] for check in json.loads(walk.doctor)}
    assert "fail" not in verdicts.values()
    assert verdicts["packages"] == verdicts["wake lock"] == verdicts["sensors"] == "ok"
    assert "battery" in verdicts


def test_the_trial_ends_one_run(walk: Walk) -> None:
    (trial,) = walk.at("agent run")
    assert trial.states == ["finished"] + 4 * ["queued"]  # baselines for another time
    assert "1 run ended" in trial.said


def test_the_night_starts_with_the_options_of_the_file_and_is_not_held_up(walk: Walk) -> None:
    starts = [call[3:] for call in walk.terminal.calls("python")
              if call[:3] == ["-m", "agent", "run"]]
    assert starts == [["--run-for=10m", "--window=22:00-07:00", "--only-charging",
                       "--max-heat=38"]] * 2
    assert len(walk.terminal.calls("termux-wake-lock")) == 2
    assert [typed.states.count("running") for typed in walk.typed
            if typed.line.endswith(WATCHDOG)] == [1, 1]


def test_the_morning_tells_of_the_night(walk: Walk) -> None:
    assert "B1" in walk.at("agent show best")[0].said
    assert "\nOnce upon a time" in walk.at("agent sample best")[0].said
    assert "tokens a run" in walk.at("tail")[0].said


def test_after_a_new_python_the_installer_brings_the_agent_back(walk: Walk) -> None:
    status, said = walk.orphaned
    assert status == 1
    assert said.startswith("agent: cannot be imported: ")
    assert "\nmend it with: " in said
    assert "running" in walk.at("rm ~/nights/agent.off")[0].states


def test_uninstalling_leaves_what_was_found_and_nothing_that_starts(walk: Walk) -> None:
    (last,) = walk.at("sh ~/phi-auto/termux/install.sh --uninstall")
    assert last.starters == set()
    assert last.states.count("finished") >= 1
    assert "running" not in last.states
    assert not walk.works()
    assert walk.terminal.calls("termux-job-scheduler")[-1][0] == "--cancel"
    with closing(sqlite3.connect(walk.terminal.nights / "ledger.db")) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
