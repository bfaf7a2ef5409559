"""The agent as an arm: the daemon's part of a night, over a ledger of its own."""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.machine.clock import Clock, later
from agent.search import feasible, study
from agent.search.campaign import Campaign, Plan
from agent.search.searcher import KINDS, Searcher
from agent.search.verdict import Decision
from agent.trial import rung
from engine.config import Config
from engine.errors import LedgerError, NoProposal
from strategies.base import Limits, why_not
from tests.bench.arms.course import MAX_RAM_MB, Course, Found, Report

BEGAN = "2026-01-01T00:00:00Z"  # of every night, on its own clock



class Inside(Campaign):
    """A campaign that stays in the space of the others."""

    course: Course

    def _limits(self, run_s: Callable[[Config, int], float] | None,
                in_flight: Sequence[Run] = ()) -> Limits:
        limits = self.course.limits()
        return dataclasses.replace(super()._limits(run_s, in_flight), min_vocab=limits.min_vocab,
                                   is_inside=limits.is_inside)


class Agent:
    """The daemon's part of a night: queue, claim, train, finish, judge."""

    def __init__(self, course: Course, seed: int, ledger: Ledger,
                 with_prior: bool = True) -> None:
        self.course, self.ledger = course, ledger
        self.elapsed_s = 0.0  # on the night's own clock
        self.found = Found(course.start)
        self.found.go_on_with(course.start)
        clock = Clock(stamp=self.now)
        plan = Plan(MAX_RAM_MB, seed=seed, max_runs=course.n_runs, with_prior=with_prior)
        self.campaign = Inside(ledger, clock, plan, lambda _: course.tokens, lambda: None)
        self.campaign.course = course
        self.study = self.campaign.study = study.open_study(
            ledger, clock, course.tokens, course.start, seed, self._speed(course.start),
            course.budget_tokens)
        study.queue_baselines(ledger, self.study, self.now(), 1)

    def now(self) -> str:
        return later(BEGAN, self.elapsed_s)

    @staticmethod
    def _speed(config: Config) -> study.Speed:
        model = feasible.learn([])
        return study.Speed(model.step_s(config), model.eval_token_s(config),
                           config.tokens_per_step)

    def queue(self) -> None:
        """Queue what the search asks for. Raises NoProposal where it ends."""
        n_left = self.course.n_left(self.found.tokens)
        run = self.campaign.queue_next(self.course.n_runs - n_left)
        if why_not(Config.from_dict(run.config), self.course.limits()):
            self.found.wasted["out of bounds"] += 1

    def run(self) -> None:
        """Execute the oldest queued run and decide on it."""
        run = self.ledger.claim(self.now())
        assert run is not None  # queued just before
        config, budget = Config.from_dict(run.config), self.course.budget_tokens
        step, max_bpb = rung.step_of(config, budget), self.campaign.rung_limit(run)
        splits = ("search", "confirm", "test") if run.strategy in KINDS else ("search",)
        ended = self.course.train(config, run.seed or 0, splits, [step] if step else [],
                                  lambda _, bpb: max_bpb is not None and bpb > max_bpb)
        self.found.take(ended, KINDS.get(run.strategy or "", "search"))
        run_s = (self.course.run_s(config, budget) - feasible.SPAWN_S) * ended.tokens / budget
        self.elapsed_s += run_s
        run = self.ledger.finish(
            run.id, ended.state, self.now(), steps=ended.tokens // config.tokens_per_step,
            tokens=ended.tokens, val_loss=ended.nats, val_bpb=ended.bpb.get("search"),
            confirm_bpb=ended.bpb.get("confirm"), test_bpb=ended.bpb.get("test"),
            rung_bpb=ended.rung_bpb, tok_per_s=self._speed(config).tok_per_s, duration_s=run_s,
            error=ended.error)
        self.found.story.append(f"{run.label} {run.strategy} {run.config_text} seed {run.seed}: "
                                f"{run.val_bpb or run.state}; {run.reason}")
        self.campaign.judge(run, self._tell)
        self._note_standing()

    def _tell(self, run: Run, against: Run | None, found: Decision) -> None:
        # A step that turns out to be needed is confirmed by name, yet no confirmation.
        name = "needed" if "cost_bpb" in found.evidence and found.verdict == "confirmed" else (
            found.verdict)
        self.found.verdicts[name] += "with" not in found.evidence
        self.found.story.append(f"    {run.label} against {against.label if against else 'none'}: "
                                f"{found.verdict}: {found.reason}")

    def _note_standing(self) -> None:
        """What a night that ended here would hand over: what was confirmed, or else the head.

        Nothing is claimed of a head.
        """
        search = Searcher(self.ledger, self.study).search  # as the next night would take it up
        node, what = ((search.confirmed, "confirmed") if search.claims else (search.head, "head"))
        if node and search.head:
            self.found.hand_over(self._config(node.run_id), what)
            self.found.go_on_with(self._config(search.head.run_id))
        self.found.claimed_gain = sum(search.claims) if search.claims else None

    def _config(self, run_id: int) -> Config:
        return Config.from_dict(self.ledger.run(run_id).config)


def agent_night(course: Course, seed: int, report: Report, with_prior: bool = True) -> Found:
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as ledger:
        agent = Agent(course, seed, ledger, with_prior)
        while n_left := course.n_left(agent.found.tokens):
            report(1 - n_left / course.n_runs)
            try:
                if not ledger.runs("queued"):
                    agent.queue()
            except LedgerError:  # the same run is there: the search would ask for it for ever
                agent.found.wasted["duplicate"] += 1
                agent.found.end = "the search asked for a run it has had"
                break
            except NoProposal as stop:
                agent.found.end = str(stop)
                break
            agent.run()
        return agent.found
