"""The search of one study over its ledger: taken up from what is there, judged, carried on.

`Search` knows neither ledger nor configurations; here its actions become queued runs, and ended
runs and decisions become what it knows.
"""

import math
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from agent import words
from agent.ledger import ENDED, Blocks, Calibration, Ledger, Prediction, Run, near
from agent.ledger import Decision as Recorded
from agent.search import proposer, silent
from agent.search.actions import Due, Kind, Pending, Propose, Repeat, Stop, Trial, Wait, Without
from agent.search.advisor import Known, choose_some
from agent.search.bandit import CLASS_NAMES
from agent.search.outsiders import Outsiders
from agent.search.prior import Elsewhere
from agent.search.search import PATIENCE, Search, reserve_for
from agent.search.silent import Silent
from agent.search.study import Origin
from agent.search.verdict import MAX_PAIRS, RULE, Decision
from agent.search.whole import require_whole, unsound
from agent.trial import rung
from engine.config import Config
from engine.errors import NoProposal, UserError
from strategies import STRATEGIES
from strategies.base import Limits, Mutator, why_not

LATE = 2  # runs of the head that the night has left, or fewer
Z_95 = 1.96  # standard deviations on either side hold 95 % of a normal distribution

KINDS: dict[str, Kind] = {"baseline": "baseline", "confirm": "confirm", "ablate": "ablate"}

LATER = ("confirmed", "refuted", "undecided", "ablated")  # words on a run that has had its first

# Told of each decision as it is recorded: the run, what it was compared with, and the decision.
Tell = Callable[[Run, Run | None, Decision], None]


def _why_short(run: Run) -> str:
    """Why a run did not finish."""
    if run.state == "pruned" and run.rung_bpb is not None:
        return (f"{run.rung_bpb:.4f} bits/byte at a quarter of the budget, not among the better "
                f"{rung.KEPT_PCT} % there")
    return run.error or ""


def _unheard(run: Run) -> Run:
    """A run as it was before it ended: what is not decided yet is not known."""
    if run.state not in ENDED:
        return run
    return replace(run, state="running", val_bpb=None, val_loss=None, rung_bpb=None, error=None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run to queue."""

    config: Config
    seed: int
    origin: Origin
    prediction: Prediction | None = None


def _hopeful(some: list[Wanted], head_bpb: float, *, is_alone: bool) -> list[Wanted]:
    """The ideas that may yet be better than the head: late in a night only small ones fit.

    Raises NoProposal where there is none and nothing else was found.
    """
    found = [one for one in some if one.prediction is None or one.prediction.low_bpb < head_bpb]
    if some and not found and is_alone:
        raise NoProposal("whatever still fits into the night is foreseen to score worse than the "
                         "head")
    return found


class Searcher:
    """One study's search. After a write that failed it may be ahead: it must be made anew.

    n_beside  runs that are asked for before the one before them has been heard of: they are of an
              earlier head, so that they are no misses of this one, and patience is so much longer;
              the night's last test begins when all of them have been heard of
    """

    def __init__(self, ledger: Ledger, found: Calibration, with_prior: bool = True,
                 n_beside: int = 0) -> None:
        self.ledger, self.study, self.with_prior = ledger, found, with_prior
        self._others: list[Elsewhere] | None = None
        self._configs: dict[int, Config] = {}  # by run, read once
        self.search = Search(reserve_for(n_beside + 1), tuple(n + n_beside for n in PATIENCE))
        require_whole(ledger, found)
        decided: set[int] = set()
        runs = {run.id: run for run in self._runs()}
        blocks = ledger.blocks_on(found.text_sha256, found.budget_tokens, "confirm")
        for decision in reversed(ledger.decisions()):
            run = runs.get(decision.run_id)
            if run is None or "with" in decision.evidence:
                continue  # of another study; what another run's decision meant for this one
            try:
                self._take_in(run, decision, decided, blocks)
            except (LookupError, StopIteration, TypeError, AttributeError, AssertionError) as error:
                raise unsound(ledger, found, decision) from error

    def _take_in(self, run: Run, decision: Recorded, decided: set[int],
                 blocks: Mapping[int, Blocks]) -> None:
        """Fold one decision of the ledger; `decided` has the runs that have had their first."""
        if run.id not in decided:
            if decision.verdict in LATER:
                raise LookupError(f"the first word on {run.label} is gone")
            decided.add(run.id)
            trial = self._trial(run, blocks)
            is_arm = trial.kind == "baseline" and decision.verdict == "recorded"
            self.search.apply(trial, "baseline" if is_arm else decision.verdict)
        elif run.calibration_id == self.study.id:  # else it is what it meant for the other study
            self.search.apply_due(Due(run.id, decision.against_id, Decision(
                decision.verdict, decision.evidence, decision.reason)))

    def _runs(self) -> list[Run]:
        """The study's runs, and baselines of it that another study asked for."""
        baselines = {run.id for run in self.ledger.baselines(self.study)}
        return [run for run in self.ledger.comparable_runs(self.study)
                if run.calibration_id == self.study.id or run.id in baselines]

    def _trial(self, run: Run, blocks: Mapping[int, Blocks]) -> Trial:
        assert run.config_hash is not None  # every measured run has both
        assert run.seed is not None
        cost = 1.0
        if run.duration_s and self.study.run_s:
            cost = run.duration_s / self.study.run_s
        return Trial(run.id, run.config_hash, run.seed, self._kind(run), run.state, run.val_bpb,
                     run.confirm_bpb, run.strategy or "", run.parent_id, cost, _why_short(run),
                     blocks.get(run.id))

    def _pending(self, run: Run) -> Pending:
        assert run.config_hash is not None  # every measured run has both
        assert run.seed is not None
        return Pending(self._kind(run), run.config_hash, run.seed, run.parent_id)

    def _kind(self, run: Run) -> Kind:
        """What another study ran for a reason of its own is here one of the baselines."""
        return ("baseline" if run.calibration_id != self.study.id
                else KINDS.get(run.strategy or "", "search"))

    # --- verdicts ----------------------------------------------------------------------------

    def settle(self, run: Run, now: str, tell: Tell) -> None:
        """Decide on a run that has ended and on all that follows, in one transaction."""
        told: list[tuple[int, int | None, Decision]] = []

        def record(run_id: int, against_id: int | None, found: Decision) -> None:
            evidence = found.evidence
            if isinstance(source_id := evidence.get("with"), int):
                evidence = evidence | {"with": self.ledger.run(source_id).label}
            self.ledger.decide(run_id, against_id, found.verdict, RULE, evidence, found.reason,
                               now)
            told.append((run_id, against_id, found))

        with self.ledger.deciding():
            blocks = self.ledger.blocks_on(self.study.text_sha256, self.study.budget_tokens,
                                           "confirm", run.id)
            self.search.settle(self._trial(run, blocks), record)
        for run_id, against_id, found in told:
            tell(self.ledger.run(run_id), self.ledger.run(against_id) if against_id else None,
                 found)

    def standing(self) -> str:
        """Where the search stands: its head, what is confirmed, and what it tries to find out."""
        search = self.search
        if search.head is None or search.confirmed is None:
            return ""
        head, ground = (self._first(node.key).label for node in (search.head, search.confirmed))
        said = f"head {head}"
        if search.chain:
            steps = "step" if len(search.chain) == 1 else "steps"
            said += f", {len(search.chain)} kept {steps} past {ground}, not confirmed yet"
        elif search.claims:
            said += ", confirmed"
        if gains := search.batch_gains():
            said += (f"; on fresh seeds {sum(gains) / len(gains):+.4f} bits/byte over "
                     f"{len(gains)} of up to {MAX_PAIRS} pairs")
        elif search.batch:
            said += "; fresh seeds are asked whether it is better"
        if search.level:
            said += f"; a plateau: only {CLASS_NAMES[min(search.level, 2)]} is tried"
        return said

    def untested(self, *, is_begun: bool) -> str:
        """What of the head no fresh seed has settled; nothing where there is no such step.

        is_begun  whether a run of its test waits
        """
        search = self.search
        if search.head is None or not search.chain:
            return ""
        if search.batch or is_begun:
            head = self._first((search.batch.head if search.batch else search.head).key)
            return (f"test of {head.label} cut short after {len(search.batch_gains())} of 2 to "
                    f"{MAX_PAIRS} pairs; `agent run` goes on")
        n = len(search.chain) - search.n_tested
        steps = "1 kept step is" if n == 1 else f"{n} kept steps are"
        if not n:
            return ""
        # Tests after the first confirmation keep to their share of the runs.
        lacks = search.least_batch - search.n_affordable(0, ())
        n_runs = math.ceil(lacks / search.other_share) if search.claims and lacks > 0 else 0
        when = (f", and {'is' if n == 1 else 'are'} once some {words.runs(n_runs)} more have tried "
                "ideas") if n_runs else ""
        return f"{steps} not tested on fresh seeds yet{when}; `agent run` goes on"

    # --- the next run ------------------------------------------------------------------------

    def next(self, n_left: float, limits: Limits, seed: int,
             outsiders: Outsiders | None = None, *, is_timed: bool = False,
             in_flight: Collection[int] = ()) -> Wanted | None:
        """What to queue, with so many runs left. Raises NoProposal with the reason to end.

        is_timed   whether it is time that ends the night, and not a number of runs
        in_flight  runs that wait or are computed; n_left is without them. Where the search has
                   to hear of one of them first, there is nothing to queue: None
        """
        found = self.next_some(1, n_left, limits, seed, outsiders, is_timed=is_timed,
                               in_flight=in_flight)
        return found[0] if found else None

    def next_some(self, most: int, n_left: float, limits: Limits, seed: int,
                  outsiders: Outsiders | None = None, *, is_timed: bool = False,
                  in_flight: Collection[int] = ()) -> list[Wanted]:
        """So many runs to queue at most, of one look at the ledger, for as many free workers; of
        several one more, where the last is half of a pair, which are begun together.

        The first is what `next` gives; ideas behind it are of the same model. Empty where the
        search has to hear of a run first.
        """
        has_pairs, most = most > 1, max(1, int(min(most, n_left)))
        runs = self.ledger.comparable_runs(self.study)
        for run in near(self.ledger, self.study, runs):  # another device's stand in no one's way
            may_stand = run.id not in in_flight and run.state not in ("killed", "failed", "lost")
            self.search.avoid(run.seed or 0, run.config_hash if may_stand else None)
        pending = [self._pending(run) for run in runs if run.id in in_flight]
        runs = [_unheard(run) if run.id in in_flight else run for run in runs]
        found: list[Wanted] = []
        while len(found) < most or (has_pairs and len(found) < n_left
                                    and found[-1].origin.strategy == "confirm"):
            action = self.search.next(n_left - len(found), pending)
            if len(found) >= most and not (isinstance(action, Repeat)
                                           and action.seed == found[-1].seed):
                break
            if isinstance(action, Stop) and not found:
                raise NoProposal(action.reason)
            if isinstance(action, Wait | Stop):
                break
            if isinstance(action, Repeat):
                found.append(self._repeat(action))
                pending.append(Pending(action.kind, action.node.key, action.seed))
            elif isinstance(action, Propose):
                outside = outsiders.at(len(runs)) if outsiders else {}
                some = self._propose(action, runs, limits, seed, outside, is_timed,
                                     most - len(found), is_alone=not found)
                if is_timed and n_left < LATE:
                    some = _hopeful(some, action.head.bpb, is_alone=not found)
                return found + some
            elif wanted := self._leave_out(action, runs, limits):
                found.append(wanted)
                pending.append(Pending("ablate", wanted.config.hash, wanted.seed,
                                       wanted.origin.parent_id))
            else:
                self.search.cannot_leave_out(action.step)
        return found

    def _leave_out(self, action: Without, runs: list[Run], limits: Limits) -> Wanted | None:
        """The confirmed configuration without a step; None where that is not to be had."""
        config = self._without(action)
        if (config is None or why_not(config, limits) is not None
                or self._is_known(config, action.seed, near(self.ledger, self.study, runs))):
            return None
        return Wanted(config, action.seed, Origin("ablate", action.why, self.study.id,
                                                  action.step.node.run_id))

    def _repeat(self, action: Repeat) -> Wanted:
        first = self._first(action.node.key)
        return Wanted(Config.from_dict(first.config), action.seed,
                      Origin(action.kind, action.why, self.study.id, first.id))

    def _propose(self, action: Propose, runs: list[Run], limits: Limits, seed: int,
                 outside: Mapping[str, Mutator], is_timed: bool, most: int,
                 is_alone: bool) -> list[Wanted]:
        """Ideas; of those beside a test there may be none, which is not to be lost for that."""
        parent = self._first(action.head.key)
        config = Config.from_dict(parent.config)
        known = proposer.history(self.ledger, runs, self._configs)
        warm = proposer.warm_start(self.ledger, self.study, config, known, limits)
        if warm is None:
            names = self.search.bandit.order(action.names or (*STRATEGIES, *outside),
                                             random.Random(f"{seed} {len(runs)}"))
            about = Known(known, self._elsewhere(), is_timed, outside)
            try:
                some = choose_some(config, about, names, [seed, 3, len(runs)], limits, most)
            except NoProposal:
                if is_alone:
                    raise
                some = []
        else:
            some = [warm]
        return [Wanted(found.config, action.head.seed,
                       Origin(found.strategy, found.reason, self.study.id, parent.id),
                       found.expected and self._prediction(*found.expected)) for found in some]

    def _prediction(self, log_mean: float, sd: float) -> Prediction:
        """What a run of a configuration will score, its seed's luck among it."""
        mean = math.exp(log_mean)
        sigma_bpb = self.ledger.calibration(self.study.id).sigma_bpb or 0.0  # known by now
        reach = Z_95 * math.hypot(sd, sigma_bpb / mean)
        return Prediction(mean, mean * math.exp(-reach), mean * math.exp(reach))

    def _elsewhere(self) -> list[Elsewhere]:
        """What other studies found; read once, since they do not change while this one runs."""
        if self._others is None:
            self._others = (proposer.elsewhere(self.ledger, self.study) if self.with_prior else [])
        return self._others

    def _first(self, key: str) -> Run:
        """The run by which a configuration came into the study."""
        return self.ledger.run(self.search.first_run(key))

    def _without(self, action: Without) -> Config | None:
        """The base with every step made on it but one; None where that is not legal."""
        values = dict(self._first(action.base.key).config)
        try:
            for step in action.steps:
                if step is action.step:
                    continue
                run = self.ledger.run(step.node.run_id)
                before = self.ledger.run(run.parent_id) if run.parent_id else run
                changed = Config.from_dict(before.config).difference(Config.from_dict(run.config))
                values |= {name: value for name, (_, value) in changed.items()}
            return Config.from_dict(values)
        except UserError:
            return None

    @staticmethod
    def _is_known(config: Config, seed: int, runs: list[Run]) -> bool:
        return any(run.config_hash == config.hash and run.seed == seed for run in runs)

    # --- what decides nothing ----------------------------------------------------------------

    def silent(self) -> Silent | None:
        """What the confirmed batches gained on the silent shard; None where none is confirmed."""
        found = silent.batches(self.ledger, self.study, self._runs())
        return silent.summed(self.ledger, self.study, found, sum(self.search.claims),
                             self.search.noise) if found else None
