"""A study's search over its ledger: what it queues, what it decides, and that the ledger is all."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.lineage import lineage_of
from agent.ledger.ledger import Ledger
from agent.ledger.records import Blocks, Run, Verdict
from agent.search.outsiders import Outsiders
from agent.search.searcher import Searcher, Wanted
from agent.search.study import Origin, new_run
from agent.search.verdict import RULE, Decision
from engine.config import Config
from engine.errors import NoProposal
from strategies import STRATEGIES
from strategies.base import Limits, Mutator
from tests.support.parts import NOW, TINY, a_run, a_study

ROOM = Limits(budget_tokens=3200, min_steps=5, max_vocab=300)
MANY = 1000.0
BASELINE = [1.50, 1.51, 1.49, 1.505, 1.495]


def in_blocks(bpb: float) -> Blocks:
    """A score whose distance from 1.5 lies in the first of four equal blocks."""
    return Blocks((1500 + 4000 * (bpb - 1.5), 1500.0, 1500.0, 1500.0), (1000,) * 4)


class Desk:
    """A study whose runs end with the scores a test gives them."""

    tells_blocks = False  # as runs of earlier versions

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.study = ledger.calibration(a_study(ledger, seeds=[0, 1, 2, 3, 4]))
        self.anew()
        self.told: list[tuple[str, str]] = []

    def anew(self) -> None:
        """A searcher as after a restart; its night can pay for every step to be tried without."""
        self.searcher = Searcher(self.ledger, self.study)
        self.searcher.search.other_share = 1.0

    def tell(self, run: Run, against: Run | None, found: Decision) -> None:
        self.told.append((run.label, found.verdict))

    def end(self, run: Run, bpb: float | None, **outcome: Any) -> None:
        self.ledger.claim(NOW, run_id=run.id)
        state = outcome.pop("state", "finished")
        if run.strategy in ("baseline", "confirm", "ablate"):
            outcome |= {"confirm_bpb": bpb, "test_bpb": None if bpb is None else bpb + 0.001}
        blocks = None if bpb is None or not self.tells_blocks else {
            shard: in_blocks(bpb) for shard in ("confirm", "test")}
        self.ledger.finish(run.id, state, NOW, blocks, val_bpb=bpb, **outcome)
        self.searcher.settle(self.ledger.run(run.id), NOW, self.tell)

    def calibrate(self) -> None:
        for seed, bpb in enumerate(BASELINE):
            self.end(a_run(self.ledger, seed=seed, strategy="baseline", study=self.study.id), bpb)

    def challenge(self, gain: float, **fields: Any) -> Run:
        """A challenger of the head that gains so much ends."""
        head = self.searcher.search.head
        assert head is not None
        parent = self.searcher._first(head.key)
        run = self.ledger.queue(new_run(
            self.ledger, Config.from_dict(parent.config | fields), head.seed, 3200, 1, NOW,
            self.origin(parent)))
        self.end(run, head.bpb - gain)
        return self.ledger.run(run.id)

    def origin(self, parent: Run) -> Origin:
        return Origin("random", "a test asked", self.study.id, parent.id)

    def next(self, n_left: float = MANY) -> Wanted:
        return self.searcher.next(n_left, ROOM, 0)

    def queue(self, wanted: Wanted) -> Run:
        new = new_run(self.ledger, wanted.config, wanted.seed, 3200, 1, NOW, wanted.origin)
        return self.ledger.queue(replace(new, prediction=wanted.prediction))

    def verdicts(self, label: str) -> list[str]:
        return [d.verdict for d in reversed(self.ledger.decisions(self.ledger.run(label).id))]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    desk = Desk(ledger)
    desk.calibrate()
    return desk


def four_steps(desk: Desk) -> None:
    """E1 to E4, each with another field."""
    for fields in ({"lr": 1e-3}, {"weight_decay": 0.2}, {"clip": 0.5}, {"beta1": 0.8}):
        desk.challenge(0.02, **fields)


def outsiders(desk: Desk, **mutators: Mutator) -> Outsiders:
    return Outsiders(desk.ledger, mutators, lambda kind, message, data: desk.ledger.event(
        kind, message, NOW, None, data))


def confirm(desk: Desk, bpb: float, n: int = 2) -> None:
    for _ in range(n):
        desk.end(desk.queue(desk.next()), bpb)


# --- what is queued --------------------------------------------------------------------------


def test_a_challenger_departs_from_the_head_on_its_seed(desk: Desk) -> None:
    kept = desk.challenge(0.02, lr=1e-3)
    wanted = desk.next()
    assert wanted.seed == kept.seed
    assert (wanted.origin.parent_id, wanted.origin.calibration_id) == (kept.id, desk.study.id)
    assert wanted.config.hash not in (kept.config_hash, TINY.hash)


def test_the_same_ledger_and_seed_ask_for_the_same_run(desk: Desk) -> None:
    again = Searcher(desk.ledger, desk.study)
    assert desk.next() == again.next(MANY, ROOM, 0)
    assert {again.next(MANY, ROOM, seed).config.hash for seed in range(20)} > {
        desk.next().config.hash}


def test_some_runs_at_once_begin_with_the_one_alone(desk: Desk) -> None:
    some = desk.searcher.next_some(4, MANY, ROOM, 0)
    assert some[0] == desk.next()
    assert len({(one.config.hash, one.seed) for one in some}) == 4
    four_steps(desk)
    arms = desk.searcher.next_some(3, MANY, ROOM, 0)
    assert arms[0] == desk.next()
    assert [one.origin.strategy for one in arms][:2] == ["confirm", "confirm"]
    assert len({(one.config.hash, one.seed) for one in arms}) == len(arms)


def test_another_homes_runs_stand_in_no_ones_way_and_are_no_baseline(desk: Desk) -> None:
    alone = desk.next()
    theirs = a_run(desk.ledger, seed=9)
    desk.ledger._db.execute("UPDATE runs SET home = 'elsewhere' WHERE id = ?", [theirs.id])
    before = [run.id for run in desk.ledger.baselines(desk.study)]
    four_steps(desk)
    assert theirs.id not in before
    assert desk.next().seed < 9
    assert alone.seed < 9


def test_strategies_of_other_packages_take_part(desk: Desk) -> None:
    mine = outsiders(desk, colder=STRATEGIES["random"])
    asked = {seed: desk.searcher.next(MANY, ROOM, seed, mine) for seed in range(40)}
    by_outsider = [wanted for wanted in asked.values() if wanted.origin.strategy == "colder"]
    assert 0 < len(by_outsider) < 40
    run = desk.queue(by_outsider[0])
    assert (run.label, run.strategy) == ("E1", "colder")


def test_a_night_taken_up_again_asks_the_same_of_them(desk: Desk) -> None:
    desk.challenge(0.02, lr=1e-3)
    first, again = (Searcher(desk.ledger, desk.study) for _ in range(2))
    assert [first.next(MANY, ROOM, seed, outsiders(desk, colder=STRATEGIES["random"]))
            for seed in range(20)] == [
        again.next(MANY, ROOM, seed, outsiders(desk, colder=STRATEGIES["random"]))
        for seed in range(20)]


def test_what_the_plateau_asks_for_is_the_project_s_own(desk: Desk) -> None:
    desk.searcher.search.level = 1
    mine = outsiders(desk, colder=STRATEGIES["random"])
    assert "colder" not in {desk.searcher.next(MANY, ROOM, seed, mine).origin.strategy
                            for seed in range(20)}


def test_before_a_baseline_has_finished_there_is_nothing_to_queue(ledger: Ledger) -> None:
    with pytest.raises(NoProposal, match="no baseline run has finished"):
        Desk(ledger).next()


def test_four_kept_steps_are_run_again_on_the_baseline_s_other_seeds(desk: Desk) -> None:
    four_steps(desk)
    wanted = desk.next()
    head = desk.ledger.run("E4")
    assert (wanted.config.hash, wanted.seed) == (head.config_hash, 1)
    run = desk.queue(wanted)
    assert (run.label, run.strategy, run.parent_id) == ("C1", "confirm", head.id)


def test_a_fresh_seed_is_one_that_no_run_of_the_text_has_had(desk: Desk) -> None:
    a_run(desk.ledger, Config.from_dict(TINY.to_dict() | {"lr": 0.9}), seed=41)  # by hand
    four_steps(desk)
    confirm(desk, 1.495, 4)  # between the bounds on all of the baseline's seeds
    assert desk.next().seed == 42


def test_the_head_of_an_earlier_study_goes_before_all_strategies(desk: Desk) -> None:
    desk.challenge(0.02, lr=1e-3)
    later = desk.ledger.calibration(a_study(desk.ledger, budget_tokens=6400))
    second = Searcher(desk.ledger, later)
    for seed in range(2):
        run = desk.ledger.queue(new_run(desk.ledger, TINY, seed, 6400, 1, NOW,
                                        Origin("baseline", "a test asked", later.id)))
        desk.ledger.claim(NOW, run_id=run.id)
        desk.ledger.finish(run.id, "finished", NOW, val_bpb=1.4)
        second.settle(desk.ledger.run(run.id), NOW, desk.tell)
    wanted = second.next(MANY, Limits(budget_tokens=6400, min_steps=5, max_vocab=300), 0)
    assert (wanted.config.lr, wanted.origin.strategy) == (1e-3, "warm_start")


def test_a_batch_passes_over_a_seed_on_which_a_person_has_run_the_head(desk: Desk) -> None:
    four_steps(desk)
    confirm(desk, 1.495, 1)
    head = Config.from_dict(desk.ledger.run("E4").config)
    a_run(desk.ledger, head, seed=2)
    killed = a_run(desk.ledger, head, seed=3)
    desk.ledger.finish(killed.id, "killed", NOW)
    assert desk.queue(desk.next()).seed == 3


# --- what is decided -------------------------------------------------------------------------


def test_what_fresh_seeds_confirm_is_told_of_each_of_its_steps(desk: Desk) -> None:
    four_steps(desk)
    confirm(desk, 1.40)
    assert [desk.verdicts(label) for label in ("E1", "E2", "E3", "E4", "C1", "C2")] == [
        ["kept", "confirmed"]] * 4 + [["recorded"]] * 2
    newest = desk.ledger.decisions()[0]
    assert (newest.label, newest.against, newest.rule) == ("E4", "B1", RULE)
    assert newest.evidence["n"] == 2
    incumbent, best = desk.ledger.incumbent(desk.study.id), desk.ledger.best()
    assert incumbent is not None
    assert best is not None
    assert (incumbent.label, best.label) == ("E4", "E4")  # an arm is no run of its own


def test_lineage_and_status_tell_the_outcome_and_not_its_arms(desk: Desk) -> None:
    four_steps(desk)
    confirm(desk, 1.40)
    claims = [step.claim for step in lineage_of(desk.ledger, desk.ledger.run("E4")).steps]
    assert claims[:-1] == [None] * 4
    assert claims[-1] is not None
    assert claims[-1].startswith("confirmed against B1: +0.1000 (+0.0")
    assert claims[-1].endswith("over 2 fresh seeds")
    assert {d.verdict for d in desk.ledger.decisions(limit=5, with_arms=False)} == {
        "confirmed", "kept"}


def test_what_is_refuted_is_neither_head_nor_best_any_more(desk: Desk) -> None:
    four_steps(desk)
    confirm(desk, 1.55)
    assert [desk.verdicts(f"E{n}") for n in range(1, 5)] == [["kept", "refuted"]] * 4
    incumbent, best = desk.ledger.incumbent(desk.study.id), desk.ledger.best()
    assert incumbent is not None
    assert best is not None
    assert (incumbent.label, best.label) == ("B1", "B3")


def test_what_follows_from_another_decision_names_the_run_it_is_on(desk: Desk) -> None:
    four_steps(desk)
    confirm(desk, 1.55)
    found = {one.label: one.evidence.get("with") for one in desk.ledger.decisions()
             if one.verdict == "refuted"}
    assert found == {"E1": "E4", "E2": "E4", "E3": "E4", "E4": None}


def test_a_pruned_run_is_decided_with_its_rung(desk: Desk) -> None:
    run = a_run(desk.ledger, Config.from_dict(TINY.to_dict() | {"lr": 0.9}), study=desk.study.id,
                strategy="random")
    desk.end(run, None, state="pruned", rung_bpb=2.5)
    assert desk.ledger.decisions()[0].reason == (
        "2.5000 bits/byte at a quarter of the budget, not among the better 30 % there")


def test_decisions_that_follow_from_one_run_are_written_together_or_not_at_all(
        desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    four_steps(desk)
    confirm(desk, 1.40, 1)
    run = desk.queue(desk.next())
    before, decide, n = len(desk.ledger.decisions()), desk.ledger.decide, iter(range(100))

    def fails(*words: Any) -> None:
        if next(n) == 3:
            raise OSError("no room")
        decide(*words)

    monkeypatch.setattr(desk.ledger, "decide", fails)
    with pytest.raises(OSError, match="no room"):
        desk.end(run, 1.40)
    assert len(desk.ledger.decisions()) == before
    monkeypatch.undo()
    again = Searcher(desk.ledger, desk.study)
    again.settle(desk.ledger.run(run.id), NOW, desk.tell)
    assert desk.verdicts("E4") == ["kept", "confirmed"]


def test_the_standing_says_what_the_search_tries_to_find_out(desk: Desk) -> None:
    assert desk.searcher.standing() == "head B1"
    desk.challenge(0.02, lr=1e-3)
    assert desk.searcher.standing() == "head E1, 1 kept step past B1, not confirmed yet"
    for fields in ({"weight_decay": 0.2}, {"clip": 0.5}, {"beta1": 0.8}):
        desk.challenge(0.02, **fields)
    assert desk.searcher.standing() == "head E4, 4 kept steps past B1, not confirmed yet"
    confirm(desk, 1.40, 1)
    assert desk.searcher.standing() == (
        "head E4, 4 kept steps past B1, not confirmed yet; on fresh seeds +0.1100 bits/byte over "
        "1 of up to 5 pairs")
    confirm(desk, 1.40, 1)
    assert desk.searcher.standing() == "head E4, confirmed"
    for n in range(25):
        desk.challenge(-0.1, lr=1e-3 + 1e-5 * (n + 1))
    assert desk.searcher.standing() == (
        "head E4, confirmed; a plateau: only structure is tried")


# --- simpler wins ----------------------------------------------------------------------------


def test_what_no_fresh_seed_has_settled_is_named_as_a_night_ends(desk: Desk) -> None:
    assert desk.searcher.untested(is_begun=False) == ""
    four_steps(desk)
    assert desk.searcher.untested(is_begun=False) == (
        "4 kept steps are not tested on fresh seeds yet; `agent run` goes on")
    assert "test of E4 cut short after 0 of 2 to 5 pairs" in desk.searcher.untested(is_begun=True)
    confirm(desk, 1.2, n=1)
    desk.anew()
    assert desk.searcher.untested(is_begun=False) == (
        "test of E4 cut short after 1 of 2 to 5 pairs; `agent run` goes on")
    confirm(desk, 1.2, n=1)
    assert desk.searcher.untested(is_begun=False) == ""


def test_a_step_whose_test_the_night_cannot_pay_for_says_when_one_can(desk: Desk) -> None:
    """Five baselines and two arms have run beside four ideas; a fifth idea is kept."""
    four_steps(desk)
    confirm(desk, 1.2, n=2)
    desk.challenge(0.2, beta2=0.9)
    search = desk.searcher.search
    search.other_share = 0.25
    said = desk.searcher.untested(is_begun=False)
    n = int(said.partition("some ")[2].split()[0])
    assert said == (f"1 kept step is not tested on fresh seeds yet, and is once some {n} runs more "
                    "have tried ideas; `agent run` goes on")
    assert search.n_affordable(n - 1, ()) < search.least_batch <= search.n_affordable(n, ())


def test_a_step_is_left_out_and_the_others_stay(desk: Desk) -> None:
    desk.challenge(0.05, lr=1e-3)
    desk.challenge(0.01, weight_decay=0.2)
    for _ in range(2):
        desk.end(desk.queue(desk.next(6)), 1.40)
    wanted = desk.next(6)
    assert wanted.origin.strategy == "ablate"
    assert wanted.config == Config.from_dict(TINY.to_dict() | {"lr": 1e-3})
    assert wanted.origin.parent_id == desk.ledger.run("E2").id  # the smaller gain first
    for _ in range(2):
        run = desk.queue(desk.next(6))
        desk.end(run, 1.37)
    assert desk.verdicts("E2") == ["kept", "confirmed", "ablated"]
    assert desk.verdicts(run.label) == ["recorded", "confirmed"]
    incumbent = desk.ledger.incumbent(desk.study.id)
    assert incumbent is not None
    assert incumbent.label == run.label == "A2"


def test_a_step_tried_without_is_decided_after_a_restart_though_another_cannot_be_left_out(
        desk: Desk) -> None:
    desk.challenge(0.01, lr=1e-3)  # without it nothing changes: the third step sets it anew
    desk.challenge(0.02, weight_decay=0.2)
    desk.challenge(0.05, lr=2e-3)
    for _ in range(2):
        desk.end(desk.queue(desk.next(6)), 1.40)
    desk.end(desk.queue(desk.next(6)), 1.47)
    run = desk.queue(desk.next(6))
    desk.anew()
    desk.end(run, 1.47)
    assert desk.verdicts("E2") == ["kept", "confirmed", "confirmed"]
    assert desk.next(6).origin.parent_id == desk.ledger.run("E3").id


def test_a_step_that_stays_is_not_the_run_to_beat(desk: Desk) -> None:
    desk.challenge(0.01, lr=1e-3)
    desk.challenge(0.05, weight_decay=0.2)
    for _ in range(2):
        desk.end(desk.queue(desk.next(6)), 1.40)
    for _ in range(2):
        desk.end(desk.queue(desk.next(6)), 1.47)
    assert desk.verdicts("E1") == ["kept", "confirmed", "confirmed"]
    incumbent = desk.ledger.incumbent(desk.study.id)
    assert incumbent is not None
    assert incumbent.label == "E2"


# --- what decides nothing --------------------------------------------------------------------


def test_the_silent_shard_scores_what_was_confirmed(desk: Desk) -> None:
    assert desk.searcher.silent() is None
    four_steps(desk)
    confirm(desk, 1.40)
    found = desk.searcher.silent()
    assert found is not None
    assert (found.claimed_bpb, found.silent_bpb) == (pytest.approx(0.1), pytest.approx(0.1))
    assert found.n_batches == 1
    assert found.n_blocks is None
    assert found.span().startswith(" (95 % over seeds alone: +0.0")


def test_a_claim_and_the_silent_shard_are_told_with_what_other_text_would_change(
        ledger: Ledger) -> None:
    """All that is gained lies in one of four blocks: other text might gain nothing at all."""
    desk = Desk(ledger)
    desk.tells_blocks = True
    desk.calibrate()
    four_steps(desk)
    confirm(desk, 1.40)
    claim = ledger.decisions(ledger.run("E4").id)[0].evidence
    assert claim["n_blocks"] == 4
    assert claim["low_bpb"] < 0 < claim["seeds_low_bpb"]
    told = lineage_of(ledger, ledger.run("E4")).steps[-1].claim
    assert str(told).endswith("over 2 fresh seeds and 4 blocks of text")
    found = desk.searcher.silent()
    assert found is not None
    assert found.low_bpb is not None
    assert found.low_bpb < 0
    assert found.span() == f" (95 %: {found.low_bpb:+.4f} to {found.high_bpb:+.4f})"


def test_what_another_study_ran_to_confirm_is_a_baseline_of_a_study_that_starts_there(
        desk: Desk) -> None:
    four_steps(desk)
    confirm(desk, 1.40)
    head = desk.ledger.run("E4").config
    study = desk.ledger.calibration(a_study(desk.ledger, config=head, seeds=[1, 2]))
    search = Searcher(desk.ledger, study).search
    assert search.head is not None
    assert (search.head.run_id, search.head.seed) == (desk.ledger.run("C1").id, 1)
    assert search.noise is not None
    assert search.noise.df == 1
    assert not search.chain


# --- the ledger is all -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_search_taken_up_anywhere_goes_on_as_if_never_left(ledger: Ledger, seed: int) -> None:
    desk, rng = Desk(ledger), random.Random(seed)
    desk.tells_blocks = seed % 2 == 1
    desk.calibrate()
    for _ in range(45):
        wanted = desk.next(rng.choice([MANY, 6]))
        again = Searcher(ledger, desk.study)
        assert again.search._scores == desk.searcher.search._scores
        assert vars(again.search.bandit) == vars(desk.searcher.search.bandit)
        assert again.search.head == desk.searcher.search.head
        assert again.search.chain == desk.searcher.search.chain
        desk.searcher = rng.choice([again, desk.searcher])
        state = rng.choices(["finished", "diverged"], [12, 1])[0]
        bpb = rng.gauss(1.5 - 0.2 * rng.random(), 0.01) if state == "finished" else None
        desk.end(desk.queue(wanted), bpb, state=state)
    first: list[Verdict] = ["confirmed", "refuted", "undecided", "ablated"]
    own = [d.run_id for d in ledger.decisions() if d.verdict not in first]
    assert sorted(own) == [run.id for run in ledger.runs()]
    lines = [json.dumps([d.run_id, d.verdict, d.evidence]) for d in ledger.decisions()]
    assert len(lines) == len(set(lines))


# --- what other studies found ----------------------------------------------------------------


def test_without_the_prior_no_other_study_is_heeded(desk: Desk) -> None:
    asked = Searcher(desk.ledger, desk.study)
    alone = Searcher(desk.ledger, desk.study, with_prior=False)
    assert len(asked._elsewhere()) > 200
    assert alone._elsewhere() == []
    first, second = (one.next(MANY, ROOM, 0).config for one in (asked, alone))
    assert first != second
