"""Classes of devices: which runs are of one, and whose noise a study has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.devices import AT_HOME, class_of, class_of_study, is_like, timed_on
from agent.ledger.ledger import Ledger
from tests.support.parts import NOW, a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def end(ledger: Ledger, device: str, seed: int, strategy: str = "baseline",
        study: int | None = None) -> str:
    run = a_run(ledger, seed=seed, strategy=strategy, study=study)
    ledger.claim(NOW, 1, run_id=run.id)
    return ledger.finish(run.id, "finished", NOW, device=device, cores="0", tok_per_s=1.0).label


@pytest.mark.parametrize(("device", "kind"), [
    ("AMD EPYC, 2 cores, Linux, class c5f65c", "class c5f65c"), ("AMD EPYC, 2 cores, Linux", None),
    ("a first-class c5f65c", None), ("phone, class C5F65C", None), (None, None)])
def test_a_device_names_its_class_at_its_end(device: str | None, kind: str | None) -> None:
    assert class_of(device) == kind


@pytest.mark.parametrize(("device", "other", "expected"), [
    ("a, 2 cores, class 000001", "a, 64 cores, class 000001", True),
    ("a, class 000001", "a, class 000002", False), ("a, class 000001", "a", False),
    ("a", "a", True), ("a", "b", False)])
def test_machines_of_one_class_are_alike_whatever_they_are_called(
        device: str, other: str, expected: bool) -> None:
    assert is_like(device, other) is is_like(other, device) is expected


def test_the_first_run_that_measured_its_noise_has_the_class_of_a_study(ledger: Ledger) -> None:
    study = a_study(ledger)
    assert class_of_study(ledger, study) is None
    end(ledger, "a, class 000002", 9, "explore", study)
    assert class_of_study(ledger, study) is None  # an idea goes wherever there is room
    end(ledger, "a", 0, study=study)
    assert class_of_study(ledger, study) == AT_HOME
    end(ledger, "a, class 000001", 1, study=study)
    assert class_of_study(ledger, study) == AT_HOME


def test_speeds_of_a_class_are_those_of_all_its_machines(ledger: Ledger) -> None:
    names = [end(ledger, device, seed, "hand") for seed, device in enumerate((
        "a, class 000001", "a, class 000002", "b, 64 cores, class 000001", "a"))]
    assert [run.label for run in timed_on(ledger, "class 000001", 9)] == [names[0], names[2]]
    assert [run.label for run in timed_on(ledger, "class 000001", 1)] == [names[2]]
