"""The command: nights once, in processes of their own, and on file."""

import json
from pathlib import Path

import pytest

from agent.machine import machine
from engine.errors import UserError
from engine.text.corpus import TokenSet
from tests.bench import search
from tests.bench.conftest import MODEL
from tests.bench.nights import FIELDS, append_night, read_all, read_nights

WORDS = ["--seeds", "1", "--runs", "6", "--tokens", "1300", "--fresh", "1", "--arms", "agent",
         "--corpus", "builtin", "--stories", "60", "--vocab", "300",
         *(word for assignment in MODEL[1:] for word in ("--set", assignment))]
NIGHT = dict.fromkeys(FIELDS) | {"arm": "tpe", "night": 0, "key": {"runs": 60}}


# --- the file of nights ----------------------------------------------------------------------


def test_nights_are_read_back_but_for_torn_lines_and_other_benches(tmp_path: Path) -> None:
    path = tmp_path / "nights.jsonl"
    append_night(path, NIGHT)
    append_night(path, NIGHT | {"key": {"runs": 8}})
    with open(path, "a") as file:
        file.write('[1]\n{"arm": "tpe", "night": 7}\n{"arm": "tpe", "nig')  # cut short
    append_night(path, NIGHT | {"night": 1})
    assert read_nights(path, {"runs": 60}) == [NIGHT, NIGHT | {"night": 1}]


def test_without_a_file_there_are_no_nights_yet(tmp_path: Path) -> None:
    append_night(None, {})
    assert read_nights(None, {}) == read_nights(tmp_path / "none", {}) == []


def test_a_report_takes_the_nights_and_arms_that_are_asked_for(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    append_night(paths[0], NIGHT | {"night": 3})
    append_night(paths[1], NIGHT | {"night": 100})
    append_night(paths[1], NIGHT | {"night": 101, "arm": "random"})
    assert [night["night"] for night in read_all(paths, ["tpe"], None)] == [3, 100]
    assert [night["night"] for night in read_all(paths, ["tpe", "random"], range(100, 112))] == [
        100, 101]
    with pytest.raises(UserError, match="no such night in .*--arms and --nights choose among"):
        read_all(paths, ["rule"], None)
    with pytest.raises(UserError, match="there is no file .*none; name one that --out has"):
        read_all([tmp_path / "none"], ["tpe"], None)


# --- the command -----------------------------------------------------------------------------


def test_a_bench_runs_its_nights_once_and_a_report_tells_the_same(
        tmp_path: Path, capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(tmp_path / "nights.jsonl")
    words = [*WORDS, "--json", "--out", file, "--data", str(tmp_path / "texts")]
    assert search.main(words) == 1  # calibration alone takes more than a fourth of six runs
    first, progress = capfd.readouterr()
    group, = json.loads(first)["groups"]
    assert group["rows"]["agent 6"]["runs"] == 6
    assert group["curves"]["agent 6"]["tokens"] == list(range(0, 7801, 975))
    assert "nights" in progress
    monkeypatch.setattr(search, "start_part", None)  # nothing is started again
    assert search.main(words) == 1
    assert capfd.readouterr().out == first
    picture = tmp_path / "curves.svg"
    assert search.main(["--report", file, "--json", "--svg", str(picture)]) == 1
    assert capfd.readouterr().out == first
    assert picture.read_text().startswith("<svg ")


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


def test_without_a_package_its_arms_say_what_to_install(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(search, "find_spec", lambda name: None if name == "cmaes" else name)
    assert search.missing(["agent", "tpe", "cma", "rule"]) == ["cma"]
    monkeypatch.setattr(search, "find_spec", lambda _: None)
    assert search.missing(["agent", "rule"]) == []
    assert search.main(["--arms", "agent,tpe,cma"]) == 2
    assert capsys.readouterr().err == ("tpe, cma need Optuna: pip install '.[bench]', or give "
                                       "--arms agent,rule\n")


@pytest.mark.parametrize(("words", "said"), [
    (["--arms", "agent,grid"],
     "arms are agent, agent-new, agent-all, tpe, tpe-plain, cma, random, rule, tpe-deaf"),
    (["--nights", "5"], "nights '5' are not FROM:TO, as in 100:112"),
    (["--nights", "5:5"], "nights '5:5' are not FROM:TO"),
    (["--jobs", "0"], "0 nights at a time compute nothing; at least 1"),
    (["--start", "best"], "invalid choice: 'best'")])
def test_an_unknown_arm_a_wrong_range_or_start_is_refused(
        words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        search.parse(words)
    assert said in capsys.readouterr().err


def test_a_wrong_count_of_tokens_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert search.main(["--tokens", "many"]) == 1
    assert "token count 'many'" in capsys.readouterr().err


def test_nights_of_another_start_have_another_key(
        tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "code_version", lambda: "1")
    keys = [search.key_of(search.parse(["--start", start, "--vocab", "300"]), tokens)
            for start in ("mediocre", "good", "big")]
    assert len({key["start"] for key in keys}) == 3
    assert {json.dumps(key | {"start": None}) for key in keys} == {
        json.dumps(keys[0] | {"start": None})}


def test_the_sample_beside_the_checkout_is_the_text_where_it_is_there(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STORIES", tmp_path)
    assert search.parse([]).corpus == "builtin"
    (tmp_path / "tinystories-train.txt").touch()
    assert search.parse([]).corpus == str(tmp_path / "tinystories-train.txt")
