"""What a run will cost: against step times and memory that were measured, and in a night."""

import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.home.paths import RunFolder
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.machine import machine
from agent.search import feasible, study
from agent.search.feasible import COSTS, SPAWN_S, StepTime, Timing, counts, learn
from agent.trial.job import Job
from engine.config import Config
from engine.errors import LedgerError, NoProposal
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from strategies import STRATEGIES
from strategies.base import Limits, Outcome, why_not
from tests.agent.night.test_night import Stage
from tests.reference.make_step_times import draw
from tests.support.parts import NOW, TINY, a_run, a_study, new_corpus
from tests.support.patience import patience

TABLE = json.loads((Path(__file__).parents[2] / "reference" / "step_times.json").read_text("utf-8"))


def measured(name: str) -> list[Timing]:
    return [Timing(Config.from_dict(row["config"]), row["replicas"], row["step_s"],
                   row["eval_token_s"]) for row in TABLE[name]]


def errors(timings: Sequence[Timing], n_runs: int, what: str = "step_s") -> list[float]:
    """Relative errors on each configuration after n_runs of the others, in ten random orders."""
    rng, found = np.random.default_rng(0), []
    for i, left_out in enumerate(timings):
        for _ in range(10):
            others = [j for j in rng.permutation(len(timings)) if j != i][:n_runs]
            model = learn([timings[j] for j in others])
            predicted = getattr(model, what)(left_out.config, left_out.n_replicas)
            found.append(abs(predicted / getattr(left_out, what) - 1))
    return found


# --- other mixers ----------------------------------------------------------------------------


def windowed(time: int, mixer: str) -> Config:
    return Config(seq_len=time, batch_size=1024 // time, mixer=mixer)


def test_rwkv_is_foreseen_slower_in_short_windows_and_faster_in_long_ones() -> None:
    model = learn([])
    ratio = {time: model.step_s(windowed(time, "attention"), 2) / model.step_s(
        windowed(time, "rwkv"), 2) for time in (128, 512, 1024)}
    assert 0.7 < ratio[128] < 1.0 < ratio[1024] < 1.5
    assert ratio[128] < ratio[512] < ratio[1024]


def test_a_window_of_rwkv_costs_what_the_chunks_do_that_it_is_filled_up_to() -> None:
    rwkv = Config(mixer="rwkv", n_embd=96, n_layer=3, seq_len=32)
    at = list(COSTS).index

    def own(time: int) -> tuple[float, float]:
        """Multiply-adds of a row's mixing: by its matrices, and with other tokens."""
        found = counts(dataclasses.replace(rwkv, seq_len=time)) / rwkv.batch_size
        mlp = time * rwkv.n_layer * 3 * rwkv.n_embd * rwkv.hidden
        return found[at("products")] - mlp, found[at("attention")]

    assert own(17) == own(24) == own(32) != own(33)
    assert own(33) == own(48) == (1.5 * own(32)[0], 1.5 * own(32)[1])
    for time in (16, 32, 48, 64):
        short = dataclasses.replace(rwkv, seq_len=time)
        n = short.batch_size * time * short.n_layer
        found = counts(short)
        assert found[at("products")] == n * short.block_weights
        assert found[at("attention")] == n * short.mixer_products / 2
        assert found[at("activations")] == n * (28 * short.n_embd + 3 * short.hidden)
    plain = Config(seq_len=33)
    n = plain.batch_size * 33 * plain.n_layer
    assert counts(plain)[at("products")] == n * plain.block_weights


def test_shared_heads_are_foreseen_to_save_time_and_memory() -> None:
    plain, shared = Config(), Config(n_kv_head=1)
    assert learn([]).step_s(shared, 2) < learn([]).step_s(plain, 2)
    assert shared.predicted_mb(2) < plain.predicted_mb(2) < Config(mixer="rwkv").predicted_mb(2)


@pytest.mark.parametrize(("changes", "measured"), [
    ({}, 1.29), ({"batch_size": 4}, 1.54), ({"mixer": "rwkv"}, 1.28),
    ({"n_embd": 256, "n_head": 8}, 1.65),
    ({"n_embd": 64, "n_layer": 2, "n_head": 2, "seq_len": 64}, 1.21)], ids=str)
def test_muon_is_foreseen_to_cost_a_step_what_it_does(
        changes: dict[str, Any], measured: float) -> None:
    """Beside AdamW's step in turns, one process, x86: the median of six pairs."""
    plain, muon = Config(**changes), Config(optimizer="muon", **changes)
    assert learn([]).step_s(muon) / learn([]).step_s(plain) == pytest.approx(measured, rel=0.06)
    saved = learn([]).step_s(muon) - learn([]).step_s(muon, 2)
    assert saved > 0.4 * learn([]).step_s(muon)  # a second replica takes half of the matrices


@pytest.mark.parametrize(("idea", "least", "most"), [
    ({"residual_scalars": True}, 1.005, 1.05), ({"qk_norm": True}, 1.01, 1.06),
    ({"bigram_buckets": 4096}, 1.02, 1.15)])
def test_small_ideas_are_foreseen_to_cost_little_time_and_some_memory(
        idea: dict[str, Any], least: float, most: float) -> None:
    plain, other = Config(), Config(**idea)
    assert least < learn([]).step_s(other) / learn([]).step_s(plain) < most
    assert other.predicted_mb(2) > plain.predicted_mb(2)


def test_a_norm_of_heads_that_are_none_costs_nothing() -> None:
    plain, other = Config(mixer="rwkv"), Config(mixer="rwkv", qk_norm=True)
    assert learn([]).step_s(other) == learn([]).step_s(plain)
    assert other.predicted_mb(2) == plain.predicted_mb(2)


# --- step times ------------------------------------------------------------------------------


def test_the_costs_are_the_fit_to_the_first_set_of_the_table() -> None:
    """Where this fails after the table was made anew, write the printed costs into COSTS."""
    fit = learn(measured("shape"), noise_sd=0.05, part_sd=3.0)
    refitted = [fit.step_s(t.config, t.n_replicas) for t in measured("pair")]
    written = [StepTime(np.array(list(COSTS.values()))).step_s(t.config, t.n_replicas)
               for t in measured("pair")]
    assert written == pytest.approx(refitted, rel=0.1), dict(zip(COSTS, fit.costs, strict=True))


@pytest.mark.parametrize(("name", "n_runs", "median", "share"), [
    ("pair", 1, 0.12, 0.7), ("pair", 5, 0.1, 0.85), ("pair", 20, 0.1, 0.88),
    ("single", 1, 0.1, 0.85), ("single", 5, 0.1, 0.88)])
def test_step_times_of_other_configurations_are_foreseen_within_a_quarter(
        name: str, n_runs: int, median: float, share: float) -> None:
    found = errors(measured(name), n_runs)
    assert statistics.median(found) < median
    assert sum(error <= 0.25 for error in found) / len(found) >= share


def test_evaluations_are_foreseen_from_a_few_runs() -> None:
    assert statistics.median(errors(measured("pair"), 5, "eval_token_s")) < 0.15


def other_device(timings: Sequence[Timing], seed: int) -> list[Timing]:
    """The same configurations where every part costs up to several times more or less."""
    rng = np.random.default_rng(seed)
    costs = np.array(list(COSTS.values())) * np.exp(
        rng.normal(1.5, 0.2) + 0.5 * rng.standard_normal(len(COSTS)))
    there = StepTime(costs)
    return [dataclasses.replace(t, step_s=there.step_s(t.config, t.n_replicas)
                                * float(np.exp(0.05 * rng.standard_normal()))) for t in timings]


def test_a_device_whose_parts_cost_otherwise_is_learnt_in_eight_runs() -> None:
    found = [error for seed in range(4)
             for error in errors(other_device(measured("pair"), seed), 8)]
    assert statistics.median(found) < 0.15
    assert sum(error <= 0.25 for error in found) / len(found) >= 0.8


def test_one_run_fixes_the_level_of_a_device_of_any_speed() -> None:
    for slower in (0.1, 1.0, 30.0):
        model = learn([Timing(Config(), 2, 0.05 * slower)])
        assert model.step_s(Config(), 2) == pytest.approx(0.05 * slower, rel=0.01)


def test_a_phone_that_grew_hot_is_half_believed_within_three_runs() -> None:
    cold = [Timing(Config(n_layer=n), 1, learn([]).step_s(Config(n_layer=n))) for n in range(1, 9)]
    hot = [dataclasses.replace(t, step_s=1.6 * t.step_s) for t in cold[:3]]
    after = [learn([*cold, *cold, *hot[:n]]).step_s(Config()) for n in range(4)]
    truth = cold[3].step_s
    assert after[0] == pytest.approx(truth, rel=0.02)
    assert after == sorted(after)
    assert after[3] > 1.2 * truth


@given(st.integers(0, 10_000), st.integers(0, 30), st.floats(-7, 3))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_runs_make_a_model_with_times_above_zero(seed: int, n: int, log_s: float) -> None:
    rng = np.random.default_rng(seed)
    runs = [Timing(draw(rng), int(rng.integers(1, 9)), math.exp(log_s + 2 * rng.normal()))
            for _ in range(n)]
    model, config = learn(runs), draw(rng)
    assert 0 < model.step_s(config, 2) < math.inf
    assert 0 < model.eval_token_s(config, 2) < math.inf


@pytest.mark.parametrize("changes", [
    {"n_embd": 256}, {"n_layer": 5}, {"vocab_size": 2048}, {"seq_len": 256}, {"batch_size": 9},
    {"grad_accum": 2}, {"n_hidden": 600}, {"n_head": 8}], ids=str)
def test_more_of_anything_takes_a_longer_step(changes: dict[str, Any]) -> None:
    config = dataclasses.replace(Config(), **changes)
    assert learn([]).step_s(config) > learn([]).step_s(Config())


def test_the_replica_with_the_most_rows_sets_the_pace() -> None:
    three, four = (Config(batch_size=n) for n in (3, 4))
    model = learn([])
    assert model.step_s(three, 2) == model.step_s(four, 2) < model.step_s(three, 1)
    assert model.step_s(three, 8) == model.step_s(three, 3)  # no replica without a row


def test_a_run_is_its_steps_and_its_evaluations() -> None:
    # 100 steps of 1,024 tokens; evaluation is due every fourth: 0.1 · 3 · 102,400 / 1,229 = 24.9,
    # of at most 20, is every fifth step.
    assert feasible.run_s(Config(), 102_400, 1229, 0.1, 1e-3) == pytest.approx(
        SPAWN_S + 100 * 0.1 + 20 * 1229 * 1e-3)


# --- what the ledger knows -------------------------------------------------------------------


def a_finished_run(ledger: Ledger, config: Config = TINY, seed: int = 0,
                   **fields: Any) -> Run:
    run = a_run(ledger, config, seed)
    ledger.claim(NOW, run_id=run.id)
    values: dict[str, Any] = {"tok_per_s": 1000.0, "tokens": 3200, "duration_s": 5.0,
                              "device": machine.device(), "cores": machine.cores()}
    return ledger.finish(run.id, "finished", NOW, **values | fields)


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_a_run_tells_its_step_and_what_was_not_steps(ledger: Ledger) -> None:
    timing = feasible.timing_of(a_finished_run(ledger), 960)
    # 32 tokens a step; 1.8 s were not steps; 0.1 · 3 · 3,200 / 960 affords one evaluation.
    assert timing == Timing(TINY, 1, 0.032, pytest.approx(1.8 / 960))


@pytest.mark.parametrize("fields", [{"tok_per_s": None}, {"tok_per_s": 0.0}, {"tokens": None}])
def test_a_run_without_a_speed_tells_nothing(ledger: Ledger, fields: dict[str, Any]) -> None:
    assert feasible.timing_of(a_finished_run(ledger, **fields), 960) is None


@pytest.mark.parametrize(("duration_s", "n_valid"), [(3.0, 960), (None, 960), (5.0, None)])
def test_evaluation_is_unknown_where_the_rest_of_the_run_is(
        ledger: Ledger, duration_s: float | None, n_valid: int | None) -> None:
    timing = feasible.timing_of(a_finished_run(ledger, duration_s=duration_s), n_valid)
    assert timing == Timing(TINY, 1, 0.032, None)


def a_measured_study(ledger: Ledger, **changes: Any) -> int:
    values = {"tok_per_s": 1000.0, "run_s": 10.0, "device": machine.device()}
    return a_study(ledger, **values | changes)


def test_the_measurement_of_a_study_foresees_its_own_baseline(ledger: Ledger) -> None:
    run_s = study.foresee(ledger, ledger.calibration(a_measured_study(ledger)), 1)
    assert run_s is not None
    # 100 steps of 0.032 s, one evaluation of a text of unknown length.
    assert run_s(TINY, 3200) == pytest.approx(SPAWN_S + 3.2, rel=0.02)
    assert run_s(TINY, 6400) > 1.5 * run_s(TINY, 3200)


def test_nothing_known_foresees_nothing(ledger: Ledger) -> None:
    assert study.foresee(ledger, ledger.calibration(a_study(ledger)), 1) is None


def test_runs_of_this_device_sharpen_what_was_measured(ledger: Ledger) -> None:
    known = ledger.calibration(a_measured_study(ledger))
    for seed in range(6):
        a_finished_run(ledger, seed=seed, tok_per_s=500.0, duration_s=None)
    run_s = study.foresee(ledger, known, 1)
    assert run_s is not None
    assert run_s(TINY, 3200) == pytest.approx(SPAWN_S + 6.4, rel=0.1)


@pytest.mark.parametrize("elsewhere", [{"device": "another board"}, {"cores": "99"}])
def test_runs_of_another_device_or_other_cores_tell_nothing(
        ledger: Ledger, elsewhere: dict[str, Any]) -> None:
    known = ledger.calibration(a_measured_study(ledger))
    before = study.foresee(ledger, known, 1)
    a_finished_run(ledger, tok_per_s=1.0, **elsewhere)
    after = study.foresee(ledger, known, 1)
    assert before is not None
    assert after is not None
    assert after(TINY, 3200) == before(TINY, 3200)


def test_a_study_on_a_cluster_learns_from_runs_of_its_class_and_not_from_those_of_its_home(
        ledger: Ledger) -> None:
    known = ledger.calibration(a_measured_study(ledger, device="a board, class 000001",
                                                run_s=None))
    a_finished_run(ledger, tok_per_s=1e5, duration_s=None)  # by this machine itself
    a_finished_run(ledger, seed=1, tok_per_s=1e5, duration_s=None,
                   device="a board, class 000002")
    for seed in range(2, 8):
        a_finished_run(ledger, seed=seed, tok_per_s=100.0, duration_s=None, cores="99",
                       device="another board, class 000001")
    run_s = study.foresee(ledger, known, 1)
    assert run_s is not None
    assert run_s(TINY, 3200) == pytest.approx(SPAWN_S + 32, rel=0.25)


def test_a_measurement_elsewhere_counts_until_this_device_has_a_run(ledger: Ledger) -> None:
    known = ledger.calibration(a_measured_study(ledger, device="another board", run_s=None))
    first = study.foresee(ledger, known, 1)
    a_finished_run(ledger, tok_per_s=100.0, duration_s=None)
    then = study.foresee(ledger, known, 1)
    assert first is not None
    assert then is not None
    assert first(TINY, 3200) == pytest.approx(SPAWN_S + 3.2, rel=0.02)
    assert then(TINY, 3200) == pytest.approx(SPAWN_S + 32, rel=0.02)


def test_a_text_in_another_vocabulary_is_evaluated_at_its_own_length(ledger: Ledger) -> None:
    known = ledger.calibration(a_measured_study(ledger, run_s=None))
    smaller = dataclasses.replace(TINY, vocab_size=280)
    before = study.foresee(ledger, known, 1)
    ledger.add_corpus(new_corpus(vocab_size=280, tokenizer_sha256="q" * 64,
                                 n_tokens_search=500_000))
    after = study.foresee(ledger, known, 1)
    assert before is not None
    assert after is not None
    assert after(smaller, 3200) > 2 * before(smaller, 3200)
    assert after(TINY, 3200) == before(TINY, 3200)


# --- memory ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    path = root / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, path), 300)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="replicas tell no memory")
@pytest.mark.parametrize(("config", "n_replicas"), [
    (TINY, 1),
    (Config(n_embd=64, n_layer=2, n_head=2, batch_size=16, seq_len=64, vocab_size=300), 2),
    (Config(vocab_size=300, optimizer="schedule_free"), 2),
    (Config(n_embd=256, n_head=8, batch_size=2, vocab_size=300, optimizer="lion"), 1)],
    ids=lambda value: value.describe() if isinstance(value, Config) else str(value))
def test_a_worker_takes_the_memory_foreseen_within_15_percent(
        tmp_path: Path, tokens: TokenSet, config: Config, n_replicas: int) -> None:
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.root.mkdir(parents=True)
    Job(config=config, seed=0, budget_tokens=3 * config.tokens_per_step,
        train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
        n_valid_bytes=tokens.n_bytes["search"], tokenizer=str(tokens.tokenizer_path),
        n_replicas=n_replicas).write(folder.job)
    subprocess.run([sys.executable, "-m", "agent.trial.worker", str(folder.root), str(os.getpid())],
                   env=machine.worker_environment(), check=True, timeout=patience(60))
    events = map(json.loads, folder.events.read_text("utf-8").splitlines())
    peak_mb = next(event["peak_mb"] for event in events if event["kind"] == "done")
    text_mb = 2e-6 * (tokens.n_tokens["train"] + tokens.n_tokens["search"])
    assert config.predicted_mb(n_replicas) + text_mb == pytest.approx(peak_mb, rel=0.15)


# --- before anything is queued ---------------------------------------------------------------


@st.composite
def tight(draw: st.DrawFn) -> tuple[Config, Limits]:
    """A parent and limits about what it takes itself, so that many a step from it is too much."""
    parent = Config(n_embd=draw(st.sampled_from([32, 64, 128])), n_head=2,
                    n_layer=draw(st.integers(1, 6)), batch_size=draw(st.integers(2, 16)),
                    seq_len=draw(st.sampled_from([32, 64, 128])),
                    optimizer=draw(st.sampled_from(["adamw", "lion", "schedule_free", "muon"])))
    n, part = draw(st.integers(1, 2)), st.floats(0.5, 1.5)
    model = learn([Timing(parent, n, draw(st.floats(0.001, 1.0)))])

    def run_s(config: Config, budget_tokens: int) -> float:
        return model.run_s(config, budget_tokens, n, 100_000)

    budget = 100_000
    return parent, Limits(
        budget_tokens=budget, n_replicas=n, max_params=int(draw(part) * parent.n_params),
        max_mb=draw(part) * parent.predicted_mb(n), max_vocab=1024, run_s=run_s,
        max_s=draw(part) * run_s(parent, budget),
        min_steps=int(draw(part) * parent.steps_for(budget)))


@pytest.mark.parametrize("name", STRATEGIES)
@given(given_limits=tight(), seed=st.integers(0, 999))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_no_strategy_proposes_what_does_not_fit(
        name: str, given_limits: tuple[Config, Limits], seed: int) -> None:
    parent, limits = given_limits
    past = [Outcome(parent, 0, limits.budget_tokens, "finished", 1.5, 3.0, "baseline")]
    try:
        config = STRATEGIES[name](parent, past, np.random.default_rng(seed), limits).config
    except NoProposal:
        return
    assert why_not(config, limits) is None
    assert config.n_params <= limits.max_params
    assert config.predicted_mb(limits.n_replicas) <= limits.max_mb
    assert config.steps_for(limits.budget_tokens) >= limits.min_steps
    assert limits.run_s is not None
    assert limits.max_s is not None
    assert limits.run_s(config, limits.budget_tokens) <= limits.max_s


def test_what_a_run_scored_once_more_does_not_make_an_evaluation_seem_slow(
        ledger: Ledger) -> None:
    run = a_finished_run(ledger)
    plain, arm = feasible.timing_of(run, 960), feasible.timing_of(run, 960, 1920)
    assert plain is not None
    assert arm is not None
    assert plain.eval_token_s is not None
    assert arm.eval_token_s is not None
    n_evals = feasible._n_evals(arm.config, arm.config.steps_for(run.tokens or 0), 960)
    assert plain.eval_token_s / arm.eval_token_s == pytest.approx((n_evals * 960 + 1920)
                                                                  / (n_evals * 960))


def test_a_tight_limit_of_time_leaves_some_proposals_and_bars_others() -> None:
    model = learn([Timing(Config(), 1, 0.05)])
    wide = Limits(run_s=lambda config, budget: model.run_s(config, budget, 1, 100_000))
    assert wide.run_s is not None
    limits = dataclasses.replace(wide, max_s=1.02 * wide.run_s(Config(), wide.budget_tokens))
    proposals = [STRATEGIES["random"](Config(), [], np.random.default_rng(seed), where).config
                 for seed in range(40) for where in (wide, limits)]
    too_slow = [why_not(config, limits) is not None for config in proposals]
    assert sum(too_slow[::2]) > 5  # where time is not limited
    assert not any(too_slow[1::2])
    with pytest.raises(NoProposal, match="over the limit of"):
        STRATEGIES["scale_up"](Config(), [], np.random.default_rng(0), limits)


@pytest.mark.parametrize(("now_s", "states"), [
    (1001.0, ["finished", "finished", "running"]), (1010.5, ["finished", "finished"])])
def test_a_night_queues_only_what_ends_before_it(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet, now_s: float, states: list[str]) -> None:
    stage = Stage(tmp_path, ledger, tokens, deadline_s=1012.0)
    found = stage.study()
    ledger.update_calibration(found, tok_per_s=1000.0, run_s=1.0)
    stage.night.study = ledger.calibration(found)
    for seed in range(2):
        stage.queue(strategy="baseline", study=found, seed=seed)
    stage.night.tick()
    stage.finish()
    stage.time.now_s = now_s
    stage.finish()  # and in the same tick the next one is proposed
    assert stage.states() == states
    run_s = study.foresee(ledger, stage.night.study, 1)
    assert run_s is not None
    for run in ledger.runs()[2:]:
        assert run_s(Config.from_dict(run.config), 3200) <= 0.8 * (1012.0 - now_s)
    assert stage.night.is_stopping is None or "over the limit of 1 s" in stage.night.is_stopping


def test_the_same_configuration_seed_and_budget_is_queued_once(ledger: Ledger) -> None:
    a_run(ledger, seed=0)
    a_run(ledger, seed=1)  # another seed is another run
    with pytest.raises(LedgerError, match="has this configuration, seed 0 and budget"):
        # Only wsd has a decay part, so this is another spelling of the same training.
        a_run(ledger, dataclasses.replace(TINY, decay_frac=0.5), seed=0)
    assert len(ledger.runs()) == 2
