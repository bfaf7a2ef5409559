"""What a person may name as a cluster."""

import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from agent.trial.cluster import opening
from agent.trial.cluster.opening import At, n_local, parsed, require_dask
from engine.errors import UserError


@pytest.mark.parametrize(("text", "n"), [("local:4", 4), ("local:1", 1), ("tcp://10.0.0.5:8786",
                                                                         None)])
def test_a_cluster_of_this_machine_is_a_number_of_workers(text: str, n: int | None) -> None:
    assert n_local(text) == n


@pytest.mark.parametrize("text", ["tcp://10.0.0.5:8786", "tls://lab.example:8786", "10.0.0.5:8786",
                                  "tcp://[::1]:8786"])
def test_an_address_is_taken_as_it_is(text: str) -> None:
    assert parsed(text) == text
    assert At(text).look() == text


def test_a_schedulers_file_says_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text('{"address": "tcp://10.0.0.5:8786", "workers": {}}')
    assert At(file).look() == "tcp://10.0.0.5:8786"
    for spoilt in ("", "{", "[]", '{"address": 4}', '{"address": "x"}', '{}'):
        file.write_text(spoilt)
        with pytest.raises(UserError, match="scheduler"):
            At(file).look()


@pytest.mark.parametrize("text", ["", "local:0", "local:9999", "local:", "here", "tcp://x",
                                  "tcp://a b:1", "x" * 999])
def test_what_is_no_cluster_is_told_with_what_is_one(text: str) -> None:
    with pytest.raises(UserError, match="local:"):
        parsed(text)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'phi-auto\[cluster\]'"):
        require_dask()


def test_nothing_of_dask_is_imported_where_no_cluster_was_asked_for() -> None:
    code = ("import sys, agent.cli.cluster, agent.cli.run, agent.night.launch, agent.night.daemon\n"
            "print(sorted({'dask', 'distributed', 'tornado'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert util.find_spec("agent.trial.cluster.opening")
