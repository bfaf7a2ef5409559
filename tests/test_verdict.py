"""Keep or discard: beyond the noise, within it, and when the noise is unknown."""

import statistics

import pytest

from agent.verdict import judge, seed_noise


def test_noise_is_the_sample_deviation_of_the_baselines() -> None:
    scores = [1.50, 1.53, 1.47]
    assert seed_noise(scores) == pytest.approx(statistics.stdev(scores))


def test_one_baseline_measures_no_noise() -> None:
    assert seed_noise([1.5]) is None


@pytest.mark.parametrize(("challenger", "expected"), [
    (1.5 - 0.0142, "kept"),  # √2 · 0.01 = 0.01414: just beyond
    (1.5 - 0.0141, "discarded"),  # just within
    (1.5, "discarded"),
    (1.6, "discarded"),
])
def test_a_gain_is_kept_only_beyond_the_noise_of_a_difference(
        challenger: float, expected: str) -> None:
    assert judge(challenger, 1.5, 0.01, 3).verdict == expected


def test_the_evidence_holds_every_number_of_the_decision() -> None:
    found = judge(1.4, 1.5, 0.01, 3)
    assert found.evidence == {
        "bpb": 1.4, "incumbent_bpb": 1.5, "gain_bpb": pytest.approx(0.1), "sigma_bpb": 0.01,
        "n_seeds": 3, "noise_bpb": pytest.approx(0.0141421, abs=1e-6)}
    assert found.reason == ("0.1000 bits/byte better, more than the noise of 0.0141 "
                            "(3 baseline seeds)")


def test_a_loss_is_told_as_worse() -> None:
    assert judge(1.6, 1.5, 0.01, 3).reason.startswith("0.1000 bits/byte worse, against")


def test_without_measured_noise_nothing_is_kept() -> None:
    found = judge(1.0, 1.5, None, 1)
    assert (found.verdict, "noise could not be measured" in found.reason) == ("discarded", True)


def test_the_first_finished_run_has_nothing_to_beat() -> None:
    assert judge(1.5, None, None, 0).verdict == "kept"
