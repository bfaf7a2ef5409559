"""The search of one study: what is known, what follows from it, and what to run next.

Everything is folded from ended runs and their decisions, in the order of the ledger, so a daemon
that died knows the same as one that did not, and `agent simulate` runs this very code.

    propose ──kept──► chain grows ──4 steps, a plateau, the night's end──► batch on fresh seeds
       ▲                                                                        │
       └── head = confirmed ◄──refuted──┬──confirmed──► chain starts anew ──────┤
                                        └──undecided──► the chain goes on ──────┘
"""

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from agent.search import batches, verdict
from agent.search.actions import (
    Action,
    Batch,
    Due,
    Node,
    Pending,
    Propose,
    Step,
    Stop,
    Trial,
    Wait,
    Without,
    made,
)
from agent.search.bandit import CLASSES, Bandit
from agent.search.scores import Scores
from agent.search.verdict import N_ABLATION_SEEDS, N_BATCH, Decision, Noise

RESERVE = 6  # runs left when the night's last batch begins: three pairs
LEAST_BASELINES = 2  # of which a spread can be told
PATIENCE = (25, 15, 15)  # runs without a kept one before the next class of strategies is asked
OTHER_SHARE = 0.25  # of a night's runs may calibrate, confirm and try without


def reserve_for(n_at_once: int) -> int:
    """Runs left when the night's last batch begins: what runs then has to be heard of first."""
    return max(RESERVE, n_at_once)


# Told of a decision: on which run, against which, and the decision.
Record = Callable[[int, int | None, Decision], None]


class Search:
    """What a study knows; `apply` takes in one decided run, `next` says what to do."""

    def __init__(self, reserve: int = RESERVE, patience: tuple[int, ...] = PATIENCE,
                 other_share: float = OTHER_SHARE) -> None:
        self.reserve, self.patience, self.other_share = reserve, patience, other_share
        self.head: Node | None = None
        self.confirmed: Node | None = None
        self.chain: list[Step] = []  # kept since the last confirmation
        self.batch: Batch | None = None
        self.bandit = Bandit()
        self.level = 0  # index of CLASSES
        self.n_misses = 0
        self.claims: list[float] = []  # gain of every confirmed batch, as claimed
        self.n_vain = 0  # batches since the last confirmed one
        self.n_tested = 0  # steps of the chain that a batch has left undecided
        self._base: Node | None = None  # under the newest confirmed batch
        self._steps: list[Step] = []  # of it, to be tried without, smallest first
        self._settled: list[Step] = []  # of it, tried and kept
        self._variants: dict[int, str] = {}  # configuration without a step, by the step's run
        self._scores = Scores()
        self._nodes: dict[tuple[str, int], Node] = {}
        self._keys: dict[int, str] = {}  # configurations by run
        self._taken: set[tuple[str, int]] = set()  # configurations and seeds that have a run
        self._last_seed = self._n_baselines = 0
        self._n_runs = self._n_other = 0  # ended; of them those that try no idea
        self._spent: set[int] = set()  # seeds on which anything was selected or put to the test

    # --- what is known -----------------------------------------------------------------------

    @property
    def noise(self) -> Noise | None:
        """Of a paired difference."""
        return self._scores.noise

    @property
    def least_batch(self) -> int:
        """Runs without which there is no word on the chain."""
        return batches.least(self._new_batch())

    @property
    def is_exhausted(self) -> bool:
        """Whether every class of strategies has been tried in vain."""
        return self.level >= len(self.patience)

    # --- verdicts ----------------------------------------------------------------------------

    def judge(self, trial: Trial) -> Decision:
        """The decision on a run that has just ended."""
        if trial.state != "finished" or trial.bpb is None:
            return Decision(verdict.of_state(trial.state), {"error": trial.error or None},
                            trial.error or f"the run is {trial.state}")
        if trial.kind == "baseline":
            return Decision("baseline", {"bpb": trial.bpb, "seed": trial.seed},
                            "the study's starting point; its spread over seeds is the noise")
        if trial.kind != "search":
            what = ("one arm of a comparison on fresh seeds" if trial.kind == "confirm"
                    else "the confirmed configuration without one of its steps")
            return Decision("recorded", {"bpb": trial.bpb, "confirm_bpb": trial.confirm_bpb,
                                         "seed": trial.seed}, what)
        against = self.rival(trial)
        if against is None:
            return Decision("recorded", {"bpb": trial.bpb, "seed": trial.seed},
                            "no baseline had finished that it could be compared with")
        noise = self.noise if against.seed == trial.seed else verdict.unpaired(
            self.noise, self._scores.sigma)
        near = self._scores.near(noise, against.key, self.confirmed.key) if self.confirmed else None
        return verdict.search_step(trial.bpb, against.bpb, near, trial.seed, against.seed)

    def rival(self, trial: Trial) -> Node | None:
        """The head's run on the seed of a challenger; on its own where a person chose another."""
        return self.head and self._nodes.get((self.head.key, trial.seed), self.head)

    def due(self) -> Due | None:
        """The decision on a batch or on a step that the runs so far allow, if there is one."""
        if self.confirmed is None or not (self.batch or self._steps):
            return None
        noise, sigma = self._scores.noise, self._scores.sigma
        if noise is None or sigma is None:
            return None
        if self.batch:
            return batches.due(self.batch, self._scores, noise, self.n_vain, self.chain)
        # Not of the first step alone: whether that can be left out is asked again after a restart.
        return next(filter(None, (self._step_due(step, self.confirmed, noise, sigma)
                                  for step in self._steps)), None)

    def _step_due(self, step: Step, confirmed: Node, noise: Noise, sigma: float) -> Due | None:
        having = self._scores.by_seed(confirmed.key)
        lacking = self._scores.by_seed(self._variants.get(step.node.run_id, ""))
        shared = sorted(having.keys() & lacking.keys())
        if len(shared) < N_ABLATION_SEEDS:
            return None
        found = verdict.ablation([lacking[seed] - having[seed] for seed in shared], noise,
                                 sigma)
        variant = self._newest_node(self._variants[step.node.run_id])
        if found.verdict != "ablated" or variant is None:
            return Due(step.node.run_id, confirmed.run_id, found)
        echo = Decision("confirmed", {"with": step.node.run_id},
                        "the confirmed configuration, simpler by that step")
        return Due(step.node.run_id, confirmed.run_id, found, ((variant.run_id, echo),))

    def batch_gains(self) -> list[float]:
        """Gains of the batch under way; empty where there is none."""
        return list(batches.gains(self.batch, self._scores).values()) if self.batch else []

    # --- the fold ----------------------------------------------------------------------------

    def settle(self, trial: Trial, record: Record) -> Decision:
        """Judge a run that has ended, and whatever that settles; `record` is told each decision.

        A decision is recorded before it is taken in, so that a crash between the two forgets
        nothing: the next fold takes it in from the record.
        """
        found = self.judge(trial)
        against = self.rival(trial) if trial.kind == "search" else None
        record(trial.run_id, against.run_id if against else None, found)
        self.apply(trial, found.verdict)
        self.settle_due(record)
        return found

    def settle_due(self, record: Record) -> None:
        """Record and take in the decisions on earlier runs that are due."""
        while due := self.due():
            for run_id, echo in due.echoes:  # first: they are found again if this is cut short
                record(run_id, due.run_id, echo)
            record(due.run_id, due.against_id, due.decision)
            self.apply_due(due)

    def apply(self, trial: Trial, found: str) -> None:
        """Take in a run with the verdict on it."""
        self._last_seed = max(self._last_seed, trial.seed)
        self._n_runs, self._n_other = self._n_runs + 1, self._n_other + (trial.kind != "search")
        self._keys[trial.run_id] = trial.key
        self._remember(trial)
        if found == "baseline":
            node = self._nodes[trial.key, trial.seed]
            self._n_baselines += 1
            self.head, self.confirmed = self.head or node, self.confirmed or node
        elif trial.kind == "search":
            self._take_challenger(trial, found)
        elif trial.kind == "confirm":
            self._take_arm(trial)
        elif trial.kind == "ablate" and trial.parent_id is not None:
            self._take_variant(trial, trial.parent_id)
        if trial.kind != "baseline":
            self._spent.add(trial.seed)

    def _remember(self, trial: Trial) -> None:
        self._scores.add(trial)
        if trial.state == "finished" and trial.bpb is not None:
            self._nodes[trial.key, trial.seed] = Node(trial.key, trial.run_id, trial.seed,
                                                      trial.bpb)

    def _take_challenger(self, trial: Trial, found: str) -> None:
        if found not in ("kept", "discarded", "pruned", "diverged"):
            return  # the machine's doing
        against = self.rival(trial)
        gain = None if trial.bpb is None or against is None else against.bpb - trial.bpb
        noise = self.noise
        self.bandit.reward(trial.strategy, gain, noise.s_d if noise else None, trial.cost)
        if found == "kept":
            on = self.head.key if self.head else None
            if trial.parent_id is not None:
                on = self._keys.get(trial.parent_id)
            self.head = self._nodes[trial.key, trial.seed]
            self.chain.append(Step(self.head, gain or 0.0, on))
            self.level = self.n_misses = 0
            return
        self.n_misses += 1
        if not self.is_exhausted and self.n_misses >= self.patience[self.level]:
            self.level, self.n_misses = self.level + 1, 0

    def _take_arm(self, trial: Trial) -> None:
        if self.batch is None:
            self.batch = self._new_batch({trial.key})
        if self.batch:
            if trial.seed not in self.batch.seeds:
                self.batch.seeds.append(trial.seed)
            # The head's divergence refutes it; the other's would make its lead too large.
            if trial.state in ("killed", "failed", "lost", "diverged"):
                self.batch.skipped.add(trial.seed)

    def _new_batch(self, arms: AbstractSet[str] = frozenset()) -> Batch | None:
        """The chain's batch, first on seeds that the base has run on and nobody looked at.

        Those are the baseline's: nothing was selected on them, so half of each pair is free.

        arms  configurations that run for it; a step kept since the first of them is not in it
        """
        base, chain = self.confirmed, self.chain
        if base is None or not chain:
            return None
        end = max((i for i, step in enumerate(chain, 1) if step.node.key in arms),
                  default=len(chain))
        head = chain[end - 1].node
        free = self._scores.by_seed(base.key).keys() - self._spent - {head.seed}
        return Batch(head, base, chain[:end], sorted(free)[:verdict.MAX_PAIRS])

    def _take_variant(self, trial: Trial, step_run_id: int) -> None:
        self._variants[step_run_id] = trial.key
        if trial.state != "finished":  # it cannot be told what it costs
            self._settle(lambda step: step.node.run_id == step_run_id)

    def _settle(self, is_it: Callable[[Step], bool]) -> None:
        self._settled += [step for step in self._steps if is_it(step)]
        self._steps = [step for step in self._steps if not is_it(step)]

    def apply_due(self, due: Due) -> None:
        """Take in a decision on an earlier run: of a batch, or of a step tried without."""
        batch, word = self.batch, due.decision
        if batch is None:
            self._drop_or_settle(due)
            return
        self.batch = None
        self.n_vain = 0 if word.verdict == "confirmed" else self.n_vain + 1
        later = self.chain[len(batch.steps):]  # a person's ideas, kept while the batch ran
        if word.verdict == "undecided":
            self.n_tested = len(batch.steps)
            if not later:
                self.head = self._on_fresh_seed(batch.head, batch)
            return
        if word.verdict == "confirmed":
            self.claims.append(word.evidence["gain_bpb"])
            self._base, self._settled = batch.base, []
            steps = made(batch.steps)
            self._steps = sorted(steps, key=lambda step: step.gain)
            # Without its only step it is what it was tested against, or what a person began with.
            if len(steps) < 2 or steps[0].on != batch.base.key:
                self._steps = []
        if word.verdict == "refuted":
            self._scores.refute(batch.head.key)
            self.level = self.n_misses = 0  # they were counted against a head that was only lucky
        winner = batch.head if word.verdict == "confirmed" else batch.base
        self.confirmed = self._on_fresh_seed(winner, batch)
        standing = word.evidence.get("standing", ())  # made on none of what was refuted
        self.chain = later if word.verdict == "confirmed" else [
            step for step in self.chain if step.node.run_id in standing]
        self.n_tested = 0
        if not self.chain:
            self.head = self.confirmed
        elif word.verdict == "refuted":
            self.head = self.chain[-1].node

    def _drop_or_settle(self, due: Due) -> None:
        step = next(step for step in self._steps if step.node.run_id == due.run_id)
        if due.decision.verdict != "ablated":
            self._settle(lambda known: known is step)
            return
        self._steps.remove(step)
        # What seems gained by leaving it out was selected, and fresh seeds have not confirmed it.
        self.claims[-1] -= max(0.0, due.decision.evidence["cost_bpb"])
        self.confirmed = self._newest_node(self._variants[due.run_id])
        if not self.chain:  # else what was kept meanwhile stays the head
            self.head = self.confirmed

    def first_run(self, key: str) -> int:
        """The run by which a configuration came in."""
        return min(run_id for run_id, known in self._keys.items() if known == key)

    def _newest_node(self, key: str) -> Node | None:
        """A configuration by its newest run: of one that was a step once, not the lucky one."""
        nodes = [node for (known, _), node in self._nodes.items() if known == key]
        return max(nodes, key=lambda node: node.run_id, default=None)

    def _on_fresh_seed(self, node: Node, batch: Batch) -> Node:
        """The node by a run that no step was selected on, so that its lead holds no luck."""
        return next((self._nodes[node.key, seed] for seed in batch.seeds
                     if (node.key, seed) in self._nodes), node)

    # --- what to run next --------------------------------------------------------------------

    def next(self, n_left: float, pending: Sequence[Pending] = ()) -> Action:
        """What to run, with so many runs left in the night.

        pending  what this search asked for and has not heard of; n_left is without them
        """
        if self.head is None or self.confirmed is None:
            return Wait("the baseline runs") if pending else Stop(
                "no baseline run has finished, so there is nothing to improve on; "
                "`agent show` says what happened to each")
        if self._n_baselines < LEAST_BASELINES and not pending:
            return Stop("only one of the baseline's runs finished, and one score tells no noise; a "
                        "start that diverges on some seeds wants a lower rate (--set lr=…)")
        # Where nothing is confirmed yet, the last batch may cost what it likes.
        most = min(self.reserve, self.n_affordable(n_left, pending) if self.claims else n_left)
        is_ending = self.least_batch <= n_left <= most
        batch = self.batch or self._due_batch(n_left, is_ending, pending)
        if batch and (arm := batches.next_arm(batch, self._scores, self._taken, self._last_seed,
                                              pending)):
            return arm
        if not batch and (less := self._due_without(n_left, pending)):
            return less
        is_awaited = len(self.chain) > self.n_tested or n_left <= RESERVE
        if pending and (batch or is_ending and is_awaited) and n_left <= self.reserve:
            return Wait("the night's last batch tests what all its ideas have led to")
        if self.is_exhausted:
            return Wait("the last ideas run") if pending else Stop(
                f"a plateau: {sum(self.patience)} runs in a row, of any kind, of other "
                "shapes and of other sizes, kept nothing; go on with an idea of your own "
                "(`agent enqueue`), more --run-tokens, or another --seed")
        return Propose(self.head, CLASSES[self.level])

    def _due_batch(self, n_left: float, is_ending: bool,
                   pending: Sequence[Pending]) -> Batch | None:
        """The batch that runs, before any of it has ended, or one that is to begin."""
        arms = {one.key for one in pending if one.kind == "confirm"}
        n_new = len(self.chain) - self.n_tested
        is_due = (n_new >= N_BATCH or self.level) and self.least_batch <= self.n_affordable(
            n_left, pending)
        is_ending &= all(one.kind != "search" for one in pending)  # which may yet be kept
        begins = n_new and self.noise and (is_due or is_ending)
        return self._new_batch(arms) if arms or begins else None

    def n_affordable(self, n_left: float, pending: Sequence[Pending]) -> float:
        """For how many more runs that try no idea a night can pay."""
        n_other = self._n_other + sum(one.kind != "search" for one in pending)
        return self.other_share * (self._n_runs + len(pending) + n_left) - n_other

    def _due_without(self, n_left: float, pending: Sequence[Pending]) -> Without | None:
        """The confirmed configuration without a step, where there is time to try."""
        if not self._steps or self.chain or self.confirmed is None:
            return None
        step = self._steps[0]
        tried = {one.seed for one in pending if one.kind == "ablate"
                 and one.parent_id == step.node.run_id}
        # A night without an end has a plateau instead.
        is_time = self.n_affordable(n_left, pending) >= N_ABLATION_SEEDS and (
            N_ABLATION_SEEDS <= n_left <= self.reserve or self.is_exhausted
            or (self.level > 0 and math.isinf(n_left)))
        is_trying = bool(tried) or step.node.run_id in self._variants
        tried |= self._scores.by_seed(self._variants.get(step.node.run_id, "")).keys()
        having = sorted(self._scores.by_seed(self.confirmed.key))
        if not (is_time or is_trying) or len(tried.intersection(having)) >= N_ABLATION_SEEDS:
            return None
        seed = next(seed for seed in having if seed not in tried)
        steps = sorted([*self._steps, *self._settled], key=lambda known: known.node.run_id)
        assert self._base is not None  # set with the steps
        return Without(self._base, tuple(steps), step, seed, "does it need this step?")

    def avoid(self, seed: int, key: str | None = None) -> None:
        """Never take this seed, which another run has, for a fresh one.

        key  of the run, where it stands in the way of another: it is not run twice
        """
        self._last_seed = max(self._last_seed, seed)
        if key is not None:
            self._taken.add((key, seed))

    def cannot_leave_out(self, step: Step) -> None:
        """Take note that a configuration without this step is not to be had."""
        self._settle(lambda known: known is step)
