"""The order in which a night of several slots asks and decides, with workers that a test ends."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import NewRun, Run
from agent.night.recover import recover
from agent.night.turns import in_flight
from agent.search.campaign import Plan
from agent.trial.conclusion import Trial
from agent.trial.job import STOPPED
from engine.errors import LedgerBusy
from engine.text.corpus import TokenSet
from tests.agent.night.test_night import Stage
from tests.agent.night.test_night import tokens as tokens
from tests.support.parts import FakeProcess, done, write_events

BPB = {"B1": 2.00, "B2": 2.01, "B3": 1.99, "E1": 1.80, "E2": 2.10, "E3": 1.95, "E4": 2.2}


class Crew(Stage):
    """A night of several slots on a study whose first seeds wait."""

    def __init__(self, root: Path, ledger: Ledger, tokens: TokenSet, n_trials: int,
                 **plan: Any) -> None:
        super().__init__(root, ledger, tokens, n_trials=n_trials, **plan)
        if ledger.runs():  # another daemon began it
            self.night.study = ledger.newest_study()
            return
        number = self.study()
        for seed in range(3):
            self.queue(seed=seed, strategy="baseline", study=number)

    @property
    def trials(self) -> dict[str, Trial]:
        return {trial.run.label: trial for trial in self.night.slots.trials}

    def tick(self, n: int = 1) -> None:
        for _ in range(n):
            self.time.now_s += 0.5
            self.night.tick()

    def end(self, *labels: str, status: int = 0) -> None:
        """Let these workers end at the same moment, and the night see it."""
        for label in labels:
            trial = self.trials[label]
            if status == 0:
                write_events(trial.folder, done(bpb=BPB.get(label, 2.0)))
            assert isinstance(trial.process, FakeProcess)
            trial.process.status = status
        self.tick(4)

    def decided(self) -> list[str]:
        return [one.label for one in reversed(self.ledger.decisions())]

    def asked(self) -> list[tuple[str, int, str]]:
        """What the search asked for: label, seed and configuration."""
        return [(run.label, run.seed or 0, run.config_hash or "") for run in self.ledger.runs()]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def crew(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Crew:
    found = Crew(tmp_path, ledger, tokens, 2, max_runs=20)
    found.tick()
    return found


def test_so_many_run_as_there_are_slots(crew: Crew) -> None:
    assert list(crew.trials) == ["B1", "B2"]
    assert crew.states() == ["running", "running", "queued"]
    assert len({trial.folder.root for trial in crew.trials.values()}) == 2


def test_what_ends_out_of_turn_waits_for_its_decision_and_its_slot_does_not(crew: Crew) -> None:
    crew.end("B2")
    assert crew.decided() == []
    assert list(crew.trials) == ["B1", "B3"]
    crew.end("B1")
    assert crew.decided() == ["B1", "B2"]


def test_ideas_are_asked_for_once_the_noise_is_known_half_as_many_ahead_as_run(
        crew: Crew) -> None:
    crew.end("B1", "B2")
    assert [label for label, *_ in crew.asked()] == ["B1", "B2", "B3"]
    crew.end("B3")
    assert list(crew.trials) == ["E1", "E2"]
    assert [run.label for run in in_flight(crew.night)] == ["E1", "E2", "E3"]
    assert len({key for *_, key in crew.asked()[2:]}) == 4  # no idea twice
    crew.end("E2")
    assert list(crew.trials) == ["E1", "E3"]
    assert len(in_flight(crew.night)) == 3  # nothing was decided, so nothing more is asked


def run_with(crew: Crew, order: list[tuple[str, ...]]) -> None:
    for labels in order:
        crew.end(*labels)


ORDERS = [[("B1",), ("B2",), ("B3",), ("E1",), ("E2",), ("E3",), ("E4",)],
          [("B2",), ("B1",), ("B3",), ("E2",), ("E3",), ("E1",), ("E4",)],
          [("B1", "B2"), ("B3",), ("E1", "E2"), ("E3", "E4")]]


def test_what_is_asked_and_decided_does_not_depend_on_which_run_was_quicker(
        tmp_path: Path, tokens: TokenSet) -> None:
    found = []
    for number, order in enumerate(ORDERS):
        root = tmp_path / str(number)
        root.mkdir()
        with Ledger.open(root / "ledger.db") as ledger:
            crew = Crew(root, ledger, tokens, 2, max_runs=7)
            crew.tick()
            run_with(crew, order)
            assert crew.night.is_over
            assert crew.decided() == ["B1", "B2", "B3", "E1", "E2", "E3", "E4"]
            found.append((crew.asked(), crew.verdicts()))
    assert found[0] == found[1] == found[2]


def test_a_daemon_that_dies_between_two_decisions_asks_and_decides_as_one_that_did_not(
        crew: Crew, tmp_path: Path, ledger: Ledger,
        tokens: TokenSet) -> None:
    crew.end("B1", "B2")
    crew.end("B3")
    crew.end("E2")
    before = crew.asked()
    workers = {trial.folder.root: trial.process for trial in crew.trials.values()}
    after = Crew(tmp_path, ledger, tokens, 2, max_runs=20 - 4)
    recover(after.night, lambda left: pytest.fail("it was ended"),
            lambda folder: workers[folder.root])
    assert list(after.trials) == ["E1", "E3"]  # both are taken over
    assert crew.decided() == ["B1", "B2", "B3"]  # E2 has ended, and waits for E1 as before
    after.tick(4)
    assert after.asked() == before
    after.end("E1")
    assert after.decided()[:5] == ["B1", "B2", "B3", "E1", "E2"]


def test_a_run_that_was_put_back_is_the_next_and_holds_up_the_decisions_after_it(
        crew: Crew) -> None:
    crew.end("B1", status=-9)
    assert crew.states()[:2] == ["queued", "running"]
    crew.end("B2")
    assert crew.decided() == []
    crew.time.now_s += 10.0
    crew.tick()
    assert "B1" in crew.trials
    crew.end("B1")
    assert crew.decided() == ["B1", "B2"]


def test_who_is_told_to_stop_saves_all_and_decides_on_what_has_ended(crew: Crew) -> None:
    crew.end("B2")
    crew.night.stop("asked to")
    crew.tick()
    assert all(trial.asked_at_s is not None for trial in crew.trials.values())
    crew.end("B1", "B3", status=STOPPED)
    assert crew.night.is_over
    assert crew.decided() == ["B2"]  # in this night nothing else will end
    assert crew.states() == ["queued", "finished", "queued"]


def test_a_pause_saves_every_trial_and_goes_on_with_all_of_them(crew: Crew) -> None:
    crew.night.pause("a person wants it quiet")
    crew.tick()
    crew.end("B1", "B2", status=STOPPED)
    assert crew.states() == ["queued"] * 3
    crew.night.is_paused = False
    crew.tick()
    assert list(crew.trials) == ["B1", "B2"]


def test_no_more_runs_begin_than_were_asked_for(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    crew = Crew(tmp_path, ledger, tokens, 2, max_runs=4)
    crew.tick()
    crew.end("B1", "B2")
    crew.end("B3")
    assert [label for label, *_ in crew.asked()] == ["B1", "B2", "B3", "E1"]
    crew.end("E1")
    assert crew.night.is_over
    assert crew.night.n_ended == 4


# --- several at a look -------------------------------------------------------------------------

MANY_SLOTS = 16  # of which two are asked for at a look


def ended_in(crew: Crew, rng: random.Random) -> None:
    """Let all that runs end, in any order and several at once, with scores of their own."""
    while labels := list(crew.trials):
        some = rng.sample(labels, rng.randint(1, len(labels)))
        for label in some:
            BPB.setdefault(label, 2.0 - 0.01 * (int(label[1:]) % 7))
        crew.end(*some)


def counted(ask: Callable[..., list[Run]], found: list[int]) -> Callable[..., list[Run]]:
    def asked(*values: Any, **how: Any) -> list[Run]:
        some = ask(*values, **how)
        found.append(len(some))
        return some
    return asked


def test_ideas_of_one_look_are_the_same_whatever_was_quick_and_whoever_died(
        tmp_path: Path, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    found, looks = [], list[int]()
    for seed in (None, 1):
        root, rng = tmp_path / str(seed), random.Random(seed)
        root.mkdir()
        with Ledger.open(root / "ledger.db") as ledger:
            crew = Crew(root, ledger, tokens, MANY_SLOTS, max_runs=32,
                        with_prior=False)
            monkeypatch.setattr(crew.night.campaign, "ask",
                                counted(crew.night.campaign.ask, looks))
            crew.tick()
            if seed is not None:
                _dies_within_a_look(crew, monkeypatch)
            else:
                crew.end("B1", "B2", "B3")
            crew.tick(20)
            assert len(in_flight(crew.night)) == 24  # one fewer than the window, where no two fit
            ended_in(crew, rng)
            found.append((crew.asked()[:30], crew.verdicts()[:30]))
    assert found[0] == found[1]
    assert set(looks) >= {2}


def _dies_within_a_look(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a look is asked for where its second idea could not be queued; then all is."""
    queue, n = crew.ledger.queue, iter(range(9**9))

    def dying(new: NewRun) -> Run:
        if next(n) == 1:
            raise LedgerBusy("killed")
        return queue(new)

    monkeypatch.setattr(crew.ledger, "queue", dying)
    for label in ("B1", "B2", "B3"):
        write_events(crew.trials[label].folder, done(bpb=BPB[label]))
        process = crew.trials[label].process
        assert isinstance(process, FakeProcess)
        process.status = 0
    with pytest.raises(LedgerBusy):
        crew.tick()
    assert [label for label, *_ in crew.asked()] == ["B1", "B2", "B3"]
    crew.time.now_s += 10.0


def test_with_fewer_slots_one_is_asked_for_at_a_look_and_the_window_is_as_it_was() -> None:
    plans = [Plan(3000.0, n_trials=n) for n in (1, 2, 4, 15, 16, 100, 1000)]
    assert [plan.at_a_look for plan in plans] == [1, 1, 1, 1, 2, 12, 64]
    assert [plan.window for plan in plans] == [1, 3, 6, 23, 25, 161, 1563]
