"""Budgets from speed, and the study they are fixed in."""

from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.search import study
from agent.search.study import Speed
from engine.config import Config
from engine.text import corpus
from engine.text.stories.write import write_stories
from tests.support.parts import NOW, TEXT, TINY, FakeTime, a_run, a_study

CONFIG = Config()
SPEED = Speed(step_s=0.1, eval_token_s=2e-5, tokens_per_step=CONFIG.tokens_per_step)


@pytest.mark.parametrize("run_s", [10.0, 27.0, 60.0, 600.0])
def test_the_budget_fills_the_run_and_never_overfills_it(run_s: float) -> None:
    budget = study.plan_budget(SPEED, CONFIG, 100_000, run_s)
    assert SPEED.run_s(CONFIG, budget, 100_000) <= run_s
    assert SPEED.run_s(CONFIG, int(budget * 1.25), 100_000) > run_s


def test_the_budget_has_two_significant_digits() -> None:
    assert str(study.plan_budget(SPEED, CONFIG, 100_000, 27.0)).rstrip("0").__len__() <= 2


def test_however_short_the_time_a_run_has_a_few_steps() -> None:
    budget = study.plan_budget(SPEED, CONFIG, 100_000, 0.1)
    assert CONFIG.steps_for(budget) == study.MIN_STEPS


def test_a_night_is_planned_for_at_least_sixteen_runs_of_ten_minutes_at_most() -> None:
    assert study.planned_run_s(240.0) == pytest.approx(13.5)
    assert study.planned_run_s(8 * 3600.0) == 600.0
    assert study.planned_run_s(None) == 600.0


def test_with_many_at_once_a_night_still_has_rounds_for_ideas_and_their_test() -> None:
    assert study.planned_run_s(240.0, 16) == study.planned_run_s(240.0, 2) == pytest.approx(21.6)


def test_a_new_study_queues_its_baseline_on_five_seeds(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    tokens = corpus.prepare_tokens(corpus.from_file(tmp_path, path), 300)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        clock = FakeTime().clock()
        first = study.open_study(ledger, clock, tokens, TINY, 5, SPEED, 3200)
        for _ in range(2):  # again in the next night
            study.queue_baselines(ledger, first, NOW, 1)
        assert [(run.label, run.seed, run.strategy) for run in ledger.runs()] == [
            (f"B{number}", 4 + number, "baseline") for number in range(1, 6)]
        found = ledger.corpus(first.corpus_id)
        assert found.unigram_nats == tokens.yardsticks.unigram
        # Bits a byte from nats a token: the same total, spread over the bytes instead.
        assert found.unigram_bpb == pytest.approx(
            tokens.yardsticks.unigram * (tokens.n_tokens["search"] - 1)
            / 0.6931471805599453 / tokens.n_bytes["search"])


def test_noise_is_taken_in_as_baselines_finish(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    tokens = corpus.prepare_tokens(corpus.from_file(tmp_path, path), 300)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        found = study.open_study(ledger, FakeTime().clock(), tokens, TINY, 0, SPEED, 3200)
        study.queue_baselines(ledger, found, NOW, 1)
        sigmas = []
        for bpb in (2.0, 2.2, 2.1):
            run = ledger.claim(NOW)
            assert run is not None
            ledger.finish(run.id, "finished", NOW, val_bpb=bpb, val_loss=2 * bpb)
            sigmas.append(study.note_noise(ledger, found).sigma_bpb)
        assert sigmas == [None, pytest.approx(0.1414, abs=1e-4), pytest.approx(0.1)]


def test_a_baseline_that_failed_is_queued_again_by_the_next_night(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        found = ledger.calibration(a_study(ledger))
        study.queue_baselines(ledger, found, NOW, 1)
        ledger.finish(1, "failed", NOW, error="no memory")
        study.queue_baselines(ledger, found, NOW, 1)
        assert [(run.label, run.seed, run.state) for run in ledger.runs()] == [
            ("B1", 0, "failed"), ("B2", 1, "queued"), ("B3", 2, "queued"), ("B4", 0, "queued")]


def test_a_second_study_of_the_same_budget_uses_the_baselines_of_the_first(
        tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        first, second = (ledger.calibration(a_study(ledger)) for _ in range(2))
        study.queue_baselines(ledger, first, NOW, 1)
        run = ledger.claim(NOW)
        assert run is not None
        ledger.finish(run.id, "finished", NOW, val_bpb=2.0, val_loss=4.0)
        study.queue_baselines(ledger, second, NOW, 1)
        incumbent = ledger.incumbent(second.id)
        assert len(ledger.runs()) == 3
        assert incumbent is not None
        assert incumbent.label == "B1"


def test_seeds_whose_run_tells_nothing_of_the_shard_that_confirms_are_passed_over(
        tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for seed, confirm_bpb in ((5, None), (6, 2.0), (7, None)):
            a_run(ledger, seed=seed)
            run = ledger.claim(NOW)
            assert run is not None
            ledger.finish(run.id, "finished", NOW, val_bpb=2.0, confirm_bpb=confirm_bpb)
        assert study.baseline_seeds(ledger, TEXT, TINY, 3200, 5) == [6, 8, 9, 10, 11]
        assert study.baseline_seeds(ledger, TEXT, TINY, 6400, 5) == [5, 6, 7, 8, 9]


def test_a_seed_that_waits_for_a_run_by_hand_is_passed_over(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        a_study(ledger)
        a_run(ledger, seed=5)
        a_run(ledger, seed=6, strategy="baseline")
        assert study.baseline_seeds(ledger, TEXT, TINY, 3200, 5) == [6, 7, 8, 9, 10]
