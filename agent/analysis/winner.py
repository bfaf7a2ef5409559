"""The run a study ended with: what it is, what it claims, and what it wrote as it learnt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.analysis.slices import with_sizes
from agent.analysis.studies import confirmed_gains
from agent.ledger import Calibration, Claim, Event, Queries, RunRow
from engine.config import Config

MOST_SAMPLES = 6  # spread over the run, the first and the last among them

Sample = tuple[int, str]  # step and text
ReadSamples = Callable[[str], Sequence[Sample]]  # of a run by its uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One field of the winner beside the baseline's."""

    name: str
    value: Any
    baseline: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The head of a study; it may be its baseline still."""

    label: str
    uid: str
    is_baseline: bool
    verdict: str | None
    config_text: str
    settings: list[Setting]
    n_params: int | None
    tokens: int | None
    val_bpb: float | None
    val_loss: float | None
    claims: list[Claim]  # what fresh seeds confirmed of the study, oldest first
    claimed_bpb: float | None  # all of them, less what ablations cost; None without any
    silent: dict[str, Any] | None  # the chain on the text that decides nothing
    samples: list[Sample]


def winner_of(ledger: Queries, study: Calibration, row: RunRow, claims: list[Claim],
              nights: Sequence[Event], read_samples: ReadSamples) -> Winner:
    """All about the head of a study, whose claims come oldest first and nights in any order."""
    gains = confirmed_gains(one for one in ledger.decisions(study=study.id)
                            if one.verdict in ("confirmed", "ablated"))
    return Winner(
        label=row.label, uid=row.uid, is_baseline=row.strategy == "baseline", verdict=row.verdict,
        config_text=row.config_text, settings=_settings(row.fields(), study.config),
        n_params=row.n_params, tokens=row.tokens, val_bpb=row.val_bpb, val_loss=row.val_loss,
        claims=claims, claimed_bpb=sum(gains) if gains else None,
        silent=_silent(ledger, nights) if gains else None,
        samples=spread(read_samples(row.uid), MOST_SAMPLES))


def _settings(config: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[Setting]:
    """Every field either of them names; one younger than a run had its default there, and a size
    that follows another the value it has."""
    config, baseline, known = with_sizes(config), with_sizes(baseline), Config().to_dict()
    names = [name for name in known if name in config or name in baseline]
    return [Setting(name=name, value=config.get(name, known[name]),
                    baseline=baseline.get(name, known[name])) for name in names]


def _silent(ledger: Queries, nights: Sequence[Event]) -> dict[str, Any] | None:
    """The newest silent test that a night of the study made."""
    begun = sorted(event.id for event in ledger.events_of("night")
                   if event.home in {night.home for night in nights})
    own = {event.id for event in nights}
    for event in ledger.events_of("silent_test"):
        before = [number for number in begun if number < event.id]
        if event.data and before and before[-1] in own:
            return event.data
    return None


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """So many of them at most, evenly, from the first to the last."""
    if len(samples) <= most:
        return list(samples)
    return [samples[round(i * (len(samples) - 1) / (most - 1))] for i in range(most)]
