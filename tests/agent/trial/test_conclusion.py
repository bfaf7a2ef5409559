"""What is concluded of a worker that has ended elsewhere; the rest is test_runner's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.trial.conclusion import Conclusions, Trial
from agent.trial.executor import Where
from tests.support.parts import NOW, FakeProcess, FakeTime, a_folder, a_run, done

PHONE = Where("a phone, 8 cores, Linux", "0-7", "1.2+abc")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def a_trial(ledger: Ledger, root: Path) -> Trial:
    folder = a_folder(Home(root), a_run(ledger))
    run = ledger.claim(NOW)
    assert run is not None
    return Trial(run, folder, FakeProcess(), 0)


def test_a_run_tells_what_computed_it(ledger: Ledger, tmp_path: Path) -> None:
    trial = a_trial(ledger, tmp_path)
    trial.last["done"] = done()
    found = Conclusions(ledger, FakeTime().clock()).of(trial, 0, PHONE)
    assert (found.state, found.device, found.cores, found.code_version) == (
        "finished", PHONE.device, PHONE.cores, PHONE.code_version)


def test_who_was_crowded_out_is_blamed_for_nothing_however_often(
        ledger: Ledger, tmp_path: Path) -> None:
    trial = a_trial(ledger, tmp_path)
    trial.crowded_why = "3 runs took too much together"
    for _ in range(5):
        found = Conclusions(ledger, FakeTime().clock()).of(trial, -9, PHONE)
        assert found.state == "queued"
        assert ledger.claim(NOW) is not None


def test_what_ended_just_then_has_ended_all_the_same(ledger: Ledger, tmp_path: Path) -> None:
    trial = a_trial(ledger, tmp_path)
    trial.crowded_why, trial.last["done"] = "3 runs took too much together", done()
    assert Conclusions(ledger, FakeTime().clock()).of(trial, -15, PHONE).state == "finished"
