"""--cluster: what it fills in, and what it refuses."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.cli import clustered as cli
from agent.cli.clustered import settle
from agent.cli.main import main
from agent.home import Home
from agent.machine import machine
from agent.night import Wish
from agent.trial import Source
from engine.errors import UserError
from tests.support.example_home import agent


def options(**changes: Any) -> dict[str, Any]:
    return {"cluster": None, "n_trials": None, "n_replicas": None} | changes


def test_without_a_cluster_nothing_is_filled_in() -> None:
    given = options()
    assert settle(given) is None
    assert given == {"n_trials": None, "n_replicas": None}


def test_a_cluster_of_this_machine_shares_its_cores_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "n_cores", lambda: 8)
    given = options(cluster="local:4")
    assert settle(given) == "local:4"
    assert given == {"n_trials": 4, "n_replicas": 2}
    given = options(cluster="local:4", n_trials=2, n_replicas=1)
    settle(given)
    assert given == {"n_trials": 2, "n_replicas": 1}


def test_elsewhere_a_run_has_one_process_and_the_machines_say_how_many_there_are() -> None:
    given = options(cluster="tcp://10.0.0.5:8786")
    settle(given)
    assert given == {"n_trials": None, "n_replicas": 1}


@pytest.mark.parametrize(("place", "native"), [("tcp://10.0.0.5:8786", "0"), ("local:2", None)])
def test_several_machines_compute_by_numpy_alone_and_this_one_as_ever(
        place: str, native: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels in C are of one compiler and one kind of processor."""
    monkeypatch.delenv("AGENT_NATIVE", raising=False)
    seen: list[str | None] = []
    executor = SimpleNamespace(
        await_machines=lambda look, n: 3, classes=set,
        close=lambda: seen.append(os.environ.get("AGENT_NATIVE")))
    monkeypatch.setattr(cli, "at_cluster", lambda *_: executor)
    desk: Any = SimpleNamespace(home=None, ledger=None, look=None, executor=None)
    with cli.clustered(desk, place, Wish(Source("data"), 3000.0)) as wish:
        seen.append(os.environ.get("AGENT_NATIVE"))
    assert wish.n_trials == 3
    assert seen == [native, native]
    assert "AGENT_NATIVE" not in os.environ


def test_what_is_no_cluster_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither an address"):
        settle(options(cluster="here"))
    found = agent(Home(tmp_path / "new"), "run", "--cluster", "here")
    assert found.exit_code == 1
    assert not (tmp_path / "new").exists()


def test_help_says_how_machines_join_and_that_they_are_trusted() -> None:
    said = main.commands["cluster"].help or ""
    for words in ("local:4", "dask scheduler", "agent cluster worker", "machines you trust"):
        assert words in said
