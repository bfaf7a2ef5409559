"""All that a page about a study shows, as one value: numbers and their intervals, no words on them.

`find_out` gathers it once; the page, its Markdown, `agent report --json` and a live view render the
same value. It is as large as what is drawn, not as the ledger: curves are thinned, and only the
table has a row for each run.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.analysis.cells import Cells, cells_of
from agent.analysis.chain import Chain, chain_of
from agent.analysis.compare import pooled_sigma
from agent.analysis.course import CHECKING, Course, course_of, word_of
from agent.analysis.curves import Curve, curves_of
from agent.analysis.harvest import Harvested, harvests
from agent.analysis.hours import Hours
from agent.analysis.importance import (
    LEAST,
    Importance,
    fitted,
    importances,
    looked_at,
    outcome_of,
)
from agent.analysis.machine_course import MachineCourse, machine_course
from agent.analysis.predictions import Predicted, predicted
from agent.analysis.slices import Slice, slices_of
from agent.analysis.winner import ReadSamples, Winner, winner_of
from agent.ledger import (
    WITHDRAWN,
    Calibration,
    Corpus,
    Earned,
    Event,
    Measures,
    Queries,
    Remark,
    RunRow,
    claims,
    current_study,
    foretold,
    housemates,
    is_pair,
    measures,
    remarks,
    run_rows,
    study_of,
    this_home,
)
from engine.config import Config

NOTHING = Remark()
BROKEN = ("diverged", "killed", "failed", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """An n-gram model of the text."""

    name: str
    bpb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many, and what it took."""

    n_runs: int  # that ended
    n_tried: int  # ideas
    n_kept: int
    n_confirmed: int
    n_refuted: int
    n_pruned: int
    n_broken: int
    n_queued: int
    running: list[str]  # labels
    hours: float  # of training
    tokens: int
    first_at: str | None
    last_at: str | None
    n_nights: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A run in the table."""

    label: str
    word: str  # the newest verdict, or its state
    bpb: float | None
    nats: float | None
    n_params: int | None
    tokens: int | None
    tok_per_s: float | None
    took_s: float | None
    strategy: str | None
    config: str
    why: str  # the reason it was tried, or what broke
    note: str | None  # a person's words on it
    is_starred: bool
    rank: int  # 0 for what a short table shows first


@dataclass(frozen=True, slots=True, kw_only=True)
class Improved:
    """A run that went on from another's model, by what it was measured before and after."""

    label: str
    measures: Measures


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A study, or what there is where no study is."""

    at: str
    study: int | None
    studies: list[int]  # of the ledger
    text: str | None
    budget_tokens: int | None
    baseline_bpb: float | None  # mean over its seeds
    sigma_bpb: float | None  # standard deviation of one run over seeds
    yardsticks: list[Yardstick]  # the easiest first
    tally: Tally
    winner: Winner | None
    lead: str | None  # the head, where it was kept since and no fresh seed has confirmed it
    course: Course
    curves: list[Curve]
    chain: Chain | None
    importance: list[Importance]  # empty where too few configurations ended
    n_judged: int  # configurations behind it
    slices: list[Slice]
    earned: list[Earned]
    rungs: list[tuple[float, float]]  # bits a byte at the quarter and at the end
    predicted: Predicted | None
    cells: Cells | None
    machine: MachineCourse
    table: list[TableRow]
    harvests: list[Harvested] = field(default_factory=list)
    published: list[dict[str, str]] = field(default_factory=list)
    improved: list[Improved] = field(default_factory=list)  # in the order they were made

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _no_samples(_uid: str) -> Sequence[tuple[int, str]]:
    return ()


def find_out(ledger: Queries, number: int | None, at: str,
             read_samples: ReadSamples = _no_samples) -> Findings:
    """The findings of a study, or of the one last worked on; of the ledger where it has none.

    Raises LedgerError where a study of that number is not there.
    """
    study = current_study(ledger) if number is None else study_of(ledger, number)
    every = run_rows(ledger)
    corpora = {corpus.id: corpus for corpus in ledger.corpora()}
    rows = _of_study(every, study, corpora)
    nights = _nights(ledger, study)
    hours = Hours(rows)
    incumbent = ledger.incumbent(study.id) if study else None
    known = {row.id: row for row in every}
    confirmed = claims(ledger, study.id) if study else []
    head = known.get(incumbent.id) if incumbent else None
    winner = _proved(head, known, {one.label for one in confirmed}) if head else None
    alike = _alike(every, study, corpora)
    sigma = pooled_sigma(one for one in ledger.calibrations(study.text_sha256)
                         if one.budget_tokens == study.budget_tokens) if study else None
    chain = chain_of(winner, known, _mates(ledger, winner, alike), confirmed, sigma
                     ) if winner and study else None
    shares, n_judged = _importance(alike, study, sigma)
    corpus = corpora.get(study.corpus_id) if study else None
    noted = remarks(ledger)
    return Findings(
        at=at, study=study.id if study else None,
        studies=sorted(one.id for one in ledger.studies()), text=corpus.name if corpus else None,
        budget_tokens=study.budget_tokens if study else None,
        baseline_bpb=_baseline(rows, study), sigma_bpb=sigma, yardsticks=_yardsticks(corpus),
        tally=_tally(rows, nights, hours),
        winner=winner_of(ledger, study, winner, confirmed, nights, read_samples)
        if winner and study else None,
        lead=head.label if head and head is not winner else None,
        course=course_of(_on_course(rows, study), nights, hours),
        curves=curves_of(ledger, _named(winner, chain, known),
                         [row for row in _on_course(rows, study) if row.state == "finished"
                          and row.strategy not in CHECKING], corpora),
        chain=chain, importance=shares, n_judged=n_judged,
        slices=slices_of([row for row in alike if row.strategy not in CHECKING],
                         winner.fields() if winner else None, [one.name for one in shares]),
        earned=ledger.earned(study.id) if study else [],
        rungs=[(row.rung_bpb, row.val_bpb) for row in rows
               if row.rung_bpb is not None and row.val_bpb is not None],
        predicted=predicted(foretold(ledger, study.id)) if study else None,
        cells=cells_of(_on_text(every, study, corpora)),
        machine=machine_course(rows, _guard(ledger, rows, study), hours),
        table=[_table_row(row, noted.get(row.id, NOTHING)) for row in rows],
        harvests=harvests(ledger, study.id, read_samples) if study else [],
        published=[row.published() for row in every if row.source == "published"],
        improved=[Improved(label=row.label, measures=measures(ledger, row.id)) for row in rows
                  if row.strategy == "improve" and row.state == "finished"])


# --- which runs ------------------------------------------------------------------------------

Corpora = dict[int, Corpus]


def _on_text(every: Sequence[RunRow], study: Calibration | None, corpora: Corpora
             ) -> list[RunRow]:
    """Measured runs on the study's text; without a study all of them."""
    return [row for row in every if row.source == "measured" and (study is None or (
        (corpus := corpora.get(row.corpus_id or 0)) is not None
        and corpus.text_sha256 == study.text_sha256))]


def _of_study(every: Sequence[RunRow], study: Calibration | None, corpora: Corpora
              ) -> list[RunRow]:
    """A study's own runs, those of its start that another asked for, and those of no study."""
    start = Config.from_dict(study.config).hash if study else None
    return [row for row in _on_text(every, study, corpora)
            if study is None or row.calibration_id in (None, study.id)
            or (row.config_hash, row.budget_tokens) == (start, study.budget_tokens)
            and is_pair(row, study.kernels)]


def _on_course(rows: Sequence[RunRow], study: Calibration | None) -> list[RunRow]:
    """Those whose scores compare: of the study's budget."""
    return [row for row in rows if study is None or row.budget_tokens == study.budget_tokens]


def _alike(every: Sequence[RunRow], study: Calibration | None, corpora: Corpora) -> list[RunRow]:
    """Whatever study they are of: measured runs on this text with this budget."""
    return _on_course(_on_text(every, study, corpora), study) if study else []


def _mates(ledger: Queries, winner: RunRow, alike: Sequence[RunRow]) -> list[RunRow]:
    """Finished runs of the winner's home: the same seed on another device is no pair."""
    ids = housemates(ledger, winner.id)
    return [row for row in alike if row.state == "finished" and row.id in ids]


def _proved(head: RunRow, rows: dict[int, RunRow], claimed: set[str]) -> RunRow:
    """The newest confirmed run that the head descends from; the head, where there is none.

    What was kept since is a lead: the study claims nothing of it.
    """
    run = head
    while run.verdict == "kept" and run.label not in claimed:
        parent = rows.get(run.parent_id or 0)
        if parent is None or parent.id >= run.id:
            return head
        run = parent
    return run if run.label in claimed else head


def _named(winner: RunRow | None, chain: Chain | None, known: dict[int, RunRow]) -> list[RunRow]:
    """The baseline, the confirmed steps and the winner."""
    if winner is None or chain is None:
        return []
    confirmed = {link.label for link in chain.links if link.claim}
    wanted = {chain.first, winner.label, *sorted(confirmed)[-3:]}
    return [row for row in known.values() if row.label in wanted]


# --- parts -----------------------------------------------------------------------------------


def _nights(ledger: Queries, study: Calibration | None) -> list[Event]:
    """Nights that worked on a study; those of earlier versions say nothing of theirs."""
    return [event for event in ledger.events_of("night")
            if study is None or (event.data or {}).get("study") in (None, study.id)]


def _guard(ledger: Queries, rows: Sequence[RunRow], study: Calibration | None) -> list[Event]:
    """What the guard of a study's home said while these runs were made."""
    this = this_home(ledger)
    home = (study.home if study else None) or this
    homes = (home, None) if home == this else (home,)
    stamps = [row.created_at for row in rows] + [row.ended_at for row in rows if row.ended_at]
    if not stamps:
        return []
    labels = {row.label for row in rows}
    first, last = min(stamps), max(stamps)
    return [event for event in ledger.events_of("guard") if event.label in labels
            or (event.label is None and first <= event.at <= last and event.home in homes)]


def _baseline(rows: Sequence[RunRow], study: Calibration | None) -> float | None:
    start = Config.from_dict(study.config).hash if study else None
    budget = study.budget_tokens if study else None  # before it was corrected it was another
    found = [row.val_bpb for row in rows if row.strategy == "baseline"
             and row.config_hash == start and row.budget_tokens == budget
             and row.val_bpb is not None]
    return math.fsum(found) / len(found) if found else None


def _yardsticks(corpus: Corpus | None) -> list[Yardstick]:
    if corpus is None:
        return []
    found = {"unigram": corpus.unigram_bpb, "bigram": corpus.bigram_bpb,
             "trigram": corpus.trigram_bpb}
    return [Yardstick(name=name, bpb=bpb) for name, bpb in found.items() if bpb is not None]


def _tally(rows: Sequence[RunRow], nights: Sequence[Event], hours: Hours) -> Tally:
    ended = [row for row in rows if row.state not in ("queued", "running")]
    ideas = [row for row in ended if row.strategy not in (*CHECKING, "baseline", "grid")]
    words = [word_of(row) for row in ideas]

    def n(of: Sequence[RunRow], is_so: Callable[[RunRow], bool]) -> int:
        return sum(map(is_so, of))

    return Tally(
        n_runs=len(ended), n_tried=len(ideas), n_kept=n(ideas, lambda row: bool(row.is_kept)),
        n_confirmed=words.count("confirmed"), n_refuted=words.count("refuted"),
        n_pruned=n(ideas, lambda row: row.state == "pruned"),
        n_broken=n(ended, lambda row: row.state in BROKEN and row.verdict != WITHDRAWN),
        n_queued=n(rows, lambda row: row.state == "queued"),
        running=[row.label for row in rows if row.state == "running"], hours=hours.total,
        tokens=sum(row.tokens or 0 for row in ended),
        first_at=min((row.started_at for row in rows if row.started_at), default=None),
        last_at=max((row.ended_at for row in ended if row.ended_at), default=None),
        n_nights=len(nights))


def _importance(alike: Sequence[RunRow], study: Calibration | None, sigma: float | None
                ) -> tuple[list[Importance], int]:
    """Shares of the variance by field, as `agent importance` has them, and of how many."""
    if study is None:
        return [], 0
    rows = looked_at(alike)
    if len(rows) < LEAST:  # not worth reading their configurations
        return [], 0
    fit = fitted([outcome_of(row, row.fields(), study.budget_tokens) for row in rows],
                 study.budget_tokens, sigma)
    return (importances(fit.found, fit.columns), len(fit.trials)) if fit else ([], 0)


def _table_row(row: RunRow, remark: Remark) -> TableRow:
    word = row.verdict or row.state
    is_first = row.is_kept or row.is_confirmed or row.strategy == "baseline"
    return TableRow(
        label=row.label, word=word, bpb=row.val_bpb, nats=row.val_loss, n_params=row.n_params,
        tokens=row.tokens if row.tokens is not None else row.budget_tokens,
        tok_per_s=row.tok_per_s, took_s=row.duration_s, strategy=row.strategy,
        config=row.config_text, why=row.error or row.notes or row.reason or "",
        note=remark.note, is_starred=remark.is_starred,
        rank=0 if is_first or remark != NOTHING or row.state in ("running", "queued") else 1)
