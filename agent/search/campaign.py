"""What a night does with its study: decides on what has ended, and queues what is next."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.ledger import (
    ENDED,
    Calibration,
    Ledger,
    Measures,
    Run,
    broken_start,
    in_words,
    is_on_text,
    is_pair,
    measures,
    n_timed,
    prediction_of,
)
from agent.machine import Clock, machine
from agent.search import budget, footprint, harvest, study, verdict
from agent.search.outsiders import Outsiders
from agent.search.rungs import Rungs
from agent.search.search import RESERVE
from agent.search.searcher import KINDS, Searcher, Tell, Wanted
from agent.search.silent import Silent
from agent.search.whole import other_gaps
from agent.trial import ShortOfMemory, foreseen_mb
from engine.config import Config
from engine.errors import NoProposal, TokenizerError
from engine.text import TokenSet
from strategies.base import Limits

MAX_PARAMS = 10_000_000
SLOWEST = 2.0  # a proposal may take so many times as long as the baseline
FORESEEN = 0.92  # of that may be foreseen: the model of time errs by some per cent
SAFETY = 0.8  # of the time left may be planned: what feasible.py foresees errs by a quarter
LOOKS, MOST_AT_A_LOOK = 8, 64  # an eighth of what runs is asked for at a look, and never more
OVERRUN_S = 15.0  # past its deadline a night lets a run go on so long, then saves and queues it

RunS = Callable[[Config, int], float]  # seconds of a run of a configuration and budget
Prepare = Callable[[int], TokenSet]  # token files for a vocabulary size


@dataclass(frozen=True, slots=True)
class Plan:
    """What a night was asked for; None is without limit."""

    max_ram_mb: float
    n_replicas: int = 1  # of the runs it proposes
    seed: int = 0
    deadline_s: float | None = None  # on the clock that runs on while the device sleeps
    max_runs: int | None = None
    with_prior: bool = True  # whether ideas begin from what other studies found
    n_trials: int = 1  # runs at once
    is_elsewhere: bool = False  # whether runs share neither this machine's memory nor each other's
    is_portable: bool = False  # whether ideas are only such as `agent export --to gguf` can say

    @property
    def window(self) -> int:
        """So many runs may be asked for and undecided: half as many again as run, so that one that
        takes half as long again as the others keeps no slot empty, and those of a look.
        """
        if self.n_trials == 1:
            return 1
        return self.n_trials + math.ceil(self.n_trials / 2) + self.at_a_look - 1

    @property
    def at_a_look(self) -> int:
        """So many ideas are asked for at one look, once the window has room for all of them: a
        model of all results takes most of a second, and those of one look share it.
        """
        return max(1, min(MOST_AT_A_LOOK, self.n_trials // LOOKS))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the search of a night stands at its end, in words that are empty where there is none.
    """

    search: str = ""  # head, what is confirmed, what it tries to find out
    left: str = ""  # which seeds of the starting point wait
    untested: str = ""  # what is kept, and whose test on fresh seeds was cut short or is to come
    before_bpb: float = 0.0  # what nights before had confirmed


class Campaign:
    """The study of a night, and those whose runs are still to be decided on."""

    def __init__(self, ledger: Ledger, clock: Clock, plan: Plan, prepare: Prepare,
                 room_mb: Callable[[], float | None]) -> None:
        self.ledger, self.clock, self.plan, self.prepare = ledger, clock, plan, prepare
        self.study: Calibration | None = None  # None: nothing is proposed
        self.outsiders: Outsiders | None = None  # None: only the project's strategies are asked
        self._room_mb = room_mb  # what a run could take of this machine's memory now
        self._searchers: dict[int, Searcher] = {}
        self.standing = ""  # where the search stands, in words
        self._before_bpb = 0.0  # what the study had confirmed as the night began
        self._rungs = Rungs(ledger)
        self._texts: dict[int | None, bool] = {}  # whether a corpus is of the night's text
        self._foreseen: dict[tuple[object, ...], RunS | None] = {}  # of the newest speeds
        self._settled: set[int] = set()  # studies whose budget nothing will change any more

    # --- verdicts ----------------------------------------------------------------------------

    def judge(self, run: Run, tell: Tell) -> None:
        """Record the decision on a run that has ended, and those that follow from it."""
        now = self.clock.stamp()
        if run.strategy == harvest.HARVEST:
            found = harvest.judged(run, prediction_of(self.ledger, run.id))
            self.ledger.decide(run.id, None, found.verdict, harvest.RULE, found.evidence,
                               found.reason, now)
            tell(run, None, found)
            return
        if run.calibration_id not in {known.id for known in self.ledger.studies()}:
            # Of no study, or of one that was deleted.
            found = _alone(run, measures(self.ledger, run.id))
            self.ledger.decide(run.id, None, found.verdict, verdict.RULE, found.evidence,
                               found.reason, now)
            tell(run, None, found)
            return
        if run.strategy == "baseline":
            study.note_noise(self.ledger, self.ledger.calibration(run.calibration_id))
        if self.study and self._is_baseline(run):
            self.study = study.note_noise(self.ledger, self.study)
        try:
            self._searcher(run.calibration_id).settle(run, now, tell)
            # Another study may count the run among its baselines; it is folded anew.
            self._searchers = {run.calibration_id: self._searchers[run.calibration_id]}
            if self.plan.n_trials > 1 and run.strategy == "baseline":
                self._searchers.clear()  # with the noise as it is now, whichever seed ended first
        except BaseException:
            self._searchers.clear()  # it may have taken in what the ledger did not
            raise
        if self.study and run.calibration_id == self.study.id:
            self.standing = self._searcher(self.study.id).standing()

    def _searcher(self, calibration_id: int) -> Searcher:
        if calibration_id not in self._searchers:
            self._searchers[calibration_id] = Searcher(
                self.ledger, self.ledger.calibration(calibration_id), self.plan.with_prior,
                self.plan.window - 1)
        return self._searchers[calibration_id]

    def take_up(self) -> str:
        """Fold the night's study now, and say what else was deleted from the ledger.

        LedgerError where what the study builds on is gone.
        """
        if self.study:
            self._before_bpb = sum(self._searcher(self.study.id).search.claims)
        return other_gaps(self.ledger)

    # --- the budget --------------------------------------------------------------------------

    def correction(self) -> budget.Correction | None:
        """What the first baseline says of the study's budget, until it has told."""
        if self.study is None or self.study.id in self._settled:
            return None
        is_settled, found = budget.look(self.ledger, self.study, self.plan.seed)
        if is_settled:
            self._settled.add(self.study.id)
        return found

    def correct(self) -> str | None:
        """Give the study the budget its first baseline asks for; what to say of it, if it did."""
        due = self.correction()
        if due is None or any(run.calibration_id == due.study.id
                              for run in self.ledger.runs("running")):
            return None  # what runs is asked to save first
        now = self.clock.stamp()
        self._searchers.clear()  # it knows runs of the old budget
        self.study = budget.correct(self.ledger, due, now)
        study.queue_baselines(self.ledger, self.study, now, self.plan.n_replicas)
        return due.in_words()

    def silent(self) -> Silent | None:
        """The confirmed chain on the shard that decides nothing."""
        return self._searcher(self.study.id).silent() if self.study else None

    # --- the harvest -------------------------------------------------------------------------

    def is_pending(self) -> bool:
        """Whether what is confirmed may still change by a test that has begun."""
        return self.study is not None and harvest.is_pending(
            self.ledger, self._searcher(self.study.id))

    def to_grow(self) -> Run | None:
        """The run that a harvest grows; None where none has finished."""
        return harvest.to_grow(self.ledger, self._searcher(self.study.id)) if self.study else None

    def left_s(self) -> float | None:
        """Seconds that the search has left; None where nothing ends it."""
        end_s = self.plan.deadline_s
        return None if end_s is None else end_s - self.clock.boot()

    def limits(self) -> Limits:
        """What a run of this study's text may cost in memory, and how its time is foreseen."""
        assert self.study is not None
        plan = self.plan  # by itself it has all processors
        alone = max(plan.n_replicas, min(plan.n_trials * plan.n_replicas, machine.n_cores()))
        found = self._limits(study.foresee(self.ledger, self.study, alone))
        return replace(found, n_replicas=alone)

    # --- the next run ------------------------------------------------------------------------

    def queue_next(self, n_ended: int) -> Run:
        """Queue what the search asks for; n_ended runs of the night are over, and none runs.

        Raises NoProposal with the reason where the night has nothing more to do, CorpusError where
        the text cannot be had now, whatever the idea.
        """
        return self.ask(n_ended)[0]  # nothing else runs that it could wait for

    def ask(self, n_ended: int, in_flight: Sequence[Run] = (), *, is_last: bool = False,
            most: int = 1) -> list[Run]:
        """The same beside runs that are asked for and undecided: so many at most, of one look and
        queued together or not at all, and the other half of a pair with the first. None where it
        has to hear of a run first, or where those are all that the night has room for.

        is_last  whether only a test that has begun is to be finished
        """
        assert self.study is not None
        flying = {run.id for run in in_flight}
        run_s = study.foresee(self.ledger, self.study, self.plan.n_replicas, flying)
        n_open = sum(run.state not in ENDED for run in in_flight)
        n_left = self._n_left(n_ended, run_s) - n_open
        if n_open and n_left <= 0:
            return []
        n_left = min(n_left, RESERVE) if is_last else n_left
        some = self._searcher(self.study.id).next_some(
            most, n_left, self._limits(run_s, in_flight), self.plan.seed, self.outsiders,
            is_timed=self.plan.deadline_s is not None, in_flight=flying)
        now = self.clock.stamp()
        corpora = [self._corpus_of(wanted.config, now) for wanted in some]
        with self.ledger.deciding():  # who is killed in between has asked for none of them
            return [self._queue(wanted, corpus_id, now)
                    for wanted, corpus_id in zip(some, corpora, strict=True)]

    def _corpus_of(self, config: Config, now: str) -> int:
        """The study's text as a configuration cuts it."""
        assert self.study is not None
        try:
            tokens = self.prepare(config.vocab_size)
        except (TokenizerError, ShortOfMemory):
            return self.study.corpus_id  # launching it will fail, and the ledger say why
        if tokens.corpus.sha256 != self.study.text_sha256:
            raise NoProposal(f"the text {tokens.corpus.name} has changed since the night "
                             "began; start again to study the new one")
        return study.register_corpus(self.ledger, tokens, now)

    def _queue(self, wanted: Wanted, corpus_id: int, now: str) -> Run:
        assert self.study is not None
        new = study.new_run(self.ledger, wanted.config, wanted.seed, self.study.budget_tokens,
                            corpus_id, now, wanted.origin, self.plan.n_replicas)
        return self.ledger.queue(replace(new, prediction=wanted.prediction))

    def fits(self, run: Run) -> bool:
        """Whether a run is likely to end before the night does; what is done of it counts."""
        if self.plan.deadline_s is None or self.study is None:
            return True
        if (run_s := self._foresee(run.replicas or 1)) is None:
            return True
        budget = run.budget_tokens or 0
        left_s = run_s(Config.from_dict(run.config), budget) * (1 - (run.tokens or 0) / budget)
        return left_s <= self.plan.deadline_s - self.clock.boot() + OVERRUN_S

    def _foresee(self, n_replicas: int) -> RunS | None:
        """How its time is foreseen; learnt once from the same speeds."""
        assert self.study is not None
        key = (self.study.id, self.study.tok_per_s, n_replicas, n_timed(self.ledger))
        if key not in self._foreseen:
            self._foreseen = {key: study.foresee(self.ledger, self.study, n_replicas)}
        return self._foreseen[key]

    def belongs(self, run: Run) -> bool:
        """Whether a queued run is for this night: of its text, of its study or of none.

        The others keep what they have done and wait for a night of their own.
        """
        if self.study is None:
            return True
        return self._is_on_text(run) and (
            run.calibration_id in (None, self.study.id) or self._is_baseline(run))

    def _is_on_text(self, run: Run) -> bool:
        assert self.study is not None
        if run.grid_id is not None:  # of part of a text, perhaps
            return is_on_text(self.ledger, run, self.study.text_sha256)
        if run.corpus_id not in self._texts:
            self._texts[run.corpus_id] = is_on_text(self.ledger, run, self.study.text_sha256)
        return self._texts[run.corpus_id]

    def at_end(self) -> Standing | None:
        """Where the search stands as a night ends; None where the night was none of a study."""
        if self.study is None:
            return None
        waits = any(run.calibration_id == self.study.id and run.strategy == "confirm"
                    for run in self.ledger.runs("queued"))
        return Standing(self.standing, self._baselines_left(),
                        self._searcher(self.study.id).untested(is_begun=waits), self._before_bpb)

    def _baselines_left(self) -> str:
        """That some seeds of the starting point wait, in words; nothing where none does."""
        assert self.study is not None
        n = sum(run.calibration_id == self.study.id and run.strategy == "baseline"
                for run in self.ledger.runs("queued"))
        return "" if not n or broken_start(self.ledger, self.study) else (
            f"; {n} of {len(self.study.seeds or [])} baseline runs wait before any idea: "
            "`agent run` goes on")

    def counts_in(self, run: Run) -> bool:
        """Whether the night's study decides on a run."""
        return self.study is not None and run.source == "measured" and (
            run.calibration_id == self.study.id or self._is_baseline(run))

    def _is_baseline(self, run: Run) -> bool:
        """Whether a run counts among the baselines of the night's study, whoever queued it."""
        assert self.study is not None
        return (run.strategy in KINDS and run.budget_tokens == self.study.budget_tokens
                and run.seed in (self.study.seeds or [])
                and run.config_hash == Config.from_dict(self.study.config).hash
                and is_pair(run, self.study.kernels))

    def rung_limit(self, run: Run) -> float | None:
        """The loss at a quarter of the budget over which a challenger is given up; None is never.
        """
        if run.calibration_id is None or (run.strategy or "") in KINDS:
            return None
        return self._rungs.limit(run, self.plan.seed, self.plan.window)

    def _n_left(self, n_ended: int, run_s: RunS | None) -> float:
        """How many more runs of the head the night has room for."""
        assert self.study is not None
        n_left = math.inf if self.plan.max_runs is None else self.plan.max_runs - n_ended
        if self.plan.deadline_s is not None and run_s is not None:
            left_s = self.plan.deadline_s - self.clock.boot()
            n_left = min(n_left, self.plan.n_trials * left_s
                         / run_s(self._head(), self.study.budget_tokens))
        return n_left

    def _head(self) -> Config:
        assert self.study is not None
        head = self.ledger.incumbent(self.study.id)
        return Config.from_dict(head.config if head else self.study.config)

    def _max_s(self, run_s: RunS, n_open: int) -> float:
        """How long a proposal may take, with so many runs under way or before it."""
        assert self.study is not None
        budget = self.study.budget_tokens
        max_s = FORESEEN * SLOWEST * run_s(Config.from_dict(self.study.config), budget)
        if self.plan.deadline_s is not None:
            n_at_once = self.plan.n_trials
            left_s = self.plan.deadline_s - self.clock.boot()
            if (n_before := n_open - n_at_once + 1) > 0:  # until it begins
                left_s -= n_before / n_at_once * run_s(self._head(), budget)
            max_s = min(max_s, SAFETY * left_s)
            if (search := self._searcher(self.study.id).search).chain:  # leave time to confirm it
                head_s = run_s(self._head(), budget)
                max_s = min(max_s, max(head_s, left_s - search.least_batch / n_at_once * head_s))
        return max_s

    def _limits(self, run_s: RunS | None,
                in_flight: Sequence[Run] = ()) -> Limits:
        """What a proposal may cost in what is left of the night, beside what will run with it."""
        assert self.study is not None
        max_mb = self.plan.max_ram_mb
        if not self.plan.is_elsewhere:
            beside = sorted(map(foreseen_mb, in_flight), reverse=True)[:self.plan.n_trials - 1]
            room_mb, max_mb = self._room_mb(), max_mb - sum(beside)
            max_mb = max_mb if room_mb is None else min(max_mb, room_mb)
        base = Config.from_dict(self.study.config)
        max_s = run_s and self._max_s(run_s, sum(run.state not in ENDED for run in in_flight))
        corpus = self.ledger.corpus(self.study.corpus_id)
        beside_mb = footprint.beside_mb(self.ledger, corpus, {run.id for run in in_flight})
        return Limits(
            budget_tokens=self.study.budget_tokens, n_replicas=self.plan.n_replicas,
            max_params=MAX_PARAMS, max_mb=max_mb - beside_mb, max_vocab=base.vocab_size,
            min_steps=study.MIN_STEPS, max_s=max_s, run_s=run_s,
            shuffle_mb=footprint.shuffle_mb(corpus.n_stories_train, self.plan.n_replicas),
            is_inside=_is_portable if self.plan.is_portable else None)


def _alone(run: Run, measured: Measures) -> verdict.Decision:
    """The decision on a run that belongs to no study."""
    if run.state == "finished" and measured:
        after = {row["name"]: row["value"] for row in measured}  # of each the last
        return verdict.Decision("recorded", {"bpb": run.val_bpb} | after, in_words(measured))
    if run.state == "finished":
        return verdict.Decision("recorded", {"bpb": run.val_bpb},
                                "a measurement of its own; compared with nothing")
    return verdict.Decision(verdict.of_state(run.state), {"error": run.error},
                            run.error or f"the run is {run.state}")


def _is_portable(config: Config) -> bool:
    from engine.export import is_sayable

    return is_sayable(config.to_dict(), "gguf")
