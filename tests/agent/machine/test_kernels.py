"""What computes here is asked of the engine; what cannot be had is one sentence."""

import os

import pytest

from agent.machine import kernels


def test_numpy_can_always_be_had(monkeypatch):
    monkeypatch.setenv("AGENT_NATIVE", "0")
    assert (kernels.usual(), kernels.is_asked()) == ("numpy", True)
    assert kernels.why_not("numpy") is None


@pytest.mark.parametrize(("said", "why"), [
    ("0", "AGENT_NATIVE=0 leaves numpy alone"), ("", "the kernels c11-0 cannot be had here")])
def test_what_cannot_be_had_is_said(said, why, monkeypatch, tmp_path):
    monkeypatch.setenv("AGENT_NATIVE", said)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("engine.native.build.util.find_spec", lambda name: None)
    assert kernels.is_asked() is bool(said)
    assert kernels.why_not("c11-0").startswith(why)


@pytest.mark.parametrize(("said", "meanwhile"), [("", "0"), ("1", "1"), ("0", "0")])
def test_several_machines_compute_by_what_all_have_unless_a_person_says_otherwise(
        said, meanwhile, monkeypatch):
    monkeypatch.setenv("AGENT_NATIVE", said)
    with kernels.numpy_unless_asked():
        assert os.environ["AGENT_NATIVE"] == meanwhile
    assert os.environ.get("AGENT_NATIVE", "") == said


def test_the_seconds_of_a_compiler_are_told_once(monkeypatch):
    """And those of no compiler, or of what was compiled before, are not."""
    ready, told = [False], []
    monkeypatch.setattr("engine.native.is_ready", lambda: ready[0], raising=False)
    monkeypatch.setattr(kernels, "usual", lambda: ready.__setitem__(0, True))
    for _ in range(2):
        kernels.make_ready(lambda *stage: told.append(stage))
    assert told == [(kernels.COMPILING, 0, 1), (kernels.COMPILING, 1, 1)]
