"""The bench: its file of nights, its table, its command."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import search
from tests.bench.conftest import MODEL

WORDS = ["--seeds", "1", "--runs", "6", "--tokens", "1300", "--fresh", "1", "--arms", "agent",
         "--corpus", "builtin", "--stories", "60", "--vocab", "300",
         *(word for assignment in MODEL[1:] for word in ("--set", assignment))]


# --- the file of nights ----------------------------------------------------------------------


def test_nights_are_read_back_but_for_torn_lines_and_other_benches(tmp_path: Path) -> None:
    path, key = tmp_path / "nights.jsonl", {"runs": 60}
    one, other = ({"arm": "tpe", "night": 0, "key": its} for its in (key, {"runs": 8}))
    search.append_night(path, one)
    search.append_night(path, other)
    with open(path, "a") as file:
        file.write('[1]\n{"arm": "tpe", "nig')  # cut short
    search.append_night(path, one | {"night": 1})
    assert search.read_nights(path, key) == [one, one | {"night": 1}]


def test_without_a_file_there_are_no_nights_yet(tmp_path: Path) -> None:
    search.append_night(None, {})
    assert search.read_nights(None, {}) == search.read_nights(tmp_path / "none", {}) == []


# --- the table -------------------------------------------------------------------------------


def a_night(arm: str, number: int, fresh: list[float | None], claimed: float | None = None,
            **changes: Any) -> dict[str, Any]:
    return {"arm": arm, "night": number, "fresh_bpb": fresh, "start_bpb": [2.0, 2.0],
            "claimed_gain": claimed, "wasted": {}, "verdicts": {}, "n_runs": 60,
            "wall_s": 100.0, "unigram_bpb": 2.7, "head_bpb": None} | changes


def test_the_table_says_who_is_ahead_and_by_what_error() -> None:
    found = search.results([
        a_night("agent", 0, [1.5, 1.7], 0.5, verdicts={"confirmed": 2}),
        a_night("agent", 1, [1.8, 1.8], wasted={"diverged": 1}),
        a_night("tpe", 0, [1.7, 1.7], 0.4, wasted={"out of bounds": 3}),
        a_night("tpe", 1, [1.8, 1.8], 0.4, wasted={"diverged": 1})])
    assert search.table(found).splitlines()[1:] == [
        "agent         2     1.7000 ± 0.1000   0.3000   +0.1000     0.5    60         2      100",
        "tpe           2     1.7500 ± 0.0500   0.2500   +0.1500     2.0    60         0      100",
        "head          2     1.7000 ± 0.1000   0.3000         -     0.5    60         2      100",
        "agent ahead of tpe, same seeds: 0.0500 ± 0.0500 bits/byte",
        "head ahead of tpe, same seeds: 0.0500 ± 0.0500 bits/byte",
        "at least as good as TPE: yes; at most half its wasted runs: yes"]


def test_a_missed_goal_is_said() -> None:
    found = search.results([a_night("agent", 0, [1.8], wasted={"diverged": 1}),
                            a_night("tpe", 0, [1.7])])
    assert search.table(found).splitlines()[1].startswith(
        "agent         1              1.8000   0.2000         -     1.0")
    assert search.table(found).splitlines()[-1] == (
        "at least as good as TPE: NO; at most half its wasted runs: NO")


def test_a_winner_that_diverges_on_a_fresh_seed_scores_there_as_token_frequencies_do() -> None:
    found = search.results([a_night("agent", 0, [1.8]), a_night("tpe", 0, [1.5, None])])
    assert found["arms"]["tpe"]["bpb"] == pytest.approx(2.1)
    assert "  of tpe: 1 winners diverged on a fresh seed" in search.table(found).splitlines()


def test_a_head_that_is_not_confirmed_is_told_beside_the_winner() -> None:
    found = search.results([a_night("agent", 0, [1.8, 1.8], head_bpb=[1.7, 1.7]),
                            a_night("agent", 1, [1.8, 1.8]),
                            a_night("tpe", 0, [1.9, 1.9]), a_night("tpe", 1, [1.9, 1.9])])
    assert found["arms"]["head"]["bpb"] == pytest.approx(1.75)
    assert found["lead"]["agent"]["tpe"] == pytest.approx((0.1, 0.0))
    assert found["lead"]["head"]["tpe"] == pytest.approx((0.15, 0.05))


def test_an_error_needs_two_values() -> None:
    assert search.mean_and_error([1.0, 3.0]) == (2.0, pytest.approx(1.0))
    assert search.mean_and_error([1.0]) == (1.0, None)


# --- the command -----------------------------------------------------------------------------


def test_a_bench_runs_its_nights_once_and_prints_one_value(
        tmp_path: Path, capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*WORDS, "--json", "--out", str(tmp_path / "nights.jsonl"),
             "--data", str(tmp_path / "texts")]
    assert search.main(words) == 0
    first, progress = capfd.readouterr()
    assert json.loads(first)["arms"]["agent"]["runs"] == 6
    assert "nights" in progress
    monkeypatch.setattr(search, "start_part", None)  # nothing is started again
    assert search.main(words) == 0
    assert capfd.readouterr().out == first


def test_a_night_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                     capfd: pytest.CaptureFixture[str]) -> None:
    start = search.start_part
    monkeypatch.setattr(search, "start_part",
                        lambda words, part: start([*words, "--vocab", "32768"], part))
    with pytest.raises(SystemExit) as end:
        search.main([*WORDS, "--data", str(tmp_path / "texts")])
    assert end.value.code == ("of the nights agent:0 failed, above is why; those that ended are "
                              "in --out, if that was given")
    assert "32768" in capfd.readouterr().err.replace(",", "")


def test_without_optuna_the_other_arms_say_what_to_install(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(search, "find_spec", lambda _: None)
    assert search.main(["--arms", "agent,tpe,cma,rule"]) == 2
    assert capsys.readouterr().err == ("tpe, cma need Optuna: pip install '.[bench]', or give "
                                       "--arms agent,rule\n")


def test_an_unknown_arm_and_a_wrong_count_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        search.parse(["--arms", "agent,grid"])
    assert "arms are agent, tpe, tpe-plain, cma, random, rule, tpe-deaf" in capsys.readouterr().err
    assert search.main(["--tokens", "many"]) == 1
    assert "token count 'many'" in capsys.readouterr().err


def test_the_sample_beside_the_checkout_is_the_text_where_it_is_there(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STORIES", tmp_path)
    assert search.parse([]).corpus == "builtin"
    (tmp_path / "tinystories-train.txt").touch()
    assert search.parse([]).corpus == str(tmp_path / "tinystories-train.txt")
