"""A harvest as it is planned: what is grown of which run, and what it should score."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from agent import words
from agent.analysis import Source, grow, source_of
from agent.analysis.scaling import Grown
from agent.ledger import Calibration, Ledger, Run, kernels_of
from agent.search import harvest, study
from engine.config import Config
from strategies.base import Limits, describe_changes

FINISH = 0.85  # of the time left may be planned: what is foreseen of a larger model errs by so much


@dataclass(frozen=True, slots=True)
class Crop:
    """A harvest before it runs."""

    source: Source
    grown: Grown[Config]
    run_s: float  # foreseen
    seconds: float  # that it has
    n_replicas: int

    @property
    def reason(self) -> str:
        """Why it is what it is, in words."""
        changes = describe_changes(self.source.config, self.grown.config)
        by = ("by the law of size and data" if self.grown.basis == "law" else
              "a guess by the way of its own runs")
        label, tokens = self.source.run.label, f"{self.grown.tokens:,} tokens"
        is_larger = self.grown.config.n_params > self.source.config.n_params
        done = (f"{label} grown to {words.size(self.grown.config.n_params)} parameters on {tokens}"
                if is_larger else
                f"{label} trained for longer, on {tokens} where it had {self.source.ground.d:,.0f}")
        return f"{done}, {by}{f': {changes}' if changes else ''}"

    def __str__(self) -> str:
        its, grown = self.source.prediction(self.grown), self.grown
        told = (f"{self.reason}; {grown.passes:.2g} passes over the text, about "
                f"{words.duration(self.run_s)}; foretold {its.mean_bpb:.3f} bits/byte, 95 % from "
                f"{its.low_bpb:.3f} to {its.high_bpb:.3f}, where {self.source.run.label} has "
                f"{self.source.bits * self.source.ground.loss:.3f}")
        if grown.bound == "text":
            told += "; its text allows no more tokens"
        guess = self.source.guess(grown)
        return f"{told}; {guess}" if guess else told

    def as_dict(self) -> dict[str, Any]:
        """What `agent harvest --json` prints before there is a run."""
        grown = self.grown
        return {
            "of": self.source.run.label, "basis": grown.basis, "why_guess": self.source.why_guess,
            "config": grown.config.to_dict(), "n_params": grown.config.n_params,
            "tokens": grown.tokens, "passes": grown.passes, "bound": grown.bound,
            "run_s": self.run_s, "seconds": self.seconds,
            "now_bpb": self.source.bits * self.source.ground.loss,
            "guess": self.source.guess(grown) or None,
            "foretold": dataclasses.asdict(self.source.prediction(grown))}


def crop_of(ledger: Ledger, run: Run, found: Calibration | None, limits: Limits,
            seconds: float) -> Crop:
    """What is to be grown of a run in so many seconds. UserError where nothing is."""
    source = source_of(ledger, run, found)
    grown = grow(source, limits, FINISH * seconds)
    assert limits.run_s is not None
    return Crop(source, grown, limits.run_s(grown.config, grown.tokens), seconds,
                limits.n_replicas)


def sow(ledger: Ledger, crop: Crop, now: str) -> Run:
    """Queue it, with what is foretold written down before it runs, in one transaction."""
    parent, grown = crop.source.run, crop.grown
    new = study.new_run(ledger, grown.config, parent.seed or 0, grown.tokens,
                        parent.corpus_id or 0, now,
                        study.Origin(harvest.HARVEST, crop.reason, parent_id=parent.id),
                        crop.n_replicas)
    return ledger.queue(dataclasses.replace(
        new, prediction=crop.source.prediction(grown), kernels=kernels_of(parent)))


def waiting(ledger: Ledger, corpus_id: int | None = None) -> Run | None:
    """The oldest harvest that was cut short or has not begun, on a text or on any; one that a dead
    daemon left running among them."""
    return next((run for run in [*ledger.runs("running"), *ledger.runs("queued")]
                 if run.strategy == harvest.HARVEST and corpus_id in (None, run.corpus_id)), None)
