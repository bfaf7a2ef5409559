"""The contract that every strategy keeps, as claims that a package's own tests can make.

    @pytest.mark.parametrize("claim", CONTRACT)
    def test_cooldown(claim: Claim) -> None:
        claim("cooldown", cooldown.propose)

A claim that does not hold is an AssertionError in words. Nothing here needs pytest. Refusing is
no fault, except where a strategy never proposes anything.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numpy.random import Generator, default_rng

from engine.config import BOUNDS, MIXERS, OPTIMIZERS, SCHEDULES, Config
from engine.errors import NoProposal
from strategies.base import DEFAULT_LIMITS, Limits, Mutator, Outcome, Proposal, shown, why_not

Claim = Callable[[str, Mutator], None]  # of a strategy's name and the strategy

BUDGET = DEFAULT_LIMITS.budget_tokens
PARENT = Config()
SMALLEST = Config(
    n_embd=8, n_layer=1, n_head=1, n_hidden=1, vocab_size=257, seq_len=4, batch_size=1, lr=1e-8,
    rope_base=10.0, warmup_frac=0.0, decay_frac=0.0, min_lr_frac=0.0, weight_decay=0.0, beta1=0.1,
    beta2=0.0, clip=1e-3)
LARGEST = Config(
    n_embd=4096, n_layer=64, n_head=64, n_hidden=16384, vocab_size=32768, seq_len=2048,
    batch_size=1024, grad_accum=256, lr=1.0, rope_base=1e7, warmup_frac=0.9, decay_frac=1.0,
    min_lr_frac=1.0, weight_decay=10.0, beta1=0.9999, beta2=0.99999, clip=1e3, tied=True)
PARENTS = (PARENT, Config(optimizer="lion", n_hidden=200, schedule="wsd"),
           Config(optimizer="schedule_free", n_layer=2), Config(schedule="constant", tied=True),
           Config(n_kv_head=2, qk_norm=True, bigram_buckets=2048),
           Config(mixer="rwkv", residual_scalars=True))
NO_LIMITS = Limits(budget_tokens=10**12, max_params=10**12, max_mb=1e9)
TIGHT = Limits(max_params=1_600_000, max_mb=PARENT.peak_mb * 1.2, min_steps=1500, max_seq_len=192,
               min_vocab=700, max_vocab=1024)
UNMET = (  # limits that nothing near the default meets
    Limits(max_params=1000), Limits(max_mb=1.0), Limits(budget_tokens=100),
    Limits(min_vocab=2000, max_vocab=2100), Limits(max_seq_len=4),
    Limits(max_s=1.0, run_s=lambda config, budget: 2.0))
PLAIN = (int, float, bool, str, type(None))
FRACTIONS = ("lr", "rope_base", "warmup_frac", "decay_frac", "min_lr_frac", "weight_decay",
             "beta1", "beta2", "clip")
N_DRAWN = 12  # parents from the whole of the bounds
N_SEEDS = 20
N_NIGHT = 200  # proposals of a night


def outcome(parent: Config = PARENT, bpb: float | None = 1.2, state: str = "finished",
            budget_tokens: int = BUDGET, verdict: str | None = None, strategy: str | None = None,
            **fields: Any) -> Outcome:
    """A trial of the parent with these fields changed; `is_out_of_memory` is the trial's own."""
    own = {k: fields.pop(k) for k in ("is_out_of_memory",) if k in fields}
    config = dataclasses.replace(parent, **fields)
    return Outcome(config, 1, budget_tokens, state, bpb, None, verdict, strategy, **own)


FAILURES = [outcome(bpb=None, state=state, lr=lr, n_layer=layers)
            for state, lr, layers in [("diverged", 9e-3, 4), ("killed", 3e-3, 6),
                                      ("failed", 2e-3, 4), ("lost", 3e-3, 3)]]


def answer(propose: Mutator, parent: Config = PARENT, history: Sequence[Outcome] = (),
           seed: int = 0, limits: Limits = DEFAULT_LIMITS) -> Proposal | str:
    """The proposal, or the words of the refusal."""
    try:
        found = propose(parent, history, default_rng(seed), limits)
    except NoProposal as refusal:
        words = str(refusal)
        assert words, "it refuses without a word; say what stands in the way"
        return words
    assert type(found) is Proposal, f"it gives {found!r}, not a Proposal"
    return found


def proposals(propose: Mutator, n_seeds: int = N_SEEDS, **options: Any) -> list[Proposal]:
    """What it proposes with each seed, without the refusals."""
    answers = (answer(propose, seed=seed, **options) for seed in range(n_seeds))
    return [found for found in answers if isinstance(found, Proposal)]


def night(name: str, propose: Mutator, n: int = N_NIGHT) -> Iterator[Proposal | str]:
    """Answers, each with all earlier ones tried; the first refusal is the last."""
    history = [outcome(verdict="baseline")]
    for seed in range(n):
        found = answer(propose, history=history, seed=seed)
        yield found
        if isinstance(found, str):
            return
        history.append(outcome(found.config, bpb=1.2 + seed % 7 / 100, strategy=name))


def a_parent(rng: Generator) -> Config:
    """A legal configuration from the whole of the bounds."""
    def one_of(items: Sequence[Any]) -> Any:
        return items[int(rng.integers(len(items)))]

    width = 2 * int(rng.integers(4, 401))
    fields: dict[str, Any] = {field: float(rng.uniform(*BOUNDS[field])) for field in FRACTIONS}
    fields |= {field: int(rng.integers(int(BOUNDS[field][0]), int(BOUNDS[field][1]) + 1))
               for field in ("n_layer", "vocab_size", "seq_len", "batch_size", "grad_accum")}
    n_head = one_of([h for h in range(1, 65) if width % (2 * h) == 0])
    fields |= {field: one_of([False, True]) for field in ("residual_scalars", "qk_norm")}
    return Config(
        n_embd=width, n_head=n_head, mixer=one_of(MIXERS),
        n_kv_head=one_of([None, *(h for h in range(1, n_head + 1) if n_head % h == 0)]),
        n_hidden=one_of([None, int(rng.integers(1, 16385))]), tied=one_of([False, True]),
        optimizer=one_of(OPTIMIZERS), schedule=one_of(SCHEDULES),
        bigram_buckets=one_of([0, int(rng.integers(1, 65537))]), **fields)


# --- the claims ------------------------------------------------------------------------------


def something_is_proposed(name: str, propose: Mutator) -> None:
    words = [answer(propose, parent=parent) for parent in PARENTS]
    assert any(proposals(propose, parent=parent) for parent in PARENTS), (
        f"{name} proposes nothing from any of {len(PARENTS)} parents: {words}")


def legal_or_words(name: str, propose: Mutator, parent: Config, seed: int = 0) -> None:
    """From this parent comes another legal configuration, or what stands in the way."""
    found = answer(propose, parent=parent, seed=seed, limits=NO_LIMITS, history=FAILURES)
    if isinstance(found, Proposal):
        assert type(found.config) is Config, f"{name} proposes a {type(found.config).__name__}"
        assert Config.from_dict(found.config.to_dict()) == found.config
        assert found.config.hash != parent.hash, f"{name} proposes its parent {parent.describe()}"


def any_parent_gets_a_legal_proposal_or_words(name: str, propose: Mutator) -> None:
    for seed in range(N_DRAWN):
        legal_or_words(name, propose, a_parent(default_rng(seed)), seed)


def proposal_differs_from_its_parent(name: str, propose: Mutator) -> None:
    for parent in PARENTS:
        for found in proposals(propose, parent=parent):
            assert found.config.hash != parent.hash, f"{name} proposes its parent"


def proposal_bears_the_name_of_its_strategy(name: str, propose: Mutator) -> None:
    for parent in PARENTS:
        for found in proposals(propose, parent=parent):
            assert found.strategy == name, f"{name} signs as {found.strategy!r}"


def reason_says_from_what_to_what(name: str, propose: Mutator) -> None:
    for parent in PARENTS:
        old = parent.canonical()
        for found in proposals(propose, parent=parent):
            new = found.config.canonical()
            for field in parent.difference(found.config):
                step = f"{shown(old[field])} → {shown(new[field])}"
                is_told = step in found.reason or new[field] in (None, old[field])  # no effect
                assert is_told, f"{name} changes {field} and does not say {step}"


def same_seed_gives_the_same_proposal(name: str, propose: Mutator) -> None:
    history = [outcome(lr=2e-3, bpb=1.3), *FAILURES]
    for parent, seed in itertools.product(PARENTS, range(10)):
        first, again = (answer(propose, parent, history, seed) for _ in range(2))
        assert first == again, f"{name} answers seed {seed} by {first}, then by {again}"


def parent_and_history_are_left_as_they_were(name: str, propose: Mutator) -> None:
    for parent in PARENTS:
        history = [outcome(lr=2e-3, bpb=1.3), *FAILURES]
        before, known = parent.to_dict(), list(history)
        proposals(propose, parent=parent, history=history)
        assert parent.to_dict() == before, f"{name} changes its parent"
        assert history == known, f"{name} changes the history"


def values_are_plain_python(name: str, propose: Mutator) -> None:
    for parent in PARENTS:
        for found in proposals(propose, parent=parent, limits=NO_LIMITS):
            for field, value in found.config.to_dict().items():
                assert type(value) in PLAIN, f"{name} makes {field} a {type(value).__name__}"
            assert type(found.reason) is str, f"{name} gives a {type(found.reason).__name__}"


def empty_history_is_no_obstacle(name: str, propose: Mutator) -> None:
    for parent in PARENTS:
        as_tuple, as_list = answer(propose, parent, ()), answer(propose, parent, [])
        assert as_tuple == as_list, f"{name} tells an empty tuple from an empty list"


def history_of_failures_is_no_obstacle(name: str, propose: Mutator) -> None:
    failed = {o.config.hash for o in FAILURES}
    for found in proposals(propose, history=FAILURES):
        assert found.config.hash not in failed, f"{name} tries again what failed"


def smallest_parent_gets_what_fits_or_words(name: str, propose: Mutator) -> None:
    _fits_or_words(name, propose, SMALLEST)


def largest_parent_gets_what_fits_or_words(name: str, propose: Mutator) -> None:
    _fits_or_words(name, propose, LARGEST)


def _fits_or_words(name: str, propose: Mutator, parent: Config) -> None:
    for limits in (DEFAULT_LIMITS, NO_LIMITS):
        for found in proposals(propose, 5, parent=parent, limits=limits):
            _fits(name, found, limits)


def _fits(name: str, found: Proposal, limits: Limits) -> None:
    obstacle = why_not(found.config, limits)
    assert obstacle is None, f"{name} proposes {found.config.describe()}: {obstacle}"


def every_proposal_keeps_the_limits(name: str, propose: Mutator) -> None:
    for parent in PARENTS:
        for found in proposals(propose, parent=parent, limits=TIGHT):
            _fits(name, found, TIGHT)


def limits_that_nothing_meets_are_kept(name: str, propose: Mutator) -> None:
    for limits in UNMET:
        for found in proposals(propose, 1, limits=limits):
            _fits(name, found, limits)


def nothing_tried_is_proposed_again(name: str, propose: Mutator) -> None:
    tried = {PARENT.hash}
    for found in night(name, propose):
        if isinstance(found, Proposal):
            assert found.config.hash not in tried, f"{name} repeats {found.config.describe()}"
            tried.add(found.config.hash)


def memory_that_ran_out_is_not_asked_for_again(name: str, propose: Mutator) -> None:
    roomy = outcome(bpb=None, state="killed", is_out_of_memory=True, n_embd=192)
    for found in proposals(propose, history=[outcome(), roomy]):
        assert found.config.peak_mb < roomy.config.peak_mb, (
            f"{name} asks for {found.config.peak_mb:,.0f} MB where less ran out of memory")


CONTRACT: tuple[Claim, ...] = (
    something_is_proposed, any_parent_gets_a_legal_proposal_or_words,
    proposal_differs_from_its_parent, proposal_bears_the_name_of_its_strategy,
    reason_says_from_what_to_what, same_seed_gives_the_same_proposal,
    parent_and_history_are_left_as_they_were, values_are_plain_python,
    empty_history_is_no_obstacle, history_of_failures_is_no_obstacle,
    smallest_parent_gets_what_fits_or_words, largest_parent_gets_what_fits_or_words,
    every_proposal_keeps_the_limits, limits_that_nothing_meets_are_kept,
    nothing_tried_is_proposed_again, memory_that_ran_out_is_not_asked_for_again)
