"""`agent cluster worker`: what a machine is asked to be, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import cluster
from agent.cli.main import main
from agent.trial.cluster import Options


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(cluster, "join_cluster", lambda address, options, folder, **how: (
        found.append((address, options, folder, how["name"], how["n_trials"]))))
    return found


def worker(*words: str) -> Any:
    return CliRunner().invoke(main, ["cluster", "worker", *words])


def test_a_machine_keeps_its_own_limits(joined: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert worker("tcp://10.0.0.5:8786", "--window", "22:00-07:00", "--min-battery", "50",
                  "--max-ram", "1G", "--only-charging", "--trials", "3", "--name", "phone",
                  "--folder", str(tmp_path)).exit_code == 0
    ((address, options, folder, name, n_trials),) = joined
    assert (address, folder, name, n_trials) == ("tcp://10.0.0.5:8786", tmp_path, "phone", 3)
    assert isinstance(options, Options)
    assert options.limits is not None
    assert options.limits.window is not None
    assert (options.limits.min_battery, options.limits.only_charging) == (50.0, True)
    assert options.max_ram_mb == 1000.0


@pytest.mark.parametrize(("words", "told"), [
    (("here",), "neither an address"), (("local:4",), "a cluster of one machine"),
    (("tcp://10.0.0.5:8786", "--window", "late"), "late"),
    (("tcp://10.0.0.5:8786", "--max-ram", "much"), "much")])
def test_a_word_that_makes_no_sense_is_told(words: tuple[str, ...], told: str) -> None:
    found = worker(*words)
    assert found.exit_code in (1, 2)
    assert told in found.output


def test_its_files_lie_where_this_user_keeps_what_can_be_had_again(tmp_path: Path) -> None:
    assert cluster.cache({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "phi-auto"
    assert cluster.cache({}) == Path.home() / ".cache" / "phi-auto"
