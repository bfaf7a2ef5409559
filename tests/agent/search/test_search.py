"""The two tiers of a study: what is kept, put to the test, rolled back, simplified, given up."""

import math
import random
import statistics
from dataclasses import dataclass, field

import pytest

from agent.search.actions import Due, Kind, Pending, Propose, Repeat, Stop, Trial, Without
from agent.search.batches import LEAST_BATCH, MAX_SKIPPED
from agent.search.search import CLASSES, PATIENCE, RESERVE, Search
from agent.search.verdict import Decision

BASELINE = [1.50, 1.51, 1.49, 1.505, 1.495]  # a spread of 0.008
MANY = 1000.0


@dataclass
class Play:
    """A search, what was recorded of it, and the runs it is told of."""

    search: Search = field(default_factory=lambda: Search(other_share=1.0))
    record: list[tuple[int, int | None, Decision]] = field(default_factory=list)
    trials: dict[int, Trial] = field(default_factory=dict)

    def ended(self, key: str, seed: int, kind: Kind, bpb: float | None, state: str = "finished",
              parent_id: int | None = None, strategy: str = "random") -> str:
        """One run ends; the verdict on it. Both shards score it alike, where both do."""
        trial = Trial(len(self.trials) + 1, key, seed, kind, state, bpb,
                      None if kind == "search" else bpb, strategy, parent_id)
        self.trials[trial.run_id] = trial
        return self.search.settle(trial, lambda *found: self.record.append(found)).verdict

    def challenger(self, key: str, bpb: float | None, state: str = "finished") -> str:
        assert self.search.head is not None
        return self.ended(key, self.search.head.seed, "search", bpb, state)

    def arm(self, bpb: float | None, state: str = "finished") -> Repeat:
        """The run of a batch that is asked for next ends with this score."""
        action = self.search.next(MANY)
        assert isinstance(action, Repeat)
        self.ended(action.node.key, action.seed, "confirm", bpb, state)
        return action

    def batch(self, head: float, base: float, n_pairs: int) -> None:
        """Pairs with these scores of the two configurations."""
        for _ in range(2 * n_pairs):
            action = self.search.next(MANY)
            assert isinstance(action, Repeat)
            is_head = action.node.key == self.head
            self.ended(action.node.key, action.seed, "confirm", head if is_head else base)

    def batch_at_the_end(self, head: float, base: float) -> None:
        """Two pairs of the night's last batch."""
        for _ in range(4):
            action = self.search.next(RESERVE)
            assert isinstance(action, Repeat)
            self.ended(action.node.key, action.seed, "confirm",
                       head if action.node.key == self.head else base)

    @property
    def head(self) -> str:
        assert self.search.head is not None
        return self.search.head.key

    @property
    def confirmed(self) -> str:
        assert self.search.confirmed is not None
        return self.search.confirmed.key

    def verdicts(self, key: str) -> list[str]:
        """Verdicts on the challenger of that configuration, in their order."""
        return [found.verdict for run_id, _, found in self.record
                if self.trials[run_id].key == key and self.trials[run_id].kind != "confirm"]


@pytest.fixture
def calibrated() -> Play:
    """A search whose five baselines have ended."""
    play = Play()
    for seed, bpb in enumerate(BASELINE):
        assert play.ended("base", seed, "baseline", bpb) == "baseline"
    return play


@pytest.fixture
def play(calibrated: Play) -> Play:
    """The same, where runs by hand have taken the baseline's other seeds."""
    for seed in range(1, 5):
        calibrated.ended("by hand", seed, "search", None, "killed")
    return calibrated


def keep(play: Play, *keys: str, gain: float = 0.01) -> None:
    for key in keys:
        assert play.search.head is not None
        assert play.challenger(key, play.search.head.bpb - gain) == "kept"


# --- the search tier -------------------------------------------------------------------------


def test_before_a_baseline_there_is_nothing_to_improve() -> None:
    found = Search().next(MANY)
    assert isinstance(found, Stop)
    assert found.reason == ("no baseline run has finished, so there is nothing to improve on; "
                            "`agent show` says what happened to each")


def test_challengers_of_the_baseline_are_asked_for_on_its_seed(play: Play) -> None:
    found = play.search.next(MANY)
    assert isinstance(found, Propose)
    assert (found.head.key, found.head.seed, found.names) == ("base", 0, None)


@pytest.mark.parametrize("state", ["killed", "failed", "lost"])
def test_what_the_machine_did_is_no_strategy_s_fault(play: Play, state: str) -> None:
    before = play.search.bandit.expected("random")
    play.challenger("unlucky", None, state)
    assert play.search.bandit.expected("random") == before
    play.challenger("bad", None, "diverged")
    assert play.search.bandit.expected("random") < before


def test_a_kept_step_is_the_next_head_and_a_discarded_one_is_not(play: Play) -> None:
    assert play.challenger("worse", 1.52) == "discarded"
    assert play.head == "base"
    assert play.challenger("better", 1.49) == "kept"
    assert (play.head, play.confirmed) == ("better", "base")


def test_a_person_s_run_on_a_seed_the_head_lacks_is_judged_by_the_head_s_own(play: Play) -> None:
    keep(play, "a")
    a = play.search.head
    assert a is not None
    noise = play.search.noise
    sigma = statistics.stdev(BASELINE)
    assert noise is not None
    assert play.ended("no step", 7, "search", a.bpb - 0.69 * math.sqrt(2) * sigma) == "discarded"
    assert play.head == "a"
    assert play.ended("idea", 7, "search", a.bpb - 0.71 * math.sqrt(2) * sigma) == "kept"
    assert (play.head, play.search.head and play.search.head.seed) == ("idea", 7)
    assert play.search.chain[-1].gain == pytest.approx(0.71 * math.sqrt(2) * sigma)


def test_an_idea_before_any_baseline_is_recorded_and_the_reason_says_so() -> None:
    play = Play()
    assert play.ended("idea", 7, "search", 0.9) == "recorded"
    assert play.record[0][2].reason == "no baseline had finished that it could be compared with"


@pytest.mark.parametrize("state", ["pruned", "diverged", "killed", "failed", "lost"])
def test_a_run_that_did_not_finish_gets_its_state_as_verdict(play: Play, state: str) -> None:
    assert play.challenger("broken", None, state) == state
    assert play.head == "base"


def test_a_baseline_that_diverged_is_no_measure_of_the_noise() -> None:
    play = Play()
    assert play.ended("base", 0, "baseline", 1.5) == "baseline"
    for seed in range(1, 5):
        assert play.ended("base", seed, "baseline", None, "diverged") == "diverged"
    assert play.search.noise is None
    play.ended("base", 5, "baseline", 1.52)
    assert play.search.noise is not None
    assert play.search.noise.df == 1


# --- batches on fresh seeds ------------------------------------------------------------------


def test_after_four_kept_steps_head_and_confirmed_alternate_on_fresh_seeds(play: Play) -> None:
    keep(play, "a", "b", "c", "d", gain=0.01)
    arms = [play.arm(bpb) for bpb in (1.48, 1.49, 1.49, 1.48)]
    assert [(arm.node.key, arm.seed) for arm in arms] == [
        ("d", 5), ("base", 5), ("base", 6), ("d", 6)]


def test_the_first_batch_takes_the_baseline_s_seeds_on_which_nothing_was_selected(
        calibrated: Play) -> None:
    keep(calibrated, "a", "b", "c", "d", gain=0.02)
    arms = [calibrated.arm(1.40) for _ in range(2)]
    assert [(arm.node.key, arm.seed) for arm in arms] == [("d", 1), ("d", 2)]
    assert calibrated.confirmed == "d"
    assert calibrated.record[-1][2].evidence["gain_bpb"] == pytest.approx(0.1)
    assert calibrated.record[-1][2].evidence["seeds"] == [1, 2]


def test_a_later_batch_takes_those_that_are_left_and_then_new_ones(calibrated: Play) -> None:
    keep(calibrated, "a", "b", "c", "d", gain=0.02)
    for _ in range(2):
        calibrated.arm(1.52)
    assert calibrated.verdicts("d") == ["kept", "refuted"]
    keep(calibrated, "e", "f", "g", "h", gain=0.01)
    arms = [calibrated.arm(1.4985) for _ in range(4)]
    assert [(arm.node.key, arm.seed) for arm in arms] == [
        ("h", 3), ("h", 4), ("h", 5), ("base", 5)]


def test_what_fresh_seeds_confirm_is_the_new_ground_with_all_its_steps(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    play.batch(head=1.40, base=1.50, n_pairs=2)
    assert (play.head, play.confirmed, play.search.chain) == ("d", "d", [])
    assert play.verdicts("d") == ["kept", "confirmed"]
    assert [play.verdicts(key) for key in "abc"] == [["kept", "confirmed"]] * 3
    assert play.record[-1][2].reason.startswith("4 steps together 0.1000 bits/byte better over 2")
    assert play.search.claims == [pytest.approx(0.1)]


def test_a_head_is_compared_by_a_run_that_no_step_was_selected_on(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    play.batch(head=1.40, base=1.50, n_pairs=2)
    assert play.search.head is not None
    assert (play.search.head.seed, play.search.head.bpb) == (5, 1.40)
    assert play.challenger("e", 1.39) == "kept"


def test_what_fresh_seeds_refute_is_rolled_back_with_all_its_steps(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    play.batch(head=1.51, base=1.50, n_pairs=2)
    assert (play.head, play.confirmed, play.search.chain) == ("base", "base", [])
    assert [play.verdicts(key) for key in "abcd"] == [["kept", "refuted"]] * 4
    assert play.search.claims == []


def test_the_spread_of_what_was_refuted_is_not_the_noise_of_what_stays(play: Play) -> None:
    keep(play, "a")
    before = play.search.noise
    while play.verdicts("a") == ["kept"]:
        action = play.search.next(RESERVE)
        assert isinstance(action, Repeat)
        score = 1.5 if action.node.key == "base" else (1.45, 1.9)[action.seed % 2]
        play.ended(action.node.key, action.seed, "confirm", score)
    assert play.verdicts("a") == ["kept", "refuted"]
    assert (before is not None, play.search.noise) == (True, before)


def test_an_undecided_head_stays_and_is_tested_again_after_four_more_steps(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    play.batch(head=1.498, base=1.50, n_pairs=5)
    assert play.verdicts("d") == ["kept", "undecided"]
    assert (play.head, play.confirmed) == ("d", "base")
    keep(play, "e", "f", "g")
    assert isinstance(play.search.next(MANY), Propose)
    keep(play, "h")
    assert isinstance(play.search.next(MANY), Repeat)


def test_each_batch_in_vain_raises_the_bar_and_a_confirmed_one_lowers_it(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    play.batch(head=1.51, base=1.50, n_pairs=2)
    assert play.search.n_vain == 1
    keep(play, "e", "f", "g", "h")
    play.batch(head=1.30, base=1.50, n_pairs=2)
    assert play.verdicts("h") == ["kept", "confirmed"]
    assert play.search.n_vain == 0


def test_the_last_runs_of_a_night_confirm_what_it_has_kept(play: Play) -> None:
    keep(play, "a")
    assert isinstance(play.search.next(RESERVE + 1), Propose)
    assert isinstance(play.search.next(RESERVE), Repeat)
    assert isinstance(play.search.next(LEAST_BATCH - 1), Propose)  # too few to tell anything


def test_on_seeds_that_the_baseline_has_run_on_half_as_many_are_enough(
        calibrated: Play) -> None:
    keep(calibrated, "a")
    assert calibrated.search.least_batch == 2
    assert isinstance(calibrated.search.next(2), Repeat)
    assert isinstance(calibrated.search.next(1), Propose)


def test_a_batch_goes_on_where_the_night_before_left_it(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    play.arm(1.4)
    found = play.search.next(1)
    assert isinstance(found, Repeat)
    assert (found.node.key, found.seed) == ("base", 5)


def test_a_fresh_seed_is_one_that_no_run_has_had(play: Play) -> None:
    play.search.avoid(41)
    keep(play, "a", "b", "c", "d")
    assert play.arm(1.4).seed == 42


def test_a_head_that_diverges_on_a_fresh_seed_is_refuted_whatever_it_gained(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    noise = play.search.noise
    play.arm(None, "diverged")
    assert play.verdicts("d") == ["kept", "refuted"]
    assert (play.head, play.search.noise) == ("base", noise)


def test_a_seed_on_which_the_other_diverges_says_nothing(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    seeds = []
    while len(seeds) < 3:
        action = play.search.next(MANY)
        assert isinstance(action, Repeat)
        if action.node.key == "base":
            seeds.append(action.seed)
        play.ended(action.node.key, action.seed, "confirm",
                   *((None, "diverged") if action.node.key == "base" else (1.40, "finished")))
    assert play.verdicts("d") == ["kept", "undecided"]
    assert len(set(seeds)) == 3


def test_a_plateau_against_a_lucky_head_ends_with_it(play: Play) -> None:
    keep(play, "a")
    for n in range(PATIENCE[0]):
        play.challenger(f"x{n}", 1.6)
    assert play.search.level == 1
    play.batch(1.55, 1.5, 2)
    assert (play.verdicts("a"), play.search.level) == (["kept", "refuted"], 0)


def test_a_seed_on_which_the_system_killed_a_run_is_left_for_another(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    play.arm(None, "killed")
    found = play.search.next(MANY)
    assert isinstance(found, Repeat)
    assert (found.node.key, found.seed) == ("base", 6)  # the next pair begins with the other


def test_too_many_such_seeds_leave_the_head_undecided(play: Play) -> None:
    keep(play, "a", "b", "c", "d")
    for _ in range(MAX_SKIPPED + 1):
        play.arm(None, "killed")
    assert play.verdicts("d") == ["kept", "undecided"]
    assert play.record[-1][2].reason == (
        "on 3 fresh seeds a run did not finish: it stays provisional")


def test_a_seed_that_somebody_else_gave_the_head_is_left_for_another(calibrated: Play) -> None:
    keep(calibrated, "a", "b", "c", "d", gain=0.01)
    calibrated.arm(1.4985)
    calibrated.search.avoid(2, "d")
    calibrated.search.avoid(3, "another")
    assert [calibrated.arm(1.4985).seed for _ in range(2)] == [3, 4]


def an_idea_during_a_batch(play: Play, bpb: float, n_pairs: int) -> None:
    """The head d is tested, and meanwhile an idea made on it is kept."""
    keep(play, "a", "b", "c", "d")
    play.arm(bpb)
    keep(play, "idea")
    for _ in range(2 * n_pairs - 1):
        action = play.search.next(MANY)
        assert isinstance(action, Repeat)
        play.ended(action.node.key, action.seed, "confirm",
                   bpb if action.node.key == "d" else 1.50)


def test_an_idea_kept_during_a_batch_is_a_step_on_what_it_confirms(play: Play) -> None:
    an_idea_during_a_batch(play, 1.40, 2)
    assert (play.head, play.confirmed) == ("idea", "d")
    assert [step.node.key for step in play.search.chain] == ["idea"]
    assert play.verdicts("idea") == ["kept"]


def test_an_idea_kept_during_a_batch_is_rolled_back_with_it(play: Play) -> None:
    an_idea_during_a_batch(play, 1.51, 2)
    assert (play.head, play.search.chain) == ("base", [])
    assert play.verdicts("idea") == ["kept", "refuted"]


def test_an_idea_kept_during_an_undecided_batch_is_the_head_and_not_tested_yet(
        play: Play) -> None:
    an_idea_during_a_batch(play, 1.498, 5)
    assert play.head == "idea"
    keep(play, "e", "f")
    assert isinstance(play.search.next(MANY), Propose)
    keep(play, "g")
    assert isinstance(play.search.next(MANY), Repeat)


def test_what_an_idea_was_not_made_on_is_not_confirmed_with_it(play: Play) -> None:
    keep(play, "a", "b")
    play.ended("idea", 0, "search", 1.40, parent_id=1)  # made on the baseline
    play.batch_at_the_end(head=1.40, base=1.50)
    assert [play.verdicts(key) for key in ("a", "b", "idea")] == [
        ["kept"], ["kept"], ["kept", "confirmed"]]
    assert isinstance(play.search.next(RESERVE), Propose)  # nothing of it can be left out


# --- plateaus --------------------------------------------------------------------------------


def test_a_plateau_asks_for_structure_then_size_then_ends_the_night(play: Play) -> None:
    asked = []
    for n in range(sum(PATIENCE)):
        found = play.search.next(MANY)
        assert isinstance(found, Propose)
        asked.append(found.names)
        play.challenger(f"x{n}", 1.6)
    assert asked == [names for names, n in zip(CLASSES, PATIENCE, strict=True) for _ in range(n)]
    found = play.search.next(MANY)
    assert isinstance(found, Stop)
    assert found.reason == (
        "a plateau: 55 runs in a row, of any kind, of other shapes and of other sizes, kept "
        "nothing; go on with an idea of your own (`agent enqueue`), more --run-tokens, or another "
        "--seed")


def test_at_a_plateau_what_was_kept_is_put_to_the_test(play: Play) -> None:
    keep(play, "a")
    for n in range(PATIENCE[0]):
        play.challenger(f"x{n}", 1.6)
    assert isinstance(play.search.next(MANY), Repeat)


def test_a_kept_step_ends_a_plateau(play: Play) -> None:
    for n in range(PATIENCE[0]):
        play.challenger(f"x{n}", 1.6)
    keep(play, "a")
    assert play.search.level == 0


def test_what_the_machine_ended_says_nothing_of_a_plateau(play: Play) -> None:
    for n in range(PATIENCE[0]):
        play.challenger(f"x{n}", None, "killed")
    assert play.search.n_misses == 0


# --- simpler wins ----------------------------------------------------------------------------


def confirmed_pair(play: Play) -> None:
    """Two steps, the second the smaller, confirmed on seeds 5 and 6."""
    keep(play, "a", gain=0.08)
    keep(play, "b", gain=0.01)
    for _ in range(4):
        action = play.search.next(RESERVE)
        assert isinstance(action, Repeat)
        play.ended(action.node.key, action.seed, "confirm", 1.40 if action.node.key == "b" else 1.5)
    assert play.confirmed == "b"


def left_out(play: Play, bpb: float) -> Without:
    action = play.search.next(RESERVE)
    assert isinstance(action, Without)
    play.ended("b without " + play.trials[action.step.node.run_id].key, action.seed, "ablate", bpb,
               parent_id=action.step.node.run_id)
    return action


def test_at_the_end_steps_are_tried_without_the_smallest_first_on_the_same_seeds(
        play: Play) -> None:
    confirmed_pair(play)
    assert isinstance(play.search.next(MANY), Propose)
    actions = [left_out(play, 1.48) for _ in range(4)]
    assert [(action.step.node.key, action.seed) for action in actions] == [
        ("b", 5), ("b", 6), ("a", 5), ("a", 6)]
    assert actions[0].base.key == "base"
    assert play.verdicts("a") == play.verdicts("b") == ["kept", "confirmed", "confirmed"]
    assert isinstance(play.search.next(RESERVE), Propose)


def test_beyond_a_quarter_of_the_night_no_step_is_tried_without(play: Play) -> None:
    """Five baselines and four arms of 15 runs are more than a quarter; of 44 they are not."""
    confirmed_pair(play)
    play.search.other_share = 0.25
    assert isinstance(play.search.next(RESERVE), Propose)
    for n in range(23):
        play.challenger(f"worse {n}", 9.0)
    assert isinstance(play.search.next(RESERVE), Without)


def test_one_finished_baseline_tells_no_noise_and_ends_the_search() -> None:
    play = Play()
    play.ended("base", 0, "baseline", 1.5)
    assert isinstance(play.search.next(MANY, [Pending("baseline", "base", 1)]), Propose)
    for seed in range(1, 5):
        play.ended("base", seed, "baseline", None, "diverged")
    action = play.search.next(MANY)
    assert isinstance(action, Stop)
    assert "only one of the baseline's runs finished" in action.reason


def test_beyond_a_quarter_of_the_night_the_last_batch_waits_for_another(play: Play) -> None:
    """Nine runs that try no idea, and four more, are a quarter of 52; six are too many there."""
    confirmed_pair(play)
    play.search.other_share = 0.25
    for n in range(52 - len(play.trials) - RESERVE):
        assert isinstance(play.search.next(52 - len(play.trials)), Propose)
        play.challenger(f"idea {n}", 1.2 if n == PATIENCE[0] - 1 else 9.0)
    assert isinstance(play.search.next(RESERVE), Propose)
    for n in range(RESERVE - LEAST_BATCH):
        play.challenger(f"as bad {n}", 9.0)
    assert isinstance(play.search.next(LEAST_BATCH), Repeat)


def test_a_night_that_has_confirmed_nothing_tests_at_its_end_whatever_that_costs(
        play: Play) -> None:
    play.search.other_share = 0.25
    play.challenger("a", 1.2)
    assert isinstance(play.search.next(RESERVE), Repeat)


def test_a_night_without_end_tries_without_a_step_at_a_plateau(play: Play) -> None:
    confirmed_pair(play)
    assert isinstance(play.search.next(math.inf), Propose)
    for n in range(PATIENCE[0]):
        play.challenger(f"worse {n}", 9.0)
    assert isinstance(play.search.next(MANY), Propose)
    assert isinstance(play.search.next(math.inf), Without)


def test_two_runs_are_enough_to_try_a_step_and_one_begun_is_finished(play: Play) -> None:
    confirmed_pair(play)
    assert isinstance(play.search.next(1), Propose)
    assert isinstance(play.search.next(2), Without)
    left_out(play, 1.48)
    assert isinstance(play.search.next(1), Without)


def test_a_step_that_is_not_needed_goes_and_the_rest_is_what_is_confirmed(play: Play) -> None:
    confirmed_pair(play)
    for _ in range(2):
        left_out(play, 1.37)
    assert play.verdicts("b")[-1] == "ablated"
    assert (play.confirmed, play.head) == ("b without b",) * 2
    assert play.verdicts("b without b") == ["recorded", "recorded", "confirmed"]
    assert play.search.claims == [pytest.approx(0.10)]  # not more: 1.37 may be luck


def test_a_step_that_cannot_be_left_out_stays(play: Play) -> None:
    confirmed_pair(play)
    action = play.search.next(RESERVE)
    assert isinstance(action, Without)
    play.search.cannot_leave_out(action.step)
    after = play.search.next(RESERVE)
    assert isinstance(after, Without)
    assert after.step.node.key == "a"


def test_a_step_without_which_training_diverges_stays(play: Play) -> None:
    confirmed_pair(play)
    action = play.search.next(RESERVE)
    assert isinstance(action, Without)
    play.ended("b without b", action.seed, "ablate", None, "diverged", action.step.node.run_id)
    assert left_out(play, 1.48).step.node.key == "a"


# --- the record is all there is --------------------------------------------------------------


def play_by_chance(seed: int, n: int) -> Play:
    """Runs with random scores, ends and losses, as a search asks for them."""
    rng, play = random.Random(seed), Play()
    for i in range(5):
        play.ended("base", i, "baseline", rng.gauss(1.5, 0.01))
    true = {"base": 1.5}
    for i in range(n):
        action = play.search.next(rng.choice([MANY, RESERVE]))
        state = rng.choices(["finished", "killed", "diverged"], [20, 1, 1])[0]
        parent_id = None
        if isinstance(action, Propose):
            key, kind, run_seed = f"c{i}", "search", action.head.seed
            true[key] = true[action.head.key] + rng.gauss(0, 0.02)
        elif isinstance(action, Repeat):
            key, kind, run_seed = action.node.key, action.kind, action.seed
        elif isinstance(action, Without):
            parent_id = action.step.node.run_id
            key, kind, run_seed = f"without {parent_id}", "ablate", action.seed
            true.setdefault(key, true[action.base.key] + rng.gauss(-0.02, 0.02))
        else:
            break
        bpb = rng.gauss(true[key], 0.01) if state == "finished" else None
        play.ended(key, run_seed, kind, bpb, state, parent_id)
    return play


@pytest.mark.parametrize("seed", range(40))
def test_a_search_folded_from_its_record_goes_on_as_the_one_that_made_it(seed: int) -> None:
    play = play_by_chance(seed, 80)
    folded, decided = Search(other_share=1.0), set()
    for run_id, against_id, found in play.record:
        if "with" in found.evidence:
            continue
        if run_id in decided:
            folded.apply_due(Due(run_id, against_id, found))
        else:
            decided.add(run_id)
            folded.apply(play.trials[run_id], found.verdict)
    assert folded.noise == play.search.noise
    assert vars(folded) | {"bandit": None} == vars(play.search) | {"bandit": None}
    assert vars(folded.bandit) == vars(play.search.bandit)


@pytest.mark.parametrize("seed", range(40))
def test_no_run_is_asked_for_twice_and_none_is_decided_twice_by_the_first_tier(seed: int) -> None:
    play = play_by_chance(seed, 80)
    asked = [(trial.key, trial.seed) for trial in play.trials.values()]
    assert len(asked) == len(set(asked))
    first = [run_id for run_id, _, found in play.record
             if found.verdict not in ("confirmed", "refuted", "undecided", "ablated")]
    assert sorted(first) == sorted(play.trials)
