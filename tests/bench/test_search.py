"""The comparison with Optuna: nights in one space for the same tokens, and what the table says."""

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.search import study
from agent.search.verdict import N_BASELINE_SEEDS, Decision
from engine.config import Config
from engine.text import corpus
from strategies import tpe
from strategies.base import repaired, resized, why_not
from tests.bench import search
from tests.bench.search_arms import (
    FRESH,
    SEEDS_APART,
    START,
    Agent,
    Course,
    config_of,
    fresh_scores,
    night,
    places,
    train_one,
)

MODEL = ["vocab_size=300", "n_embd=32", "n_layer=1", "seq_len=32", "batch_size=2"]
WORDS = ["--seeds", "1", "--runs", "6", "--tokens", "1300", "--fresh", "1", "--arms", "agent",
         "--corpus", "builtin", "--stories", "60", "--vocab", "300",
         *(word for assignment in MODEL[1:] for word in ("--set", assignment))]
needs_optuna = pytest.mark.skipif(
    find_spec("optuna") is None, reason="Optuna is not installed: pip install '.[bench]'")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Runs of 2,000 tokens, 32 steps, of a model that trains in a blink."""
    text = corpus.builtin(tmp_path_factory.mktemp("texts"), 100)
    return Course(corpus.prepare_tokens(text, 300), START.assign(MODEL), 2000, 8, 1)


@dataclasses.dataclass
class Asked:
    """A trial that answers what it was given."""

    values: dict[str, Any]

    def suggest_float(self, name: str, low: float, high: float) -> float:
        value = self.values.get(name, 0.5)
        assert low <= value <= high
        return float(value)

    def suggest_categorical(self, name: str, options: tuple[Any, ...]) -> Any:
        value = self.values.get(name, options[0])
        assert value in options
        return value


# --- one space, one trainer ------------------------------------------------------------------


@pytest.mark.parametrize("start", [
    START, Config(), Config(optimizer="lion", lr=3e-4, schedule="wsd", tied=True),
    Config(optimizer="schedule_free", n_embd=96, n_head=3, n_layer=3)])
def test_the_start_is_in_the_space_where_it_was_put(start: Config) -> None:
    assert config_of(Asked(places(start)), start).hash == start.hash


@pytest.mark.parametrize(("place", "end"), [(0.0, "low"), (1.0, "high")])
def test_an_end_of_every_axis_is_that_of_the_strategy(place: float, end: str) -> None:
    found = config_of(Asked({axis.name: place for axis in tpe.AXES} | {"schedule": "wsd"}), START)
    for axis in tpe.AXES:
        value = getattr(found, axis.name)
        assert (1 - value if axis.is_momentum else value) == pytest.approx(getattr(axis, end))


@pytest.mark.parametrize(("change", "is_in"), [
    ("seq_len=8", True), ("seq_len=4", False), ("batch_size=128", True),
    ("batch_size=192", False), ("beta1=0.7", True), ("beta1=0.6", False), ("n_head=4", False),
    ("n_hidden=64", False), ("grad_accum=2", False), ("rope_base=5000", False),
    ("vocab_size=257", False)])
def test_what_optuna_has_no_place_for_is_outside_of_the_common_space(
        course: Course, change: str, is_in: bool) -> None:
    assert course.is_inside(course.start.assign([change])) is is_in
    assert (why_not(course.start.assign([change]), dataclasses.replace(
        course.limits(), min_steps=1, max_s=None)) is None) is is_in


def test_another_size_is_inside_with_the_heads_that_optuna_would_give_it(course: Course) -> None:
    wider = repaired(course.start, resized(course.start, 96, 3))
    assert course.is_inside(wider)
    assert not course.is_inside(wider.assign(["n_head=1"]))


def test_a_run_ends_at_the_rung_that_gives_it_up(course: Course) -> None:
    asked: list[tuple[int, float]] = []

    def is_hopeless(number: int, bpb: float) -> bool:
        asked.append((number, bpb))
        return number == 2

    ended = train_one(course, course.start, 1, ("search",), [8, 16, 24], is_hopeless)
    assert (ended.state, ended.tokens, ended.bpb) == ("pruned", 16 * 64, {})
    assert [number for number, _ in asked] == [1, 2]
    assert ended.rung_bpb == asked[0][1]


def test_looking_at_a_rung_does_not_change_the_run(course: Course) -> None:
    config = course.start.assign(["optimizer=schedule_free"])  # its average lies in a shared buffer
    plain = train_one(course, config, 1, ("search", "test"))
    looked_at = train_one(course, config, 1, ("search", "test"), [8], lambda *_: False)
    assert plain.bpb == looked_at.bpb
    assert (plain.rung_bpb, plain.state) == (None, "finished")


def test_a_run_that_diverges_has_no_score(course: Course) -> None:
    config = course.start.assign(["optimizer=lion", "lr=1.0", "warmup_frac=0", "clip=1000"])
    ended = train_one(course, config, 1, ("search", "test"))
    assert (ended.state, ended.bpb, ended.nats) == ("diverged", {}, None)
    assert ended.error
    assert fresh_scores(course, config, [1]) == [None]


def test_a_night_has_room_for_what_its_tokens_are_worth(course: Course) -> None:
    assert [course.n_left(spent) for spent in (0, 2048, 15_000, 15_001, 99_999)] == [8, 7, 0, 0, 0]
    assert course.n_left(14_900) == 1


def test_all_arms_have_the_limits_of_the_daemon(course: Course, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        agent = Agent(course, 0, ledger)
        run_s = study.foresee(ledger, agent.study, 1)
        theirs, ours = agent.campaign._limits(run_s), course.limits()
        assert run_s is not None
        assert run_s(START, 9000) == pytest.approx(course.run_s(START, 9000), rel=0.05)
    assert theirs.max_s == pytest.approx(ours.max_s, rel=0.05)
    alike = {"max_s": None, "run_s": None}
    assert dataclasses.replace(theirs, **alike) == dataclasses.replace(ours, **alike)


@pytest.mark.parametrize(("slope", "limit"), [(1, 3.03), (-1, None)])
def test_the_agent_gives_a_run_up_only_where_the_rung_has_told_the_end(
        slope: int, limit: float | None, course: Course, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        agent = Agent(course, 0, ledger)
        for i in range(12):  # the last ended at its rung and has no final score
            run = a_challenger(agent, lr=1e-3 + i * 1e-5)
            ledger.claim(agent.now(), run_id=run.id)
            ended = ("pruned", None) if i == 11 else ("finished", 2 + slope * i / 100)
            ledger.finish(run.id, ended[0], agent.now(), rung_bpb=3 + i / 100, val_bpb=ended[1])
        assert agent.campaign.rung_limit(a_challenger(agent, lr=2e-3)) == limit


def test_a_batch_is_one_confirmation_whatever_its_steps_and_ablations(
        course: Course, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        agent = Agent(course, 0, ledger)
        for evidence in ({"seeds": [5, 6]}, {"with": 1}, {"cost_bpb": 0.1}):
            agent._tell(a_challenger(agent, 1e-3 + len(agent.found.story) * 1e-4), None,
                        Decision("confirmed", evidence, "it holds"))
    assert +agent.found.verdicts == {"confirmed": 1, "needed": 1}
    assert agent.found.story[0] == "    E1 against none: confirmed: it holds"


def a_challenger(agent: Agent, lr: float) -> Run:
    """A queued run whose rung compares."""
    config = agent.course.start.assign(["schedule=wsd", f"lr={lr}"])
    return agent.ledger.queue(study.new_run(
        agent.ledger, config, 0, agent.course.budget_tokens, agent.study.corpus_id, agent.now(),
        study.Origin("random", "to see", agent.study.id)))


# --- nights ----------------------------------------------------------------------------------


def test_a_night_of_the_agent_pays_its_calibration_from_the_same_tokens(course: Course) -> None:
    shares: list[float] = []
    found = night("agent", 0, course, shares.append)
    assert found["n_runs"] == len(shares) == 8
    assert 8 * 2000 <= found["tokens"] < 9 * 2048
    assert found["verdicts"]["baseline"] == N_BASELINE_SEEDS
    assert sum(found["verdicts"].values()) == 8
    assert found["wasted"] == {}
    assert found["end"] == "all tokens spent"
    assert shares == sorted(shares)
    assert why_not(Config.from_dict(found["winner"]), course.limits()) is None
    assert found["story"][0].startswith("B1 baseline 32d/1L AdamW")
    assert any(line.startswith("    E1 against B1: ") for line in found["story"])


def test_a_night_of_the_agent_is_the_same_again(course: Course) -> None:
    assert night("agent", 1, course, lambda _: None) == night("agent", 1, course, lambda _: None)


def test_a_winner_is_scored_on_seeds_of_its_night_that_the_search_never_had(
        course: Course) -> None:
    found = night("agent", 2, course, lambda _: None)
    seed = 3 * SEEDS_APART + FRESH
    assert found["start_bpb"] == [train_one(course, course.start, seed, ("test",)).bpb["test"]]
    winner = Config.from_dict(found["winner"])
    assert found["fresh_bpb"] == [train_one(course, winner, seed, ("test",)).bpb["test"]]
    assert not any(f"seed {seed}" in line for line in found["story"])


@needs_optuna
@pytest.mark.parametrize("arm", ["tpe", "tpe-deaf", "random"])
def test_a_night_of_optuna_begins_at_the_start_and_claims_its_best_run_over_it(
        arm: str, course: Course) -> None:
    course = dataclasses.replace(course, n_runs=4)
    found = night(arm, 0, course, lambda _: None)
    assert found["end"] == "all tokens spent"
    assert 3.5 * 2000 <= found["tokens"] < 5 * 2048
    assert found["story"][0].startswith(f"0 {course.start.describe()}: ")
    assert found["wasted"].keys() <= {"out of bounds", "diverged", "duplicate"}
    assert found["wasted"]["out of bounds"] > 0  # most of the space leaves under 20 steps
    winner = Config.from_dict(found["winner"])
    assert why_not(winner, course.limits()) is None
    start_bpb, best_bpb = (train_one(course, config, SEEDS_APART).bpb["search"]
                           for config in (course.start, winner))
    assert found["claimed_gain"] == pytest.approx(start_bpb - best_bpb)


@needs_optuna
def test_a_night_that_finds_nothing_legal_ends(course: Course) -> None:
    course = dataclasses.replace(course, n_runs=1, budget_tokens=300)  # at most 18 steps: too few
    found = night("random", 0, course, lambda _: None)
    assert found["end"] == "100 trials"
    assert (found["winner"], found["claimed_gain"]) == (course.start.to_dict(), None)
    assert (found["n_runs"], found["wasted"]) == (0, {"out of bounds": 100})


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
    assert search.main([]) == 2
    assert capsys.readouterr().err == ("the arms tpe and random need Optuna: pip install "
                                       "'.[bench]', or give --arms agent\n")


def test_an_unknown_arm_and_a_wrong_count_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        search.parse(["--arms", "agent,grid"])
    assert "arms are agent, tpe, tpe-deaf, random" in capsys.readouterr().err
    assert search.main(["--tokens", "many"]) == 1
    assert "token count 'many'" in capsys.readouterr().err


def test_the_sample_beside_the_checkout_is_the_text_where_it_is_there(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STORIES", tmp_path)
    assert search.parse([]).corpus == "builtin"
    (tmp_path / "tinystories-train.txt").touch()
    assert search.parse([]).corpus == str(tmp_path / "tinystories-train.txt")
