"""What a child finds wrong, and which setting a person is told to use."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from agent.machine import machine, proof
from engine.config import Config
from engine.errors import UserError

Ask = Callable[[Config, int, Mapping[str, str]], list[str]]
SMALL = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=16, batch_size=2)


def mended_by(name: str, value: str | None = None) -> Ask:
    def ask(_config: Config, _n: int, settings: Mapping[str, str]) -> list[str]:
        is_mended = name in settings and value in (None, settings[name])
        return [] if is_mended else ["2 by 2 is 5", "3 by 3 is 7"]
    return ask


def test_right_numbers_are_nothing_to_speak_of() -> None:
    assert proof.wrong_numbers(SMALL) is None


@pytest.mark.parametrize(("architecture", "kernel"), [
    ("aarch64", "ARMV8"), ("arm64", "ARMV8"), ("x86_64", "Haswell"), ("x86_64", "Nehalem"),
    ("AMD64", "Nehalem")])
def test_the_kernel_that_mends_it_is_named(architecture: str, kernel: str) -> None:
    found = proof.wrong_numbers(SMALL, 1, mended_by("OPENBLAS_CORETYPE", kernel), architecture)
    assert found == ("numpy computes wrong numbers on this machine: 2 by 2 is 5, and 1 more are "
                     "wrong", f"export OPENBLAS_CORETYPE={kernel}")


def test_functions_of_numpy_are_mended_by_doing_without_features() -> None:
    found = proof.wrong_numbers(SMALL, 1, mended_by("NPY_DISABLE_CPU_FEATURES"), "aarch64")
    assert found
    assert found[1] == "export NPY_DISABLE_CPU_FEATURES='SVE ASIMDHP ASIMDFHM'"


@pytest.mark.parametrize("architecture", ["aarch64", "x86_64", "riscv64"])
def test_where_no_setting_helps_another_numpy_is_what_is_left(architecture: str) -> None:
    found = proof.wrong_numbers(SMALL, 1, mended_by("nothing"), architecture)
    assert found
    assert found[1].startswith("python -m pip install --upgrade --force-reinstall numpy")
    assert ("tried in vain" in found[1]) is (architecture != "riscv64")


def test_before_anything_is_tried_the_first_setting_is_named() -> None:
    assert proof.remedy("aarch64") == "export OPENBLAS_CORETYPE=ARMV8"
    assert proof.remedy("riscv64") == proof.ANOTHER


def test_a_child_computes_as_a_worker_does_and_prints_a_list() -> None:
    request = json.dumps({"config": SMALL.to_dict(), "n_replicas": 2})
    child = subprocess.run([sys.executable, "-m", "agent.machine.proof", request],
                           capture_output=True, env=machine.worker_environment(), check=True)
    assert json.loads(child.stdout) == []


def test_a_child_that_cannot_even_begin_is_a_fault() -> None:
    found = proof.ask_child(SMALL, 1, {"PYTHONHOME": "/nowhere"})
    assert len(found) == 1
    assert found[0].startswith("a test of it ended with status 1: ")


def test_a_child_that_computes_without_end_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of its processor's time, which a machine that others load does not use up."""
    monkeypatch.setattr(subprocess, "run", lambda words, **how: subprocess.CompletedProcess(
        words, -signal.SIGXCPU, b"", b""))
    assert proof.ask_child(SMALL, 1, {}) == ["a test of it gave no answer in 60 s of computing"]


def test_a_child_may_compute_for_so_long_and_no_longer() -> None:
    request = json.dumps({"config": SMALL.to_dict(), "n_replicas": 1})
    code = ("import resource, sys; from agent.machine import proof; proof.main(sys.argv[1:]); "
            "print(resource.getrlimit(resource.RLIMIT_CPU)[0])")
    child = subprocess.run([sys.executable, "-c", code, request], capture_output=True, text=True,
                           env=machine.worker_environment(), check=True)
    assert child.stdout == f"[]{proof.COMPUTES_S}\n"


def test_a_child_that_others_keep_from_computing_is_no_wrong_number(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "WAITS_S", 0.0)
    with pytest.raises(UserError, match="a test of numpy was not over after 0 s: other programs"):
        proof.wrong_numbers(SMALL)


def test_what_is_wrong_is_told_where_a_remedy_could_not_be_tried() -> None:
    def ask(_config: Config, _n: int, settings: Mapping[str, str]) -> list[str]:
        if settings:
            raise UserError("no answer")
        return ["2 by 2 is 5"]
    found = proof.wrong_numbers(SMALL, 1, ask, "aarch64")
    assert found
    assert found[0].endswith("2 by 2 is 5")
    assert found[1].startswith(proof.ANOTHER)


def test_no_room_for_a_child_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")
    with pytest.raises(UserError, match="could not be put to the test: .*; is memory short?"):
        proof.ask_child(SMALL, 1, {})
