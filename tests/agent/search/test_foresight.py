"""How long a run takes here, known or measured, of any study or none."""

import os
import tempfile
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.machine import machine
from agent.search import foresight
from agent.trial import spawn_worker
from engine.config import Config
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW
from tests.support.parts import TINY


def test_a_ledger_without_runs_of_this_device_tells_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        example.fill(ledger)  # of a test board
        assert foresight.known(ledger, 1) is None


def test_a_run_of_any_study_tells(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        example.add_corpus(ledger)
        run = example.queue(ledger, calibration_id=None)
        ledger.claim(NOW, run_id=run.id)
        ledger.finish(run.id, "finished", NOW, val_bpb=1.2, tok_per_s=1024.0, tokens=2_048_000,
                      device=machine.device(), cores=machine.cores())
        found = foresight.known(ledger, 1)
        assert found is not None
        assert found.step_s(Config()) == pytest.approx(1.0, rel=0.3)


def test_a_measurement_needs_no_text_and_leaves_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("agent.search.study.MEASURE_S", 0.1)
    looks: list[float] = []
    found = foresight.measured(TINY, 1, spawn_worker, looks.append)
    assert found.step_s(TINY) > 0
    assert looks
    assert os.listdir(tmp_path) == []


def test_what_a_look_raises_ends_the_measurement(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        foresight.measured(TINY, 1, spawn_worker, stop)
    assert os.listdir(tmp_path) == []
