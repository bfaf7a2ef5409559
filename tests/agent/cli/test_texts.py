"""`agent log` and `agent sample`: the texts that runs left."""

import json
import re
from pathlib import Path

import pytest

from agent.cli import read as cli_read
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from tests.support.example_home import EVENTS, a_home, agent, printed, run_called, value
from tests.support.example_ledger import NOW


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return a_home(tmp_path / "home")


# --- log -------------------------------------------------------------------------------------


def test_log_prints_events_and_what_the_worker_printed(home: Home) -> None:
    folder = home.run(run_called(home, "E1").uid)
    folder.output.write_text("MemoryError: \x1b[31mno\n", encoding="utf-8")
    assert printed(home, "log", "E1").splitlines() == [
        "start      worker 77 at step 0 of 2,000",
        "eval          500  2.7000 nats/token, 1.2500 bits/byte",
        "sample        500",
        "  Once upon a time there was a fox.",
        "done        2,000  in 2 min, 91 MB",
        "output",
        "MemoryError: \ufffd[31mno",
    ]


def test_log_json_is_the_list_of_events(home: Home) -> None:
    events = value(home, "log", "E1")
    assert events[:3] == EVENTS[:3]
    assert events[3] == EVENTS[3] | {"bpb": None}


def test_log_of_an_ended_run_ends_even_when_followed(home: Home) -> None:
    assert printed(home, "log", "E1", "-f") == printed(home, "log", "E1")


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["words", "json"])
def test_a_run_without_log_is_one_sentence(home: Home, more: list[str]) -> None:
    result = agent(home, "log", "E4", *more)
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"agent: E4 \(queued\) has no log at .*events\.jsonl; a run has one once "
                        r"it was started, on the device that ran it\n", result.stderr)


def test_following_ends_when_the_ledger_says_so(home: Home) -> None:
    run = run_called(home, "E3")
    folder = home.run(run.uid)
    folder.root.mkdir(parents=True)
    folder.events.write_text(json.dumps(EVENTS[0]) + "\n", encoding="utf-8")
    said: list[str] = []

    def sleep(_seconds: float) -> None:
        with open(folder.events, "a", encoding="utf-8") as file:
            file.write(json.dumps(EVENTS[1]) + "\n")
        folder.output.write_text("Killed\n", encoding="utf-8")
        with Ledger.open(home.ledger) as ledger:
            ledger.finish(run.id, "killed", NOW)

    cli_read.follow_log(home, run, said.append, sleep)
    assert said == ["start      worker 77 at step 0 of 2,000",
                    "eval          500  2.7000 nats/token, 1.2500 bits/byte", "output\nKilled"]


def test_following_a_queued_run_says_that_it_waits_and_ends_on_ctrl_c(
        home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def sleep(_seconds: float) -> None:
        raise KeyboardInterrupt

    cli_read.follow_log(home, run_called(home, "E4"), said.append, sleep)
    assert said == []
    assert capsys.readouterr().err == ("E4 is queued; waiting until it starts, Ctrl-C ends this\n")


# --- sample ----------------------------------------------------------------------------------


def test_sample_writes_from_the_checkpoint(home: Home) -> None:
    result = agent(home, "sample", "best", "The dog", "--tokens", "20", "--seed", "3")
    assert result.exit_code == 0
    assert result.stdout.startswith("The dog")
    assert result.stderr == "E1 at step 3, sampling seed 3\n"


def test_sample_json_holds_every_text(home: Home) -> None:
    found = value(home, "sample", "E1", "The dog", "--n", "3", "--tokens", "5")
    assert (found["label"], found["step"], found["seed"], found["prompt"]) == (
        "E1", 3, 0, "The dog")
    assert len(set(found["texts"])) == 3


def test_sample_obeys_its_settings(home: Home) -> None:
    likeliest = ["sample", "E1", "--tokens", "60", "--temperature", "0"]
    assert value(home, *likeliest) | {"seed": 1} == value(home, *likeliest, "--seed", "1")
    others = [["--top-k", "1"], ["--top-p", "1e-9"]]
    assert [value(home, "sample", "E1", "--tokens", "60", *other)["texts"]
            for other in others] == [value(home, *likeliest)["texts"]] * 2
    assert value(home, *likeliest, "--repetition-penalty", "9")["texts"] != value(
        home, *likeliest)["texts"]


def test_sample_cannot_steer_the_terminal(home: Home) -> None:
    text = printed(home, "sample", "E1", "a\x1b[2J", "--tokens", "99", "--temperature", "5")
    assert all(c.isprintable() or c in "\n\t" for c in text)


def test_sample_without_checkpoint_is_one_sentence(home: Home) -> None:
    result = agent(home, "sample", "E4")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"agent: E4 has no checkpoint at .*checkpoint\.npz: it has not begun; "
                        r"`agent run` starts it\n", result.stderr)


def test_sample_settings_out_of_range_are_one_sentence(home: Home) -> None:
    result = agent(home, "sample", "E1", "--temperature", "-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("agent: temperature=-1.0 is out of range")
