"""The arms: nights in one space for the same tokens, each by its own way to search."""

import dataclasses
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.search import study
from agent.search.campaign import FORESEEN
from agent.search.verdict import N_BASELINE_SEEDS, Decision
from engine.config import Config
from strategies import tpe
from strategies.base import repaired, resized, why_not
from strategies.random import MAX_FIELDS
from tests.bench.arms import ARMS, N_MARKS, anytime, at_marks, night, packages_of
from tests.bench.arms.agent import Agent, Inside
from tests.bench.arms.course import FRESH, SEEDS_APART, START, STARTS, Course, Fresh, Standing
from tests.bench.arms.samplers import config_of, places, sampler_of
from tests.bench.conftest import Stub

needs_optuna = pytest.mark.skipif(
    find_spec("optuna") is None or find_spec("cmaes") is None,
    reason="Optuna or cmaes is not installed: pip install '.[bench]'")


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
    *STARTS.values(), Config(), Config(optimizer="lion", lr=3e-4, schedule="wsd", tied=True),
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

    ended = course.train(course.start, 1, ("search",), [8, 16, 24], is_hopeless)
    assert (ended.state, ended.tokens, ended.bpb) == ("pruned", 16 * 64, {})
    assert [number for number, _ in asked] == [1, 2]
    assert ended.rung_bpb == asked[0][1]


def test_looking_at_a_rung_does_not_change_the_run(course: Course) -> None:
    config = course.start.assign(["optimizer=schedule_free"])  # its average lies in a shared buffer
    plain = course.train(config, 1, ("search", "test"))
    looked_at = course.train(config, 1, ("search", "test"), [8], lambda *_: False)
    assert plain.bpb == looked_at.bpb
    assert (plain.rung_bpb, plain.state) == (None, "finished")


def test_a_run_that_diverges_has_no_score(course: Course) -> None:
    config = course.start.assign(["optimizer=lion", "lr=1.0", "warmup_frac=0", "clip=1000"])
    ended = course.train(config, 1, ("search", "test"))
    assert (ended.state, ended.bpb, ended.nats) == ("diverged", {}, None)
    assert ended.error
    assert Fresh(course, [1]).bpb(config) == [None]


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
    assert ours.max_s is not None  # of which the daemon plans a part, since its foresight errs
    assert theirs.max_s == pytest.approx(FORESEEN * ours.max_s, rel=0.05)
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
    words = ("confirmed", "refuted", "undecided")  # of tests, on runs that have a first one
    assert sum(n for name, n in found["verdicts"].items() if name not in words) == 8
    assert found["wasted"] == {}
    assert found["end"] == "all tokens spent"
    assert shares == sorted(shares)
    assert why_not(Config.from_dict(found["winner"]), course.limits()) is None
    assert found["story"][0].startswith("B1 baseline 32d/1L AdamW")
    assert any(line.startswith("    E1 against B1: ") for line in found["story"])


def test_a_night_without_the_prior_asks_for_other_ideas(stub: Stub) -> None:
    ours, anew = (night(arm, 1, stub, lambda _: None) for arm in ("agent", "agent-new"))
    n = N_BASELINE_SEEDS
    assert [line for line in ours["story"] if line[0] == "B"] == [
        line for line in anew["story"] if line[0] == "B"]
    assert ours["story"] != anew["story"]
    assert ours["verdicts"]["baseline"] == anew["verdicts"]["baseline"] == n


def test_a_night_with_all_that_a_person_has_leaves_the_space_of_the_others(stub: Stub) -> None:
    found = [night(arm, 3, stub, lambda _: None) for arm in ("agent", "agent-all")]
    inside, outside = ([any(word in line for line in one["story"] for word in (
        "Muon", "mixer=", "bigram_", "residual_", "qk_norm", "n_kv_head")) for one in found])
    assert (inside, outside) == (False, True)


def test_a_night_of_the_agent_is_the_same_again(stub: Stub) -> None:
    first = night("agent", 1, stub, lambda _: None, is_anytime=True)
    assert night("agent", 1, stub, lambda _: None, is_anytime=True) == first


@pytest.mark.parametrize("n_before", [5, 6, 9])
def test_a_night_begun_again_asks_for_what_it_would_have_asked_for(
        stub: Stub, tmp_path: Path, n_before: int) -> None:
    """After the last baseline, after an idea, in the middle: as if nobody had stopped it."""
    asked = []
    for is_stopped in (False, True):
        with Ledger.open(tmp_path / f"{is_stopped}.db") as ledger:
            agent = Agent(stub, 7, ledger)
            for i in range(n_before + 4):
                if is_stopped and i == n_before:
                    its = agent.campaign.study
                    agent.campaign = Inside(ledger, agent.campaign.clock, agent.campaign.plan,
                                            lambda _: stub.tokens, lambda: None)
                    agent.campaign.course, agent.campaign.study = stub, its
                if not ledger.runs("queued"):
                    agent.queue()
                agent.run()
            asked.append([(run.config_hash, run.seed, run.reason) for run in ledger.runs()])
    assert asked[0] == asked[1]
    assert any("expected" in reason for _, _, reason in asked[0])


def test_a_winner_is_scored_on_seeds_of_its_night_that_the_search_never_had(stub: Stub) -> None:
    found = night("agent", 2, stub, lambda _: None)
    seed = 3 * SEEDS_APART + FRESH
    assert found["start_bpb"] == [stub.train(stub.start, seed, ("test",)).bpb["test"]]
    winner = Config.from_dict(found["winner"])
    assert found["fresh_bpb"] == [stub.train(winner, seed, ("test",)).bpb["test"]]
    assert not any(f"seed {seed}" in line for line in found["story"])


def test_a_night_of_the_agent_says_what_its_tokens_went_into(stub: Stub) -> None:
    found = night("agent", 0, stub, lambda _: None)
    assert sum(found["tokens_by_kind"].values()) == found["tokens"]
    assert found["tokens_by_kind"]["baseline"] == N_BASELINE_SEEDS * stub.asked[0][2].tokens
    assert found["tokens_by_kind"]["confirm"] > 0


def test_the_agent_hands_over_its_head_until_something_is_confirmed(stub: Stub) -> None:
    found = night("agent", 0, stub, lambda _: None)
    kinds = [one["what"] for one in found["handed"]]
    assert kinds[0] == "start"
    assert kinds[-1] == "confirmed"
    first = kinds.index("confirmed")
    assert set(kinds[1:first]) == {"head"}
    assert found["winner"] == found["handed"][-1]["config"]
    before = [(one["tokens"], one["hash"]) for one in found["handed"][1:first]]
    assert before == [(one["tokens"], one["hash"]) for one in found["heads"][1:first]]


@needs_optuna
@pytest.mark.parametrize("arm", [arm for arm in ARMS if packages_of(arm)])
def test_a_night_of_optuna_begins_at_the_start_and_claims_its_best_run_over_it(
        arm: str, stub: Stub) -> None:
    found = night(arm, 0, stub, lambda _: None)
    assert found["end"] == "all tokens spent"
    assert found["story"][0].startswith(f"0 {stub.start.describe()}: ")
    assert found["wasted"].keys() <= {"out of bounds", "duplicate"}
    searched = [(config, ended) for config, seed, ended in stub.asked if seed == SEEDS_APART]
    assert len(searched) == found["n_runs"]
    assert all(why_not(config, stub.limits()) is None for config, _ in searched)
    best_bpb, best = min((ended.bpb["search"], config.hash) for config, ended in searched
                         if ended.bpb)
    assert Config.from_dict(found["winner"]).hash == best
    assert found["claimed_gain"] == pytest.approx(searched[0][1].bpb["search"] - best_bpb)
    assert found["heads"] == []


@needs_optuna
@pytest.mark.parametrize(("arm", "is_pruned"), [
    ("tpe", True), ("tpe-deaf", True), ("tpe-plain", False), ("cma", False), ("random", False)])
def test_only_the_median_pruner_gives_runs_up(arm: str, is_pruned: bool, stub: Stub) -> None:
    found = night(arm, 0, stub, lambda _: None)
    assert bool(stub.rungs) is is_pruned
    assert bool(found["verdicts"]["pruned"]) is is_pruned


@needs_optuna
def test_cma_draws_around_the_start(stub: Stub) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    peer, start = optuna.create_study(sampler=sampler_of("cma", 0, stub.start)), places(stub.start)
    peer.enqueue_trial(start)
    for _ in range(8):
        trial = peer.ask()
        config_of(trial, stub.start)
        peer.tell(trial, 2.0)
    drawn = [abs(one.params[axis.name] - start[axis.name]) for one in peer.trials[1:]
             for axis in tpe.AXES if axis.name in start]
    assert 0.05 < sum(drawn) / len(drawn) < 0.2  # a sixth of an axis is its spread


@needs_optuna
def test_only_tpe_plain_is_univariate() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what Optuna calls experimental is not for the user's eyes
        assert [sampler_of(arm, 0, START)._multivariate
                for arm in ("tpe", "tpe-deaf", "tpe-plain")] == [True, True, False]


@needs_optuna
def test_a_night_that_finds_nothing_legal_ends(course: Course) -> None:
    course = dataclasses.replace(course, n_runs=1, budget_tokens=300)  # at most 18 steps: too few
    found = night("random", 0, course, lambda _: None)
    assert found["end"] == "100 trials"
    assert (found["winner"], found["claimed_gain"]) == (course.start.to_dict(), None)
    assert (found["n_runs"], found["wasted"]) == (0, {"out of bounds": 100})


# --- the seeds' own rule ---------------------------------------------------------------------


def test_the_rule_keeps_what_is_better_on_the_nights_one_seed_and_claims_it(stub: Stub) -> None:
    found = night("rule", 0, stub, lambda _: None)
    searched = [(config, ended.bpb["search"]) for config, seed, ended in stub.asked
                if seed == SEEDS_APART]
    assert len(searched) == found["n_runs"] == stub.n_runs
    assert found["verdicts"]["kept"] + found["verdicts"]["discarded"] == stub.n_runs
    bpb, winner = min((bpb, config.hash) for config, bpb in searched)
    assert Config.from_dict(found["winner"]).hash == winner
    assert found["claimed_gain"] == pytest.approx(searched[0][1] - bpb)
    assert (found["wasted"], found["tokens_by_kind"]) == ({}, {"search": found["tokens"]})


def test_every_step_of_the_rule_is_one_mutation_of_its_head(stub: Stub) -> None:
    night("rule", 0, stub, lambda _: None)
    head, head_bpb = stub.asked[0][0], stub.asked[0][2].bpb["search"]
    assert head == stub.start
    for config, _, ended in stub.asked[1:stub.n_runs]:
        assert 1 <= len(head.difference(config)) <= MAX_FIELDS
        assert why_not(config, stub.limits()) is None
        head, head_bpb = min((head_bpb, head), (ended.bpb["search"], config),
                             key=lambda pair: pair[0])[::-1]


def test_the_rule_ends_where_no_mutation_is_legal(stub: Stub) -> None:
    found = night("rule", 0, dataclasses.replace(stub, budget_tokens=300), lambda _: None)
    assert found["end"].startswith("random has nothing to try from 32d/1L AdamW")
    assert (found["n_runs"], found["claimed_gain"]) == (1, 0.0)


# --- what it would hand over -----------------------------------------------------------------


def test_at_a_mark_counts_what_stood_there_and_at_the_last_one_the_end() -> None:
    stood = [Standing(tokens, START, what) for tokens, what
             in ((0, "start"), (10, "head"), (25, "head 2"), (41, "confirmed"))]
    assert [one.what for one in at_marks(stood, [0, 10, 20, 30, 40])] == [
        "start", "head", "head", "head 2", "confirmed"]
    assert at_marks([], [0, 10]) == []


@pytest.mark.parametrize("arm", ["agent", "rule"])
def test_a_curve_begins_at_the_start_and_ends_at_the_winner(arm: str, stub: Stub) -> None:
    found = night(arm, 0, stub, lambda _: None, is_anytime=True)
    its = found["anytime"]
    assert its["tokens"] == [120_000 * i for i in range(N_MARKS + 1)]
    assert (its["bpb"][0], its["bpb"][-1]) == (found["start_bpb"], found["fresh_bpb"])
    assert (its["head_bpb"] or [None])[-1] == found["head_bpb"]
    fresh = [config.hash for config, seed, _ in stub.asked if seed == SEEDS_APART + FRESH]
    assert len(fresh) == len(set(fresh)) <= 2 + N_MARKS


def test_heads_are_scored_from_the_last_on_while_there_is_room(stub: Stub) -> None:
    handed = [Standing(i * 120_000, stub.start.assign([f"lr={i + 1}e-4"]), "head")
              for i in range(N_MARKS)]
    heads = [Standing(one.tokens, one.config.assign(["tied=yes"]), "head") for one in handed]
    found = anytime(stub, handed, heads, Fresh(stub, [1]))
    assert None not in found["bpb"]
    assert [its is None for its in found["head_bpb"]] == [True] * 7 + [False] * 2
