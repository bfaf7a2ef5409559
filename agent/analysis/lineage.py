"""The chain of runs that led to the best configuration, each step with a gain of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.analysis.compare import Gain, by_seed, gain, noise, runs_alike
from agent.ledger import Queries, Run, broken_start, parent_of, study_of
from engine.config import Config
from engine.errors import LedgerError
from strategies.base import describe_changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One run of the chain and what it changed in the one before it."""

    run: Run
    verdict: str  # the newest, or the state of a run that has none
    changes: str  # empty for the first
    n_seeds: int  # finished runs of this configuration
    gain: Gain | None  # against the step before; None where scores do not compare
    claim: str | None = None  # what fresh seeds said of it and the steps before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Steps from the baseline to the head."""

    steps: list[Step]
    total: Gain | None  # of the last against the first


def lineage_of(ledger: Queries, run: Run) -> Lineage:
    """How a run came about, by the runs it departs from."""
    chain = _chain(ledger, run)
    verdicts = {one.run_id: one.verdict for one in reversed(ledger.decisions())}
    alike = runs_alike(ledger, run)
    sigma = noise(ledger, run)
    scores = [by_seed(other for other in alike if other.config_hash == one.config_hash)
              for one in chain]
    return Lineage(
        steps=[Step(run=one, verdict=verdicts.get(one.id, one.state), n_seeds=len(scores[i]),
                    changes=_changes(chain, i),
                    gain=_gain(scores[i - 1], scores[i], sigma) if i else None,
                    claim=_claim(ledger, one))
               for i, one in enumerate(chain)],
        total=_gain(scores[0], scores[-1], sigma) if len(chain) > 1 else None)


def head(ledger: Queries, number: int | None = None) -> Run:
    """The run to beat in a study, or the one last worked on; LedgerError where there is none."""
    study = study_of(ledger, number)
    found = ledger.incumbent(study.id)
    if found is None and (broken := broken_start(ledger, study)):
        raise LedgerError(broken.in_words)
    if found is None:
        raise LedgerError(f"no baseline of study {study.id} has finished yet, so its chain has not "
                          "begun; `agent run` goes on")
    return found


def _chain(ledger: Queries, run: Run) -> list[Run]:
    """The run and all it descends from, as far as the ledger holds them, the oldest first."""
    chain = [run]
    # A run is queued after its parent; a ledger mended by hand must not send us round in circles.
    while (parent := parent_of(ledger, chain[-1])) is not None and parent.id < chain[-1].id:
        chain.append(parent)
    return chain[::-1]


def _claim(ledger: Queries, run: Run) -> str | None:
    """The newest word of fresh seeds on a head, against what was confirmed before it."""
    for found in ledger.decisions(run.id):
        if "low_bpb" in found.evidence:
            low, high = found.evidence["low_bpb"], found.evidence["high_bpb"]
            return (f"{found.verdict} against {found.against}: "
                    f"{found.evidence['gain_bpb']:+.4f} ({low:+.4f} to {high:+.4f}) over "
                    f"{found.evidence['n']} fresh seeds{_and_texts(found.evidence)}")
    return None


def _and_texts(evidence: Mapping[str, Any]) -> str:
    """What an interval is over beside seeds; those of earlier versions are over them alone."""
    n_blocks = evidence.get("n_blocks")
    return "" if n_blocks is None else f" and {n_blocks} blocks of text"


def _changes(chain: Sequence[Run], i: int) -> str:
    if i == 0 or chain[i - 1].source == "published":
        return ""
    return describe_changes(Config.from_dict(chain[i - 1].config),
                            Config.from_dict(chain[i].config))


def _gain(first: dict[int, float], second: dict[int, float], sigma: float | None) -> Gain | None:
    return gain(first, second, sigma) if first and second else None
