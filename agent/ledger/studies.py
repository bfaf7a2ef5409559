"""Which study a person means: that of a number, the one last worked on, or each by its last use.

A night notes its study, so that the last one is what was worked on last, not what began last.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.ledger.cells import grid_cells, is_part_or_whole
from agent.ledger.homes import is_of_home
from agent.ledger.queries import Queries
from agent.ledger.records import Calibration, Event, Run
from engine.errors import LedgerError

WITHDRAWN = "withdrawn"  # kind of the event that a run, or a study, was taken back


@dataclass(frozen=True, slots=True)
class NightOf:
    """What a night noted of its study as it began; earlier versions noted nothing of it."""

    at: str
    study: int | None = None
    newest_study: int = 0  # of the ledger, then
    source: dict[str, Any] = field(default_factory=dict)  # where the text lay; see launch


def current_study(ledger: Queries) -> Calibration | None:
    """The study last worked on: the newest night's, or one that was opened since; None of none.

    One that was withdrawn since is passed over, and those of other homes where this has its own.
    """
    gone = withdrawn_studies(ledger)
    studies = [one for one in ledger.studies() if one.id not in gone]
    here = [one for one in studies if is_of_home(ledger, one)]
    studies = here or studies
    nights = iter(_nights(ledger, -1 if gone else 1, of_home=bool(here)))
    newest = next(nights, None)
    if newest is None or not studies or studies[0].id > newest.newest_study:
        return studies[0] if studies else None
    worked_on = [newest.study, *(night.study for night in nights)]
    last = next((number for number in worked_on if number not in gone), None)
    return next((one for one in studies if one.id == last), studies[0])


def withdrawn_studies(ledger: Queries) -> set[int]:
    """The studies that a person took back, and no night has named since."""
    found = {}
    for row in ledger._rows("SELECT id, data FROM events WHERE kind = ? AND run_id IS NULL",
                            WITHDRAWN):
        found[_data(row).get("study")] = row["id"]
    if not found:
        return set()
    for row in ledger._rows("SELECT id, data FROM events WHERE kind = 'night' AND id > ?",
                            min(found.values())):
        if row["id"] > found.get(number := _data(row).get("study"), row["id"]):
            del found[number]
    return {number for number in found if isinstance(number, int)}


def require_current(ledger: Queries) -> Calibration:
    """The study last worked on; LedgerError where there is none yet."""
    found = current_study(ledger)
    if found is None:
        raise LedgerError(f"{ledger.path} has no study yet; `agent run --for 4m` begins one")
    return found


def study_of(ledger: Queries, number: int | None) -> Calibration:
    """The study of a number, or the one last worked on; LedgerError says what there is."""
    if number is None:
        return require_current(ledger)
    studies = ledger.studies()
    found = next((one for one in studies if one.id == number), None)
    if found is None:
        raise LedgerError(f"there is no study {number}; {_what_there_is(studies)}")
    return found


def _what_there_is(studies: list[Calibration]) -> str:
    numbers = sorted(one.id for one in studies)
    if not numbers:
        return "this ledger has none yet, and `agent run --for 4m` begins one"
    if len(numbers) == 1:
        return f"this ledger has study {numbers[0]}, which `agent studies` shows"
    told = ", ".join(map(str, numbers)) if len(numbers) <= 9 else f"{numbers[0]} to {numbers[-1]}"
    return f"this ledger has studies {told}, which `agent studies` lists"


def by_use(ledger: Queries) -> list[Calibration]:
    """Every study that was not withdrawn, the one last worked on first."""
    current, used, gone = current_study(ledger), last_used(ledger), withdrawn_studies(ledger)
    return sorted((one for one in ledger.studies() if one.id not in gone), reverse=True,
                  key=lambda one: (one == current, used[one.id], one.id))


def alike(ledger: Queries, study: Calibration) -> list[Calibration]:
    """The studies of one text, start and budget: they differ in the seeds they began with."""
    return [one for one in ledger.calibrations(study.text_sha256)
            if (one.budget_tokens, one.config) == (study.budget_tokens, study.config)]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Queued runs that a night with a study leaves alone, and what they wait for."""

    labels: tuple[str, ...]
    study: int | None  # None: of no study, but on another text
    text: str
    budget_tokens: int
    on_text: int | None = None  # a study of that text, by which a night would come to them

    def __str__(self) -> str:
        some = ", ".join(self.labels[:4]) + (" and more" if len(self.labels) > 4 else "")
        wait = "waits" if len(self.labels) == 1 else "wait"
        if self.study is None:
            how = f"--study {self.on_text}" if self.on_text else "--corpus FILE"
            return f"{some} {wait} for the text {self.text}: `agent run {how}`"
        return (f"{some} {wait} for study {self.study} ({self.text}, {self.budget_tokens:,} "
                f"tokens a run): `agent run --study {self.study}`")


def waiting_elsewhere(ledger: Queries, study: Calibration) -> list[Waiting]:
    """What is queued for other studies and other texts, in the order of queuing."""
    own = {run.id for run in ledger.baselines(study)}
    groups: dict[tuple[int | None, str], list[Run]] = {}
    names: dict[str, str] = {}
    corpora = {corpus.id: corpus for corpus in ledger.corpora()}
    cells = grid_cells(ledger)
    for run in ledger.runs("queued"):
        corpus = corpora.get(run.corpus_id or 0)
        if corpus is None:
            continue  # deleted by hand; `agent run` and the doctor say so
        is_alike = is_part_or_whole(corpus, study.text_sha256, cells.get(run.id))
        if is_alike and (run.calibration_id in (None, study.id) or run.id in own):
            continue
        names.setdefault(corpus.text_sha256, corpus.name)
        groups.setdefault((run.calibration_id, corpus.text_sha256), []).append(run)
    studies = by_use(ledger) if any(number is None for number, _ in groups) else []

    def on_text(run: Run) -> int | None:
        return next((one.id for one in studies if is_part_or_whole(
            corpora[run.corpus_id or 0], one.text_sha256, cells.get(run.id))), None)

    return [Waiting(tuple(run.label for run in runs), number, names[text],
                    runs[0].budget_tokens or 0, on_text(runs[0]))
            for (number, text), runs in groups.items()]


def last_used(ledger: Queries) -> dict[int, str]:
    """When each study was last worked on: its newest night or run, or else its beginning."""
    used = {one.id: max(one.created_at, _newest_run_at(ledger, one.id))
            for one in ledger.studies()}
    for night in _nights(ledger):
        if night.study in used:
            used[night.study] = max(used[night.study], night.at)
    return used


def night_of(ledger: Queries, study: Calibration) -> NightOf | None:
    """The newest night of a study that noted where its text lies; None where none did."""
    return next((night for night in _nights(ledger)
                 if night.study == study.id and night.source), None)


def events_of_its_night(ledger: Queries, study: Calibration) -> list[Event]:
    """What happened here from the newest night with a study to the next, newest first; empty where
    no night named it.
    """
    own = f"kind = 'night' AND {ledger._own('n')}"
    first = (f"(SELECT max(id) FROM events n WHERE {own} AND json_valid(data) "
             "AND json_extract(data, '$.study') = ?)")
    return ledger._events(
        f"WHERE e.id >= {first} AND e.id < COALESCE((SELECT min(id) FROM events n WHERE {own} "
        f"AND id > {first}), e.id + 1) AND {ledger._own('e')} ORDER BY e.id DESC",
        study.id, study.id)


def _nights(ledger: Queries, limit: int = -1, *, of_home: bool = False) -> Iterator[NightOf]:
    """What nights noted of their studies, the newest first; SQLite reads -1 as no limit.

    of_home  whether nights of other homes are passed over
    """
    own = ledger._own("events") if of_home else "1"
    for row in ledger._rows(f"SELECT at, data FROM events WHERE kind = 'night' AND {own} "
                            "ORDER BY id DESC LIMIT ?", limit):
        data = json.loads(row["data"] or "{}")
        if not isinstance(data, dict):
            continue  # changed by hand
        source = data.get("source")
        yield NightOf(row["at"], data.get("study"), data.get("newest_study") or 0,
                      source if isinstance(source, dict) else {})


def _data(row: dict[str, Any]) -> dict[str, Any]:
    """What an event holds; nothing where that was changed by hand."""
    data = json.loads(row["data"] or "{}")
    return data if isinstance(data, dict) else {}


def _newest_run_at(ledger: Queries, calibration_id: int) -> str:
    found = ledger._rows("SELECT max(max(created_at, COALESCE(started_at, ''), "
                         "COALESCE(ended_at, ''))) AS at FROM runs WHERE calibration_id = ?",
                         calibration_id)
    return str(found[0]["at"] or "")
