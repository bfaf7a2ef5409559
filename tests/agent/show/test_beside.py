"""What is told of runs beside the first."""

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.show import beside
from agent.show.status import Progress, gather
from engine.config import Config
from tests.agent.show.test_dashboard import watched
from tests.support import example_ledger as example


def of(n: int, n_running: int | None = None, **progress: Any) -> str:
    values: dict[str, Any] = {"step": 45, "n_steps": 100, "share": 0.45, "tok_per_s": 3200.0,
                              "left_s": 90.0, "ram_mb": 90.0, "silent_s": None} | progress
    others = [SimpleNamespace(run=SimpleNamespace(label=f"E{i}", strategy="lr"),
                              progress=Progress(**values)) for i in range(2, n + 2)]
    status: Any = SimpleNamespace(beside=others, n_running=n_running or n + 1)
    return beside.told(status, 48).plain


def test_alone_nothing_is_added() -> None:
    assert of(0) == ""


def test_a_few_have_a_line_each_with_what_is_left() -> None:
    lines = of(3).split("\n")[1:]
    assert [line[:9] for line in lines] == ["E2 45 %, ", "E3 45 %, ", "E4 45 %, "]
    assert all("lr, " in line and "tok/s" in line and line.endswith("left") for line in lines)


def test_many_are_told_by_how_far_they_are_in_lines_that_fit() -> None:
    text = of(15)
    assert all(f"E{i} 45 %" in text.replace("\n", " ") for i in range(2, 17))
    assert all(len(line) <= 48 for line in text.split("\n"))


def test_more_than_fit_are_counted() -> None:
    assert of(31, n_running=100).split("\n")[-1] == "and others: 100 run in all"
    assert "and 3 more" in of(6, n_running=10)


def test_a_window_of_24_lines_shows_all_that_run(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        example.fill(ledger)
        for width in (96, 112, 144):
            example.queue(ledger, Config(n_embd=width))
        for _ in range(3):
            example.claim(ledger, example.NOW)
        status = gather(ledger, example.NOW, is_daemon_alive=True, read_mb=lambda pid: 101.5)
    labels = [status.run.label if status.run else "", *(one.run.label for one in status.beside)]
    assert len(set(labels)) == status.n_running == 4
    lines = watched(status, 60, 24)
    assert len(lines) <= 24
    assert all(any(label in line for line in lines) for label in labels)
    assert json.loads(json.dumps(asdict(status)))["beside"][0]["progress"]["n_steps"] > 0


@pytest.mark.parametrize(("progress", "word"), [
    ({"step": 100, "share": 1.0}, "evaluating"), ({"silent_s": 120.0}, "no sign of life")])
def test_what_does_not_train_says_so(progress: dict[str, Any], word: str) -> None:
    assert word in of(1, **progress)
