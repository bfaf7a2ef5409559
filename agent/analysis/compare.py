"""Two configurations side by side: what differs, and whether the difference is more than luck.

Every finished run of a configuration on the same text and budget counts, whichever of them was
named. Gains are in bits per byte of the same validation text: losses a token do not compare where
vocabularies differ.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from agent.analysis import unlike
from agent.ledger import (
    Calibration,
    Metric,
    Queries,
    Run,
    corpus_of,
    find_run,
    housemates,
    is_pair,
)
from agent.search import student
from engine.config import Config
from engine.errors import LedgerError, UserError
from strategies.base import describe_changes

CONFIDENCE = 0.95
HASH_DIGITS = 8  # of a configuration's hash that name it

How = Literal["paired", "welch", "pair", "single"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How many bits per byte a second configuration saves against a first."""

    bpb: float  # above zero: the second is better
    how: How  # paired by seed, Welch's for different seeds; one pair, or one run against others
    n_first: int  # finished runs that were used
    n_second: int
    low: float | None = None  # 95 % interval; None where seeds are too few for one
    high: float | None = None
    df: float | None = None
    noise_bpb: float | None = None  # standard deviation of such a difference by seeds alone
    seed: int | None = None  # of one pair

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (
            self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that `agent compare` shows."""

    first: Run
    second: Run
    changes: str  # from the first to the second; empty where they train the same way
    first_bpb: dict[int, float]  # seed → score of each run that counts
    second_bpb: dict[int, float]
    gain: Gain
    sentence: str  # the gain in words
    first_curve: list[Metric]
    second_curve: list[Metric]
    note: str = ""  # which seed stands for the word `baseline`

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_runs(ledger: Queries, first_key: str, second_key: str,
                 study: int | None = None) -> Comparison:
    """Two runs, or configurations by the hash of their settings, held against each other.

    Raises LedgerError where one is unknown, and UserError where they do not compare.
    """
    first, second = unlike.pair(ledger, first_key, second_key,
                                lambda key: find(ledger, key, study))
    unlike.require_one_text(ledger, first, second)
    if (first.config_hash, first.budget_tokens) == (second.config_hash, second.budget_tokens):
        scores = [by_seed([run]) for run in (first, second)]  # two seeds of one configuration
    else:
        scores = [by_seed(run for run in runs_alike(ledger, one)
                          if run.config_hash == one.config_hash) for one in (first, second)]
    is_paired = not unlike.told_devices(ledger, first, second)
    for run, found in zip((first, second), scores, strict=True):
        if not found:
            raise UserError(f"{run.label} ({run.state}) has no score, and no other seed of it has "
                            "finished; compare finished runs"
                            f"{unlike.told_at_quarter(first, second)}")
    sigmas = [noise(ledger, run) for run in (first, second)]
    found_gain = gain(scores[0], scores[1], max(filter(None, sigmas), default=None),
                      is_paired=is_paired)
    return Comparison(
        first=first, second=second, first_bpb=scores[0], second_bpb=scores[1],
        changes=describe_changes(Config.from_dict(first.config), Config.from_dict(second.config)),
        gain=found_gain, sentence=in_words(found_gain, first.label, second.label)
        + unlike.told_budgets(first, second) + unlike.told_devices(ledger, first, second)
        + _as_tested(ledger, first, second),
        first_curve=ledger.metrics(first.id), second_curve=ledger.metrics(second.id),
        note=unlike.why_this(ledger, first_key, second_key, first, second))


def _as_tested(ledger: Queries, first: Run, second: Run) -> str:
    """What the test of the second against the first said, whose interval rests on more than these
    pairs; nothing where there was none.
    """
    said = next((one.evidence for one in ledger.decisions(second.id)
                 if one.against_id == first.id and "low_bpb" in one.evidence), None)
    return "" if said is None else (
        f"; the test on fresh seeds said {said['gain_bpb']:+.4f} ({said['low_bpb']:+.4f} to "
        f"{said['high_bpb']:+.4f}), by the noise of all pairs of the study")


def find(ledger: Queries, key: str, study: int | None = None) -> Run:
    """The run a person means, also by its configuration: the newest run of a config_hash."""
    try:
        return find_run(ledger, key, study)
    except LedgerError:
        wanted = key.lower()
        found = [run for run in ledger.runs(newest_first=True)
                 if len(wanted) >= HASH_DIGITS and (run.config_hash or "").startswith(wanted)]
        if not found:
            raise
        finished = [run for run in found if run.state == "finished"]
        return (finished or found)[0]


def runs_alike(ledger: Queries, run: Run) -> list[Run]:
    """Measured runs of a run's home on its text and budget, itself among them; of a published none.
    """
    corpus = corpus_of(ledger, run)
    if corpus is None or run.budget_tokens is None:
        return []
    mates = housemates(ledger, run.id)
    return [one for one in ledger.runs_on(corpus.text_sha256, run.budget_tokens)
            if one.id in mates and is_pair(one, run.kernels)]


# --- the statistics --------------------------------------------------------------------------


def by_seed(runs: Iterable[Run]) -> dict[int, float]:
    """Bits per byte of finished runs by their seed; the newest run of a seed counts."""
    return {run.seed: run.val_bpb for run in runs if run.state == "finished"
            and run.seed is not None and run.val_bpb is not None}


def noise(ledger: Queries, run: Run) -> float | None:
    """Standard deviation over seeds on a run's text and budget, pooled over the studies of it."""
    corpus = corpus_of(ledger, run)
    studies = [] if corpus is None else ledger.calibrations(corpus.text_sha256)
    return pooled_sigma(one for one in studies if one.budget_tokens == run.budget_tokens)


def pooled_sigma(studies: Iterable[Calibration]) -> float | None:
    """Bits per byte; each study counts by its degrees of freedom, and a baseline only once.

    `studies` come newest first; of two with one baseline the newer has all of its runs.
    """
    known: dict[str, tuple[int, float]] = {}
    for study in studies:
        if study.sigma_bpb is not None and study.n is not None and study.n > 1:
            known.setdefault(Config.from_dict(study.config).hash, (study.n - 1, study.sigma_bpb))
    total = sum(df for df, _ in known.values())
    if not total:
        return None
    return math.sqrt(sum(df * sigma * sigma for df, sigma in known.values()) / total)


def gain(first: Mapping[int, float], second: Mapping[int, float], sigma: float | None, *,
         is_paired: bool = True) -> Gain:
    """What the second saves against the first; scores in bits per byte by seed, neither empty.

    With two or more shared seeds the mean of their differences with its t interval; else Welch's
    interval, where both have two runs; else the difference and no interval. `sigma` is the
    standard deviation of one run over seeds.

    is_paired  whether the same seed is the same luck, as on unlike devices it is not
    """
    shared = sorted(first.keys() & second.keys()) if is_paired else []
    if len(shared) > 1:
        pairs = [first[seed] - second[seed] for seed in shared]
        error = statistics.stdev(pairs) / math.sqrt(len(pairs))
        return _gain(statistics.fmean(pairs), "paired", len(pairs), len(pairs), sigma,
                     error, len(pairs) - 1)
    if min(len(first), len(second)) > 1:
        return _welch(list(first.values()), list(second.values()), sigma)
    if shared:  # one pair, which has the data order in common
        return replace(_gain(first[shared[0]] - second[shared[0]], "pair", 1, 1, sigma),
                       seed=shared[0])
    difference = statistics.fmean(first.values()) - statistics.fmean(second.values())
    return _gain(difference, "single", len(first), len(second), sigma)


def _welch(first: Sequence[float], second: Sequence[float], sigma: float | None) -> Gain:
    """Source: Welch 1947, The generalization of Student's problem, Biometrika 34."""
    parts = [statistics.variance(scores) / len(scores) for scores in (first, second)]
    squares = sum(part * part / (len(scores) - 1)
                  for part, scores in zip(parts, (first, second), strict=True))
    df = sum(parts) ** 2 / squares if squares else len(first) + len(second) - 2
    return _gain(statistics.fmean(first) - statistics.fmean(second), "welch", len(first),
                 len(second), sigma, math.sqrt(sum(parts)), df)


def _gain(bpb: float, how: How, n_first: int, n_second: int, sigma: float | None,
          error: float | None = None, df: float | None = None) -> Gain:
    reach = None if error is None or df is None else (
        error * student.quantile((1 + CONFIDENCE) / 2, df))
    return Gain(
        bpb=bpb, how=how, n_first=n_first, n_second=n_second, df=df,
        low=None if reach is None else bpb - reach, high=None if reach is None else bpb + reach,
        noise_bpb=None if sigma is None else sigma * math.sqrt(1 / n_first + 1 / n_second))


# --- in words --------------------------------------------------------------------------------


def in_words(found: Gain, first: str, second: str) -> str:
    """What the numbers allow to say about two labels, and no more."""
    text = (f"{second} is {abs(found.bpb):.4f} bits/byte "
            f"{'better' if found.bpb > 0 else 'worse'} than {first}")
    if found.how in ("pair", "single"):
        return f"{text}, {_single(found)}"
    runs = (f"over {found.n_first} shared seeds" if found.how == "paired"
            else f"over {found.n_first} seeds of one and {found.n_second} of the other")
    judged = "which is more than the seeds make" if found.is_beyond_noise else (
        "so it may be luck")
    return f"{text} {runs}; the 95 % interval is {interval(found)}, {judged}"


def interval(found: Gain) -> str:
    if found.low is None or found.high is None:
        return "unknown"
    return f"{found.low:+.4f} to {found.high:+.4f}"


def _single(found: Gain) -> str:
    pair = (f"on seed {found.seed}, the one that both have run" if found.how == "pair"
            else "by one seed against one" if found.n_first == found.n_second == 1
            else f"by {found.n_first} seeds against {found.n_second}")
    if not found.noise_bpb:
        return (f"{pair}; that tells nothing here, since the noise between seeds was not measured "
                "on this text and budget")
    noise = f"seeds alone make such differences vary by {found.noise_bpb:.4f} (s_d)"
    if abs(found.bpb) <= found.noise_bpb:
        return f"{pair}; that tells nothing: {noise}"
    return (f"{pair}; {noise}, this one is {abs(found.bpb) / found.noise_bpb:.1f} times that; for "
            "an interval both need two seeds")
