"""What a strategy of another package does wrong is a refusal, noted, and costs no night."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.ledger.ledger import Ledger
from agent.search.advisor import Known, choose
from agent.search.outsiders import BROKE, Outsiders, what_is_wrong
from engine.config import Config
from engine.errors import NoProposal
from strategies import STRATEGIES
from strategies.base import Limits, Mutator, Outcome, Proposal
from strategies.testing import outcome
from tests.support.parts import NOW, TINY

ROOM = Limits(budget_tokens=3200, min_steps=5, max_vocab=300)
BETTER = dataclasses.replace(TINY, lr=1e-3)


class Larger(Config):
    """A configuration of a kind of its own."""


class Number(int):
    """A number that is not plain."""


def forged(**fields: Any) -> Config:
    """A configuration that never passed its own check."""
    config = dataclasses.replace(BETTER)
    for name, value in fields.items():
        object.__setattr__(config, name, value)
    return config


def giving(found: Any) -> Mutator:
    return lambda parent, history, rng, limits=ROOM: found


def proposing(config: Any = BETTER, reason: Any = "colder") -> Mutator:
    return giving(Proposal(config, reason, "someone"))


def raising(error: BaseException) -> Mutator:
    def fails(parent: Config, history: Sequence[Outcome], rng: np.random.Generator,
              limits: Limits = ROOM) -> Proposal:
        raise error
    return fails


class Night:
    """The outsiders of a night whose notes go to a ledger."""

    def __init__(self, ledger: Ledger, **mutators: Mutator) -> None:
        self.ledger, self.said = ledger, list[str]()
        self.outsiders = Outsiders(ledger, mutators, self.note)

    def note(self, kind: str, message: str, data: dict[str, Any]) -> None:
        self.said.append(message)
        self.ledger.event(kind, message, NOW, None, data)

    def ask(self, n_runs: int = 5, history: Sequence[Outcome] = (), name: str = "colder",
            limits: Limits = ROOM) -> Proposal | str:
        try:
            return self.outsiders.at(n_runs)[name](TINY, history, np.random.default_rng(0), limits)
        except NoProposal as refusal:
            return str(refusal)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_a_proposal_bears_the_name_the_strategy_is_asked_by(ledger: Ledger) -> None:
    night = Night(ledger, colder=proposing())
    assert night.ask() == Proposal(BETTER, "colder", "colder")
    assert night.said == []


def test_a_refusal_is_no_fault(ledger: Ledger) -> None:
    night = Night(ledger, colder=raising(NoProposal("nothing\nto \x1b[1m try")))
    assert [night.ask(n) for n in range(5)] == ["nothing to �[1m try"] * 5
    assert night.said == []


class Mute(NoProposal):
    """A refusal that cannot even be told."""

    def __str__(self) -> str:
        raise ValueError("no")


def test_a_refusal_that_cannot_be_told_is_told_by_its_kind(ledger: Ledger) -> None:
    assert Night(ledger, colder=raising(Mute())).ask() == "Mute"


@pytest.mark.parametrize(("error", "words"), [
    (ValueError("no\nway"), "ValueError: no way"), (SystemExit(3), "SystemExit: 3"),
    (RecursionError(), "RecursionError"), (GeneratorExit(), "GeneratorExit"),
    (ValueError("\ud800"), "ValueError: �"), (MemoryError(), "MemoryError")])
def test_whatever_is_raised_is_a_refusal_noted_with_its_traceback(
        ledger: Ledger, error: BaseException, words: str) -> None:
    night = Night(ledger, colder=raising(error))
    assert night.ask() == (f"strategy colder broke, {words}; the others are asked instead")
    (event,) = ledger.events()
    assert (event.kind, event.message) == (BROKE, night.said[0])
    assert "in fails" in (event.data or {})["traceback"]


def test_a_person_s_interrupt_passes(ledger: Ledger) -> None:
    with pytest.raises(KeyboardInterrupt):
        Night(ledger, colder=raising(KeyboardInterrupt())).ask()


@pytest.mark.parametrize(("mutator", "words"), [
    (giving(None), "it gave NoneType, not Proposal"),
    (giving(BETTER), "it gave Config, not Proposal"),
    (giving(iter(())), "it gave tuple_iterator, not Proposal"),
    (proposing(Larger(**BETTER.to_dict())), "it proposed Larger, not Config"),
    (proposing(BETTER.to_dict()), "it proposed dict, not Config"),
    (proposing(reason=None), "it proposed without a reason in words"),
    (proposing(reason=" \n"), "it proposed without a reason in words"),
    (proposing(forged(n_layer=Number(2))), "it made n_layer of type Number, which is not plain"),
    (proposing(forged(optimizer=np.str_("lion"))), "it made optimizer of type str_"),
    (proposing(forged(n_head=3)), "it proposed what is not allowed: n_head=3 does not divide"),
    (proposing(forged(lr=float("nan"))), "it proposed what is not allowed: lr=nan is not"),
    (proposing(TINY), "the same as the parent"),
    (proposing(dataclasses.replace(TINY, n_layer=2)), "already tried"),
    (proposing(dataclasses.replace(TINY, lr=0.45)), "too near a run that diverged"),
    (proposing(dataclasses.replace(TINY, vocab_size=301)), "outside the 257 to 300 this corpus"),
    (proposing(dataclasses.replace(TINY, batch_size=64)), "under the 5 steps that 3,200"),
    (proposing(dataclasses.replace(TINY, n_embd=4096)), "over the limit of 10,000,000 parameters"),
    (proposing(Config.__new__(Config)), "AttributeError: ")])
def test_what_cannot_be_run_is_refused_with_a_sentence(
        ledger: Ledger, mutator: Mutator, words: str) -> None:
    history = [outcome(TINY, budget_tokens=3200, n_layer=2),
               outcome(TINY, None, "diverged", 3200, lr=0.5)]
    night = Night(ledger, colder=mutator)
    assert words in str(night.ask(history=history))
    assert [event.message for event in ledger.events()] == night.said


def test_what_may_run_is_not_wrong() -> None:
    assert what_is_wrong(Proposal(BETTER, "colder", ""), TINY, [], ROOM) is None


def test_a_reason_is_one_line_that_can_be_kept(ledger: Ledger) -> None:
    found = Night(ledger, colder=proposing(reason="two\nlines \ud800 " + "x" * 900)).ask()
    assert isinstance(found, Proposal)
    assert found.reason.startswith("two lines � xxx")
    assert len(found.reason) == 400


def test_a_history_that_is_emptied_stays_whole_for_the_others(ledger: Ledger) -> None:
    def emptying(parent: Config, history: Any, rng: object, limits: object = None) -> Proposal:
        history.clear()
        raise AssertionError

    night, history = Night(ledger, colder=emptying), [outcome(TINY)]  # type: ignore[arg-type]
    assert "AttributeError" in str(night.ask(history=history))
    assert len(history) == 1


# --- how often -------------------------------------------------------------------------------


def test_after_three_times_it_is_not_asked_again(ledger: Ledger) -> None:
    night = Night(ledger, colder=raising(ValueError("no")), good=proposing())
    said = [night.ask(n_runs) for n_runs in (5, 6, 7, 8)]
    assert said[1:] == [
        "strategy colder broke, ValueError: no; the others are asked instead",
        "strategy colder broke, ValueError: no; it is not asked again tonight",
        "colder broke 3 times tonight and is not asked again"]
    assert len(night.said) == 3
    assert isinstance(night.ask(8, name="good"), Proposal)


def test_the_same_failure_counts_and_is_noted_once(ledger: Ledger) -> None:
    night = Night(ledger, colder=raising(ValueError("no")))
    for _ in range(5):
        night.ask(5)
    assert len(night.said) == 1


def test_a_ledger_that_takes_no_notes_does_not_lose_the_count(ledger: Ledger) -> None:
    night = Night(ledger, colder=raising(ValueError("no")))
    night.outsiders._note = lambda kind, message, data: None
    assert "not asked again" in [str(night.ask(n_runs)) for n_runs in (5, 6, 7, 8)][-1]


def test_a_night_that_died_goes_on_with_its_count(ledger: Ledger) -> None:
    for n_runs in (5, 6, 7):
        Night(ledger, colder=raising(ValueError("no"))).ask(n_runs)
        ledger.event("night", "taken up again", NOW)
    assert "not asked again" in str(Night(ledger, colder=proposing()).ask(8))


def test_the_next_night_asks_again(ledger: Ledger) -> None:
    for n_runs in (5, 6, 7):
        Night(ledger, colder=raising(ValueError("no"))).ask(n_runs)
    ledger.event("night_over", "over", NOW)
    assert isinstance(Night(ledger, colder=proposing()).ask(8), Proposal)


# --- beside the project's own ----------------------------------------------------------------


def propose(names: Sequence[str], seed: Sequence[int], limits: Limits,
            outside: Mapping[str, Mutator] | None = None) -> Proposal:
    return choose(TINY, Known([], [], outside=outside or {}), names, seed, limits)


@pytest.mark.parametrize("outsider", [raising(ValueError("no")), giving(None)])
def test_one_that_breaks_changes_nothing_for_those_after_it(
        ledger: Ledger, outsider: Mutator) -> None:
    names = list(STRATEGIES)
    outside = Night(ledger, colder=outsider).outsiders.at(5)
    assert propose(["colder", *names], [5], ROOM, outside) == propose(names, [5], ROOM)


def test_its_chance_is_its_own_and_the_same_again(ledger: Ledger) -> None:
    drawn: list[float] = []

    def drawing(parent: Config, history: Sequence[Outcome], rng: np.random.Generator,
                limits: Limits = ROOM) -> Proposal:
        drawn.append(rng.random())
        raise NoProposal("nothing")

    outside = Night(ledger, colder=drawing, warmer=drawing).outsiders.at(5)
    found = [propose(["colder", "warmer", "random"], [seed], ROOM, outside)
             for seed in (5, 5, 6)]
    assert found[0] == found[1] == propose(["random"], [5], ROOM)
    assert drawn[:2] == drawn[2:4]
    assert len(set(drawn)) == 4


def test_where_nobody_has_anything_the_outsider_s_words_are_among_them(ledger: Ledger) -> None:
    outside = Night(ledger, colder=raising(ValueError("no"))).outsiders.at(5)
    with pytest.raises(NoProposal, match="strategy colder broke, ValueError: no"):
        propose(["colder", *STRATEGIES], [0], Limits(max_mb=1.0), outside)
