"""Machines of a real cluster, greeted, and a run that came home from one of them."""

from typing import Any


def test_a_run_comes_home_whole_from_a_real_cluster(small_cluster: dict[str, Any]) -> None:
    assert small_cluster["status"] == 0
    assert small_cluster["last"]["kind"] == "done"
    assert {"start", "step", "eval", "checkpoint", "done"} <= set(small_cluster["kinds"])
    assert {"checkpoint.npz", "events.jsonl", "machine.json"} <= set(small_cluster["files"])
    assert not any(name.endswith(".coming") for name in small_cluster["files"])


def test_a_machine_of_other_code_is_refused_with_a_sentence(small_cluster: dict[str, Any]) -> None:
    (refusal,) = (line for line in small_cluster["said"] if "refused" in line)
    assert refusal.startswith("machine-1 is refused: it has phi-auto 0.0.1 (code 00000000)")
    assert any(line.startswith("machine-0 joins: ") for line in small_cluster["said"])


def test_so_many_runs_at_once_are_as_many_as_the_machines_take(
        small_cluster: dict[str, Any]) -> None:
    assert small_cluster["n"] == 1  # the refused one takes none
