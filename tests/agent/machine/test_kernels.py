"""What computes here is asked of the engine; what cannot be had is one sentence."""

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
