"""Several ideas at a time: what runs is known to what is asked next, and the ledger is all."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.search.actions import Due, Pending, Propose, Repeat, Step, Stop, Wait, Without, made
from agent.search.batches import LEAST_BATCH
from agent.search.search import RESERVE, Search, reserve_for
from agent.search.searcher import Searcher
from agent.search.verdict import MIN_PAIRS
from engine.errors import NoProposal
from tests.agent.search.test_search import BASELINE, MANY, Play, keep
from tests.agent.search.test_searcher import ROOM, Desk

AT_ONCE = 8


@pytest.fixture
def play() -> Play:
    """A search whose baselines have ended; runs by hand have taken their other seeds."""
    play = Play()
    for seed, bpb in enumerate(BASELINE):
        play.ended("base", seed, "baseline", bpb)
    for seed in range(1, len(BASELINE)):
        play.ended("by hand", seed, "search", None, "killed")
    return play


def node(play: Play, key: str) -> Step:
    return next(step for step in play.search.chain if step.node.key == key)


# --- the rules -------------------------------------------------------------------------------


def test_while_the_baseline_runs_there_is_nothing_to_ask() -> None:
    running = [Pending("baseline", "base", seed) for seed in range(3)]
    assert isinstance(Search().next(MANY, running), Wait)
    assert isinstance(Search().next(MANY), Stop)


def test_ideas_are_asked_for_while_others_run(play: Play) -> None:
    running = [Pending("search", f"idea {i}", 0) for i in range(AT_ONCE)]
    assert isinstance(play.search.next(MANY, running), Propose)


def test_both_arms_of_a_batch_run_side_by_side_and_no_more_pairs_than_a_word_takes(
        play: Play) -> None:
    keep(play, "one", "two", "three", "four")
    running: list[Pending] = []
    while isinstance(action := play.search.next(MANY, running), Repeat):
        play.search.avoid(action.seed)
        running.append(Pending("confirm", action.node.key, action.seed))
    assert isinstance(action, Propose)  # the others go on with ideas
    assert len(running) == 2 * MIN_PAIRS
    assert {(one.key, one.seed) for one in running} == {
        (key, seed) for key in ("four", "base") for seed in {one.seed for one in running}}


def test_the_last_batch_begins_when_what_runs_beside_has_been_heard_of(play: Play) -> None:
    """With many at once six runs are less than what is under way; with nothing kept there is no
    test to wait for, and no slot stays free.
    """
    assert [reserve_for(n) for n in (1, 4, 24)] == [RESERVE, RESERVE, 24]
    play.search.reserve = reserve_for(24)
    running = [Pending("search", f"idea {i}", 0) for i in range(16)]
    assert isinstance(play.search.next(24, running), Propose)
    assert isinstance(play.search.next(RESERVE, running), Wait)  # one of them may yet be kept
    keep(play, "one")
    assert isinstance(play.search.next(24, running), Wait)
    assert isinstance(play.search.next(24), Repeat)
    assert isinstance(play.search.next(25), Propose)


def test_a_batch_tests_the_head_it_was_begun_for(play: Play) -> None:
    keep(play, "one", "two", "three", "four")
    first = play.search.next(MANY)
    assert isinstance(first, Repeat)
    keep(play, "five")  # while the arm runs
    running = [Pending("confirm", "four", first.seed)]
    second = play.search.next(MANY, running)
    assert isinstance(second, Repeat)
    assert second.node.key == "base"
    play.ended("four", first.seed, "confirm", 1.40)
    assert play.search.batch is not None
    assert play.search.batch.head.key == "four"
    assert [step.node.key for step in play.search.batch.steps] == ["one", "two", "three", "four"]
    assert play.head == "five"


def test_a_step_made_on_an_earlier_head_holds_what_that_one_holds(play: Play) -> None:
    keep(play, "one", "two")
    on_one = node(play, "one").node.run_id
    head = play.search.head
    assert head is not None
    assert play.ended("aside", head.seed, "search", head.bpb - 0.01,
                      parent_id=on_one) == "kept"  # it was asked for before "two" was kept
    assert [step.node.key for step in made(play.search.chain)] == ["one", "aside"]


def test_what_was_not_made_on_a_refuted_head_stands(play: Play) -> None:
    """A step on the base, kept while the batch runs; what was made on the head falls with it."""
    assert play.search.confirmed is not None
    base = play.search.confirmed
    keep(play, "one", "two", "three", "four")
    best, four = play.search.head, node(play, "four").node.run_id
    assert best is not None
    first = play.search.next(MANY)
    assert isinstance(first, Repeat)
    for key, parent_id, gain in (("on four", four, 0.01), ("aside", base.run_id, 0.02)):
        assert play.ended(key, best.seed, "search", best.bpb - gain, parent_id=parent_id) == "kept"
    for seed in (first.seed, first.seed + 1):
        play.ended("four", seed, "confirm", 1.52)
        play.ended("base", seed, "confirm", 1.50)
    assert [play.verdicts(key)[-1] for key in ("one", "four", "on four", "aside")] == [
        "refuted", "refuted", "refuted", "kept"]
    assert (play.head, play.confirmed) == ("aside", "base")
    assert [step.node.key for step in play.search.chain] == ["aside"]
    again = Search(other_share=1.0)
    for run_id, trial in play.trials.items():  # as a night taken up again folds it
        words = [found for of, _, found in play.record if of == run_id]
        again.apply(trial, words[0].verdict)
        for of, against, found in play.record:
            if again.batch and of == again.batch.head.run_id and found.verdict == "refuted" and (
                    len(again.batch_gains()) == 2):
                again.apply_due(Due(of, against, found))
    assert (again.head, again.chain) == (play.search.head, play.search.chain)


def test_before_the_night_s_last_batch_the_ideas_that_run_are_heard(play: Play) -> None:
    keep(play, "one")
    running = [Pending("search", "idea", 0)]
    assert isinstance(play.search.next(RESERVE + 1, running), Propose)
    assert isinstance(play.search.next(RESERVE, running), Wait)
    keep(play, "idea")
    last = play.search.next(RESERVE)
    assert isinstance(last, Repeat)
    assert last.node.key == "idea"
    arms = [Pending("confirm", last.node.key, last.seed)]
    while isinstance(action := play.search.next(LEAST_BATCH, arms), Repeat):
        arms.append(Pending("confirm", action.node.key, action.seed))
    assert isinstance(action, Wait)  # no idea: the pairs may need what is left


def test_a_step_is_left_out_on_both_seeds_at_once(play: Play) -> None:
    keep(play, "one", "two", "three", "four")
    play.batch(1.40, 1.50, 2)
    assert play.confirmed == "four"
    running: list[Pending] = []
    while isinstance(action := play.search.next(RESERVE, running), Without):
        running.append(Pending("ablate", "less", action.seed, action.step.node.run_id))
    assert len({one.seed for one in running}) == 2
    assert isinstance(action, Wait)


def test_what_is_kept_while_a_step_is_left_out_stays_the_head(play: Play) -> None:
    keep(play, "one", "two", "three", "four")
    play.batch(1.40, 1.50, 2)
    action = play.search.next(RESERVE)
    assert isinstance(action, Without)
    keep(play, "five")
    for seed in sorted(play.search._scores.by_seed("four"))[:2]:
        play.ended("less", seed, "ablate", 1.39, parent_id=action.step.node.run_id)
    assert play.verdicts(action.step.node.key)[-1] == "ablated"
    assert (play.confirmed, play.head) == ("less", "five")


# --- over the ledger -------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.mark.parametrize("seed", range(3))
def test_a_night_of_several_at_once_taken_up_anywhere_asks_the_same(
        ledger: Ledger, seed: int) -> None:
    desk, rng = Desk(ledger), random.Random(seed)
    desk.calibrate()
    running: list[Run] = []
    n_queued = 0
    while n_queued < 60 or running:
        asks = n_queued < 60 and len(running) < AT_ONCE
        if asks:
            flying = [run.id for run in running]
            left = 60 - n_queued
            wanted = desk.searcher.next(left, ROOM, 0, in_flight=flying)
            again = Searcher(ledger, desk.study)
            again.search.other_share = desk.searcher.search.other_share
            assert again.next(left, ROOM, 0, in_flight=flying) == wanted
            desk.searcher = rng.choice([again, desk.searcher])
            if wanted is not None:
                running.append(desk.queue(wanted))
                n_queued += 1
                continue
            assert running  # else it would wait for nothing
        run = running.pop(rng.randrange(len(running)))
        state = rng.choices(["finished", "diverged", "failed"], [20, 1, 1])[0]
        bpb = rng.gauss(1.5 - 0.2 * rng.random(), 0.01) if state == "finished" else None
        desk.end(run, bpb, state=state)
    runs = [run for run in ledger.runs() if run.strategy != "baseline"]
    assert len({(run.config_hash, run.seed) for run in runs}) == len(runs)  # none ran twice
    verdicts = {d.verdict for d in ledger.decisions()}
    assert verdicts & {"confirmed", "refuted", "undecided"}


def test_an_idea_that_runs_is_not_had_again(ledger: Ledger) -> None:
    desk = Desk(ledger)
    desk.calibrate()
    running: list[Run] = []
    for _ in range(AT_ONCE):
        wanted = desk.searcher.next(MANY, ROOM, 0, in_flight=[run.id for run in running])
        assert wanted is not None
        running.append(desk.queue(wanted))
    assert len({run.config_hash for run in running}) == AT_ONCE


def test_a_search_that_waits_for_the_baseline_asks_for_nothing(ledger: Ledger) -> None:
    desk = Desk(ledger)
    with pytest.raises(NoProposal, match="no baseline run has finished"):
        desk.searcher.next(MANY, ROOM, 0)
