"""Every claim of the contract catches a strategy that does not keep it."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.config import BOUNDS, OPTIMIZERS, Config
from engine.errors import NoProposal
from strategies import STRATEGIES, testing
from strategies.base import DEFAULT_LIMITS, Limits, Mutator, Outcome, Proposal, describe_changes
from strategies.testing import CONTRACT, PARENT, Claim

ENDLESS = itertools.count(1)


class Larger(Config):
    """A configuration of a kind of its own."""


def setting(reason: str | None = None, strategy: str = "odd", **fields: Any) -> Mutator:
    """A strategy that looks at nothing and always sets these fields."""
    def propose(parent: Config, history: Sequence[Outcome], rng: np.random.Generator,
                limits: Limits = DEFAULT_LIMITS) -> Proposal:
        config = dataclasses.replace(parent, **fields)
        return Proposal(config, reason or describe_changes(parent, config), strategy)
    return propose


def refusing(words: str) -> Mutator:
    def propose(*_arguments: Any) -> Proposal:
        raise NoProposal(words)
    return propose


def counting(parent: Config, *_arguments: Any) -> Proposal:
    return Proposal(dataclasses.replace(parent, lr=next(ENDLESS) / 1e6), "next", "odd")


def emptying(parent: Config, history: Any, *_arguments: Any) -> Proposal:
    history.clear()
    raise NoProposal("nothing")


def typed(parent: Config, history: Any, *_arguments: Any) -> Proposal:
    if isinstance(history, tuple):
        raise NoProposal("no list")
    return setting(clip=0.5)(parent, history, np.random.default_rng(0))


def of_a_kind(parent: Config, *_arguments: Any) -> Proposal:
    return Proposal(Larger(**parent.to_dict() | {"clip": 0.5}), "clip", "odd")


def with_numpy(parent: Config, *_arguments: Any) -> Proposal:
    config = dataclasses.replace(parent, clip=0.5)
    object.__setattr__(config, "clip", np.float64(0.5))
    return Proposal(config, "clip", "odd")


@pytest.mark.parametrize(("claim", "broken", "words"), [
    (testing.something_is_proposed, refusing("never"), "proposes nothing from any of 6 parents"),
    (testing.something_is_proposed, refusing(""), "refuses without a word"),
    (testing.something_is_proposed, lambda *_: PARENT, "not a Proposal"),
    (testing.any_parent_gets_a_legal_proposal_or_words, of_a_kind, "proposes a Larger"),
    (testing.any_parent_gets_a_legal_proposal_or_words, setting(), "proposes its parent"),
    (testing.proposal_differs_from_its_parent, setting(), "proposes its parent"),
    (testing.proposal_bears_the_name_of_its_strategy, setting(clip=0.5, strategy="even"),
     "odd signs as 'even'"),
    (testing.reason_says_from_what_to_what, setting("because", clip=0.5),
     "odd changes clip and does not say 1 → 0.5"),
    (testing.same_seed_gives_the_same_proposal, counting, "odd answers seed 0 by"),
    (testing.parent_and_history_are_left_as_they_were, emptying, "odd changes the history"),
    (testing.values_are_plain_python, with_numpy, "odd makes clip a float64"),
    (testing.empty_history_is_no_obstacle, typed, "tells an empty tuple from an empty list"),
    (testing.history_of_failures_is_no_obstacle, setting(lr=2e-3), "odd tries again what failed"),
    (testing.smallest_parent_gets_what_fits_or_words, setting(batch_size=1, n_embd=4096),
     "parameters, over the limit"),
    (testing.largest_parent_gets_what_fits_or_words, setting(clip=0.5), "over the limit"),
    (testing.every_proposal_keeps_the_limits, setting(n_layer=8), "over the limit of 1,600,000"),
    (testing.limits_that_nothing_meets_are_kept, setting(clip=0.5), "over the limit of 1,000"),
    (testing.nothing_tried_is_proposed_again, setting(clip=0.5), "odd repeats 128d/4L"),
    (testing.memory_that_ran_out_is_not_asked_for_again, setting(n_embd=256),
     "MB where less ran out of memory")])
def test_a_broken_strategy_is_caught_in_words(claim: Claim, broken: Mutator, words: str) -> None:
    with pytest.raises(AssertionError) as caught:
        claim("odd", broken)
    assert words in str(caught.value)


def test_every_claim_has_a_strategy_that_breaks_it() -> None:
    (marked,) = test_a_broken_strategy_is_caught_in_words.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marked.args[1]} == set(CONTRACT)


def test_parents_reach_all_over_the_bounds() -> None:
    parents = [testing.a_parent(np.random.default_rng(seed)) for seed in range(200)]
    low, high = BOUNDS["seq_len"]
    assert min(parent.seq_len for parent in parents) < low + 0.1 * (high - low)
    assert max(parent.seq_len for parent in parents) > high - 0.1 * (high - low)
    assert {parent.optimizer for parent in parents} == set(OPTIMIZERS)
    assert len({parent.hash for parent in parents}) == 200


def test_a_night_s_first_refusal_is_its_last_answer() -> None:
    assert list(testing.night("odd", refusing("never"))) == ["never"]
    assert len(list(testing.night("tpe", STRATEGIES["tpe"], 5))) == 5
