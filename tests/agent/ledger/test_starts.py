"""A starting point that diverges, and what helps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.starts import broken_start
from engine.config import Config
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW

START = Config(n_embd=48, n_head=2, lr=0.5)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        example.add_study(opened, config=START)
        yield opened


def baselines(ledger: Ledger, *states: str) -> None:
    for seed, state in enumerate(states):
        run = example.queue(ledger, START, seed=seed, strategy="baseline")
        if state != "queued":
            example.claim(ledger, NOW)
            if state == "finished":
                example.finish(ledger, run, 2.0, NOW)
            else:
                ledger.finish(run.id, state, NOW, error="training loss 56 at step 21")


@pytest.mark.parametrize("states", [
    (), ("queued",), ("diverged", "queued"), ("diverged", "diverged", "finished"),
    ("finished", "diverged", "diverged"), ("killed", "failed", "diverged")])
def test_a_start_that_may_yet_do_is_none(ledger: Ledger, states: tuple[str, ...]) -> None:
    baselines(ledger, *states)
    assert broken_start(ledger, ledger.calibration(1)) is None


def test_a_start_whose_seeds_diverge_is_told_with_the_command_that_helps(ledger: Ledger) -> None:
    baselines(ledger, "diverged", "diverged", "queued")
    found = broken_start(ledger, ledger.calibration(1))
    assert found is not None
    assert found.told == ("the start of study 1 diverges (B1 and B2), and its learning rate 0.5 is "
                          "the likeliest cause, as `agent trace B2` tells")
    words = found.command.split()
    assert words[:2] == ["agent", "run"]
    advised = Config().assign([word for word in words[2:] if word != "--set"])
    assert advised == START.assign(["lr=0.05"])
