"""Two configurations held against each other: the statistics, and what they allow to say."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.compare import (
    Gain,
    by_seed,
    compare_runs,
    find,
    gain,
    in_words,
    interval,
    pooled_sigma,
)
from agent.ledger.ledger import Ledger
from agent.ledger.records import Calibration, Run
from engine.config import Config
from engine.errors import LedgerError, UserError
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW, START

SLOWER = Config(lr=1e-3)

# Student 1908, The probable error of a mean: hours of sleep gained by ten patients under two drugs.
# R's documentation of t.test has it as `sleep`, with the results below.
DRUG_1 = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
DRUG_2 = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        example.add_study(opened)
        yield opened


def ended(ledger: Ledger, config: Config, seed: int, bpb: float, **changes: Any) -> Run:
    run = example.queue(ledger, config, seed=seed, **changes)
    ledger.claim(NOW, run_id=run.id)
    return ledger.finish(run.id, "finished", NOW, val_bpb=bpb, val_loss=2 * bpb)


# --- the statistics --------------------------------------------------------------------------


def test_shared_seeds_are_paired_as_students_own_data_are() -> None:
    found = gain(DRUG_1, DRUG_2, None)
    assert (found.how, found.n_first, found.n_second, found.df) == ("paired", 10, 10, 9)
    assert found.bpb == pytest.approx(-1.58)
    assert (found.low, found.high) == (pytest.approx(-2.4598858), pytest.approx(-0.7001142))


def test_other_seeds_are_compared_as_welch_does() -> None:
    found = gain(DRUG_1, {seed + 100: hours for seed, hours in DRUG_2.items()}, None)
    assert found.how == "welch"
    assert found.df == pytest.approx(17.77647, abs=1e-5)
    assert (found.low, found.high) == (pytest.approx(-3.3654832), pytest.approx(0.2054832))


def test_one_shared_seed_of_several_is_no_pair_but_all_runs_count() -> None:
    found = gain({0: 2.0, 1: 2.2}, {1: 2.0, 2: 1.8}, 0.1)
    assert (found.how, found.bpb) == ("welch", pytest.approx(0.2))


def test_one_run_each_has_no_interval_and_the_noise_of_two_runs() -> None:
    found = gain({0: 2.0}, {0: 1.9}, 0.1)
    assert (found.how, found.low, found.high, found.is_beyond_noise) == (
        "pair", None, None, False)
    assert found.noise_bpb == pytest.approx(0.1 * math.sqrt(2))


def test_one_run_against_its_twin_leaves_the_other_seeds_out() -> None:
    assert gain({0: 2.0, 1: 3.0}, {0: 1.9}, None).bpb == pytest.approx(0.1)


def test_one_run_against_others_is_compared_with_their_mean() -> None:
    found = gain({0: 2.0, 1: 3.0}, {7: 1.9}, 0.1)
    assert (found.bpb, found.n_first, found.n_second) == (pytest.approx(0.6), 2, 1)
    assert found.noise_bpb == pytest.approx(0.1 * math.sqrt(1.5))


def test_runs_without_any_spread_have_an_interval_of_no_width() -> None:
    found = gain({0: 2.0, 1: 2.0}, {5: 1.5, 6: 1.5}, None)
    assert (found.low, found.high, found.df) == (0.5, 0.5, 2)


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    import numpy as np
    rng = np.random.default_rng(0)
    draws = rng.normal(0.3, 1.0, (4000, 3)).tolist()
    held = sum(one.low <= 0.3 <= one.high for one in (  # type: ignore[operator]
        gain(dict(enumerate(draw)), dict.fromkeys(range(3), 0.0), None) for draw in draws))
    assert held / 4000 == pytest.approx(0.95, abs=0.012)  # three and a half standard errors


def study(config: Config, n: int | None, sigma: float | None) -> Calibration:
    return Calibration(id=1, created_at=START, corpus_id=1, text_sha256="aa", budget_tokens=9,
                       config=config.to_dict(), n=n, sigma_bpb=sigma)


def test_the_noise_of_studies_is_pooled_by_their_degrees_of_freedom() -> None:
    a, b = [2.0, 2.3, 2.1], [1.0, 1.1]
    found = pooled_sigma([study(Config(), 3, statistics.stdev(a)),
                          study(SLOWER, 2, statistics.stdev(b))])
    within = [x - statistics.fmean(a) for x in a] + [x - statistics.fmean(b) for x in b]
    assert found == pytest.approx(math.sqrt(sum(x * x for x in within) / 3))


def test_a_baseline_that_two_studies_share_counts_once() -> None:
    assert pooled_sigma([study(Config(), 3, 0.1), study(Config(), 2, 9.0)]) == pytest.approx(0.1)


def test_noise_that_was_not_measured_is_unknown() -> None:
    assert pooled_sigma([study(Config(), 1, None), study(SLOWER, None, 0.1)]) is None


# --- in words --------------------------------------------------------------------------------


def single(bpb: float, noise: float | None, n: int = 1) -> Gain:
    return Gain(bpb=bpb, how="single", n_first=n, n_second=1, noise_bpb=noise)


@pytest.mark.parametrize(("found", "words"), [
    (single(0.02, None),
     "E2 is 0.0200 bits/byte better than B1, by one seed against one; that tells nothing here, "
     "since the noise between seeds was not measured on this text and budget"),
    (replace(single(-0.001, 0.0028), how="pair", seed=4),
     "E2 is 0.0010 bits/byte worse than B1, on seed 4, the one that both have run; that tells "
     "nothing: seeds alone make such differences vary by 0.0028 (s_d)"),
    (single(0.0056, 0.0028, 3),
     "E2 is 0.0056 bits/byte better than B1, by 3 seeds against 1; seeds alone make such "
     "differences vary by 0.0028 (s_d), this one is 2.0 times that; for an interval both need two "
     "seeds"),
    (Gain(bpb=0.02, how="paired", n_first=3, n_second=3, low=0.01, high=0.03),
     "E2 is 0.0200 bits/byte better than B1 over 3 shared seeds; the 95 % interval is +0.0100 to "
     "+0.0300, which is more than the seeds make"),
    (Gain(bpb=0.02, how="welch", n_first=3, n_second=2, low=-0.01, high=0.05),
     "E2 is 0.0200 bits/byte better than B1 over 3 seeds of one and 2 of the other; the 95 % "
     "interval is -0.0100 to +0.0500, so it may be luck"),
])
def test_the_sentence_says_no_more_than_the_numbers(found: Gain, words: str) -> None:
    assert in_words(found, "B1", "E2") == words


def test_a_loss_beyond_the_noise_is_one_too() -> None:
    assert Gain(bpb=-1, how="paired", n_first=2, n_second=2, low=-2, high=-0.5).is_beyond_noise


def test_an_interval_nobody_could_draw_is_unknown() -> None:
    assert interval(single(0.1, None)) == "unknown"


# --- from the ledger -------------------------------------------------------------------------


def test_all_finished_seeds_of_both_configurations_count(ledger: Ledger) -> None:
    for seed, bpb in enumerate((2.0, 2.1, 2.2)):
        ended(ledger, Config(), seed, bpb)
        ended(ledger, SLOWER, seed, bpb - 0.1 - seed / 100)
    example.queue(ledger, SLOWER, seed=9)
    found = compare_runs(ledger, "E1", "E4")
    assert found.changes == "learning rate 3e-3 → 1e-3"
    assert (found.gain.how, found.gain.n_first) == ("paired", 3)
    assert found.gain.bpb == pytest.approx(0.11)
    assert found.second_bpb == {0: 1.9, 1: pytest.approx(1.99), 2: pytest.approx(2.08)}
    assert "over 3 shared seeds" in found.sentence


def test_runs_of_another_budget_or_text_do_not_count(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.0)
    ended(ledger, Config(), 1, 9.0, budget_tokens=64_000)
    other = example.add_corpus(ledger, text_sha256="zz")
    ended(ledger, Config(), 2, 9.0, corpus_id=other)
    ended(ledger, SLOWER, 0, 1.9)
    assert compare_runs(ledger, "E1", "E4").first_bpb == {0: 2.0}


def test_the_noise_is_that_of_the_text_and_the_budget(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.0)
    ended(ledger, SLOWER, 0, 1.9)
    ledger.update_calibration(1, n=3, sigma_bpb=0.01)
    found = compare_runs(ledger, "E1", "E2")
    assert found.gain.noise_bpb == pytest.approx(0.01 * math.sqrt(2))
    assert "0.0141 (s_d)" in found.sentence


def test_two_seeds_of_one_configuration_are_two_runs(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.0)
    ended(ledger, Config(), 1, 2.1)
    found = compare_runs(ledger, "E1", "E2")
    assert (found.changes, found.first_bpb, found.second_bpb) == ("", {0: 2.0}, {1: 2.1})


def test_a_queued_run_is_compared_by_the_seeds_that_have_finished(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.0)
    ended(ledger, SLOWER, 0, 1.9)
    waiting = example.queue(ledger, SLOWER, seed=1)
    assert compare_runs(ledger, "E1", waiting.label).second_bpb == {0: 1.9}


def test_a_configuration_is_found_by_its_hash(ledger: Ledger) -> None:
    done = ended(ledger, SLOWER, 0, 1.9)
    example.queue(ledger, SLOWER, seed=1)
    assert find(ledger, SLOWER.hash[:8].upper()).id == done.id
    with pytest.raises(LedgerError, match=f"there is no run '{SLOWER.hash[:7]}'"):
        find(ledger, SLOWER.hash[:7])


def test_what_does_not_compare_is_refused_in_one_sentence(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.0)
    other = example.add_corpus(ledger, text_sha256="zz", name="tales")
    ended(ledger, SLOWER, 0, 2.0, corpus_id=other)
    example.queue(ledger, SLOWER)
    for second, sentence in {
            "E2": "E1 was scored on stories, E2 on tales: scores on two texts do not compare",
            "E3": r"E3 \(queued\) has no score, and no other seed of it has finished; compare",
            "1": "E1 and 1 are both E1; name two runs"}.items():
        with pytest.raises(UserError, match=sentence):
            compare_runs(ledger, "E1", second)


def test_a_published_row_is_compared_with_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        example.fill(ledger)
        with pytest.raises(UserError, match="B1 is a published row; its text and seed are unkn"):
            compare_runs(ledger, "E1", "B1")


def test_a_run_that_has_not_finished_gives_no_score(ledger: Ledger) -> None:
    run = example.queue(ledger)
    assert by_seed([run]) == {}


def test_the_same_seed_on_an_unlike_device_of_another_home_is_no_pair(ledger: Ledger) -> None:
    for seed, bpb in ((0, 2.0), (1, 2.1)):
        ended(ledger, Config(), seed, bpb)
        ended(ledger, SLOWER, seed, bpb - 0.1)
    ledger._db.execute("UPDATE runs SET device = 'a phone'")
    found = compare_runs(ledger, "E1", "E2")
    assert (found.gain.how, "is no pair" in found.sentence) == ("paired", False)
    ledger._db.execute("UPDATE runs SET home = 'elsewhere' WHERE label IN ('E2', 'E4')")
    assert compare_runs(ledger, "E1", "E2").gain.how == "paired"  # on the same kind of device
    ledger._db.execute("UPDATE runs SET device = 'a board' WHERE home = 'elsewhere'")
    found = compare_runs(ledger, "E1", "E2")
    assert found.gain.how == "welch"
    assert found.sentence.endswith("; E1 ran on a phone, E2 on a board: a seed of one is no pair "
                                   "with that of the other")
