"""The findings in sentences: ranges in each, and nothing that the runs do not tell."""

import dataclasses

import pytest

from agent.analysis.scaling.answer import (
    bracket,
    headline,
    main_thresholds,
    sentences,
)
from agent.analysis.scaling.rates import rate_checks
from agent.analysis.scaling.rows import Ground
from agent.analysis.scaling.study import Study
from agent.ledger.reader import Reader
from tests.support.example_grids import ALPHA, SHAPES


@pytest.mark.parametrize(("ends", "said"), [
    ((5e4, 2e5), "50k to 200k"), ((None, 2e5), "under 200k"), ((5e4, None), "not by 50k"),
    ((None, None), "never")])
def test_a_bracket_says_which_end_is_open(
        ends: tuple[float | None, float | None], said: str) -> None:
    assert bracket(*ends) == said


def test_the_headline_answers_for_each_yardstick_with_a_range(
        found: Study, ground: Ground) -> None:
    said = headline(found, ground)
    assert said.startswith("On tales, models of 1.02k to 786k parameters trained on 50k to 8M ")
    for words in ("token frequencies (the unigram)", "pairs of tokens (the bigram)",
                  "triples of tokens (the trigram)"):
        assert words in said
    assert "the soonest after " in said or "the soonest within " in said


def test_thresholds_of_another_family_are_not_mixed_in(found: Study) -> None:
    assert len({one.size for one in main_thresholds(found)}) == len(SHAPES)


def test_the_law_is_told_with_intervals_that_hold_the_truth(
        found: Study, ground: Ground, ledger: Reader) -> None:
    said = dict(sentences(found, ground, rate_checks(ledger, ground.corpora)))
    assert "α = 0.3" in said["law"]
    assert "(95 %: " in said["law"]
    low, high = found.best.draws.ci95["alpha"]
    assert low <= ALPHA <= high
    assert "% at most" in said["hold-out"]
    assert said["fit"].startswith("the law misses the cells by ")
    assert "R* = " in said["repeats"]
    assert said["left out"].endswith("4 that check something")


def test_a_rule_that_another_rate_beats_does_not_hold(
        found: Study, ground: Ground, ledger: Reader) -> None:
    said = dict(sentences(found, ground, rate_checks(ledger, ground.corpora)))["rate"]
    assert "does not hold" in said
    assert "8d/1L on 800k tokens: the rule's rate is best" in said
    assert "128d/3L on 800k tokens: 0.5 times the rule's is " in said


def test_without_seeds_it_says_how_to_tell_noise(found: Study, ground: Ground) -> None:
    blind = dataclasses.replace(found, fits=[dataclasses.replace(one, lack=None)
                                             for one in found.fits])
    assert "agent grid --seeds 3" in dict(sentences(blind, ground))["fit"]
