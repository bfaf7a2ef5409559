"""What the ledger can be asked; `Reader` adds opening, and `Ledger` writing."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from agent.ledger.columns import TABLES, from_rows, present, selected
from agent.ledger.experiments import EXPERIMENTS
from agent.ledger.homes import near, own
from agent.ledger.kernels import is_pair
from agent.ledger.labels import hint
from agent.ledger.questions import EARNED
from agent.ledger.records import (
    Blocks,
    Calibration,
    Corpus,
    Decision,
    Earned,
    Event,
    Grid,
    Metric,
    Row,
    Run,
    State,
    from_columns,
)
from agent.ledger.refusals import in_words
from engine.config import Config
from engine.errors import LedgerBusy, LedgerError, StorageError

Shard = Literal["confirm", "test"]

_CURRENT = (("state = 'running'", "heartbeat_at"),
            ("state = 'queued' AND started_at IS NOT NULL", "id"),
            ("state NOT IN ('queued', 'running')", "ended_at"))

BUSY_S = 10.0  # how long a statement waits for another program's lock
MAX_DIGITS = 19  # of an id: SQLite counts up to 2⁶³
BLOCKED = (LedgerBusy, StorageError)  # what passes by itself: a night waits for it


class Queries:
    """Questions to one connection, which threads may share."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()  # one connection has one transaction at a time
        self._selected: dict[type[Any], str] = {}  # columns of each record, as far as asked for

    def run(self, key: str | int) -> Run:
        """The run with this id, label (B2, b2) or beginning of a uid (4 characters or more)."""
        text = str(key).encode(errors="replace").decode()  # bytes that are no text name no run
        found = [] if isinstance(key, int) else self._runs(
            "WHERE label = ? COLLATE NOCASE", text)
        if not found and text.isdecimal() and len(text) < MAX_DIGITS:
            found = self._runs("WHERE id = ?", int(text))
        if not found and len(text) >= 4 and isinstance(key, str):  # no uid begins with an id
            found = self._runs("WHERE substr(uid, 1, ?) = ?", len(text), text.lower())
        if len(found) > 1:
            raise LedgerError(f"'{text}' begins the uid of {' and '.join(r.label for r in found)}"
                              "; give more of it, or a label")
        if not found:
            labels = [row["label"] for row in self._rows("SELECT label FROM runs ORDER BY id")]
            raise LedgerError(f"there is no run '{text}'; {hint(text, labels)}")
        return found[0]

    def runs(self, state: State | None = None, limit: int | None = None, *,
             newest_first: bool = False) -> list[Run]:
        """All runs, or those in one state, in the order of queuing or from the newest.

        What waits or runs in another home is that home's to do, and not among them.
        """
        where = "" if state is None else "WHERE state = ?"
        if state in ("queued", "running"):
            where += f" AND {self._own('runs')}"
        order = "DESC" if newest_first else "ASC"
        return self._runs(f"{where} ORDER BY id {order} LIMIT ?",
                          *([] if state is None else [state]), _limit(limit))

    def waiting_twin(self, config: Config, seed: int, budget_tokens: int, corpus_id: int,
                     kernels: str | None = None) -> Run | None:
        """The queued run that would compute exactly this, by these kernels or by any."""
        found = self._runs(
            "WHERE state = 'queued' AND config_hash = ? AND seed = ? AND budget_tokens = ? "
            f"AND corpus_id = ? AND {self._own('runs')}",
            config.hash, seed, budget_tokens, corpus_id)
        return next((run for run in found if kernels is None or is_pair(run, kernels)), None)

    def study_runs(self, calibration_id: int) -> list[Run]:
        return self._runs("WHERE calibration_id = ? ORDER BY id", calibration_id)

    def comparable_runs(self, calibration: Calibration) -> list[Run]:
        """Runs on a study's text with its budget, whoever asked for them: none is run again."""
        return [run for run in self.runs_on(calibration.text_sha256, calibration.budget_tokens)
                if is_pair(run, calibration.kernels)]

    def runs_on(self, text_sha256: str, budget_tokens: int,
                config_hash: str | None = None) -> list[Run]:
        """Measured runs whose scores compare: of one text and one budget, oldest first."""
        return self._runs(
            "JOIN corpora c ON c.id = runs.corpus_id WHERE runs.source = 'measured' "
            "AND c.text_sha256 = ? AND runs.budget_tokens = ? "
            "AND runs.config_hash = COALESCE(?, runs.config_hash) ORDER BY runs.id",
            text_sha256, budget_tokens, config_hash)

    def blocks_on(self, text_sha256: str, budget_tokens: int, shard: Shard,
                  run_id: int | None = None) -> dict[int, Blocks]:
        """Scores on a shard in blocks, by run, of all runs on a text and a budget or of one."""
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'blocks'"):
            return {}  # of an earlier version, and opened to look
        rows = self._rows(
            "SELECT b.run_id, b.bits, b.n_bytes FROM blocks b JOIN runs r ON r.id = b.run_id "
            "JOIN corpora c ON c.id = r.corpus_id "
            "WHERE c.text_sha256 = ? AND r.budget_tokens = ? AND b.shard = ? "
            "AND b.run_id = COALESCE(?, b.run_id)", text_sha256, budget_tokens, shard, run_id)
        return {row["run_id"]: Blocks(tuple(json.loads(row["bits"])),
                                      tuple(json.loads(row["n_bytes"]))) for row in rows}

    def has_uid(self, uid: str) -> bool:
        return bool(self._rows("SELECT 1 FROM runs WHERE uid = ?", uid))

    def timed_runs(self, device: str, cores: str, limit: int) -> list[Run]:
        """The newest runs of a device that ended with a speed, the newest last."""
        found = self._runs(
            "WHERE strategy <> 'improve' AND state = 'finished' AND tok_per_s > 0 AND device = ? "
            "AND cores = ? ORDER BY ended_at DESC, id DESC LIMIT ?", device, cores, limit)
        return found[::-1]

    def baselines(self, calibration: Calibration) -> list[Run]:
        """Runs of a study's starting point on its seeds, also those another study asked for.

        Of its own home and kernels: the same seed on another device is another number, and no pair
        with it.
        """
        alike = near(self, calibration, self.runs_on(
            calibration.text_sha256, calibration.budget_tokens,
            Config.from_dict(calibration.config).hash))
        return [run for run in alike if is_pair(run, calibration.kernels)
                and (calibration.seeds is None or run.seed in calibration.seeds)]

    def n_events(self, run_id: int, kind: str) -> int:
        """How often something happened to a run."""
        found = self._rows("SELECT count(*) AS n FROM events WHERE run_id = ? AND kind = ?",
                           run_id, kind)
        return int(found[0]["n"])

    def undecided(self) -> list[Run]:
        """Measured runs that have ended and have no verdict yet.

        Asked at every tick, also of a daemon that waits: two indexes answer, no row is read.
        """
        return self._runs(
            f"WHERE source = 'measured' AND {self._own('runs')} AND id IN (SELECT id FROM runs "
            "WHERE state IN "
            "('finished', 'pruned', 'diverged', 'killed', 'failed', 'lost') AND NOT EXISTS "
            "(SELECT 1 FROM decisions d WHERE d.run_id = runs.id)) ORDER BY id")

    def incumbent(self, calibration_id: int) -> Run | None:
        """The run to beat in a study: the one kept last of those not rolled back since.

        By when it was kept: a later word, as that a step stays, may be on one before the head.
        The first finished baseline where there is none.
        """
        found = self._runs(
            "JOIN decisions d ON d.run_id = runs.id WHERE runs.calibration_id = ? "
            "AND runs.state = 'finished' AND d.verdict IN ('kept', 'confirmed', 'undecided') "
            "AND NOT EXISTS "
            "(SELECT 1 FROM decisions later WHERE later.run_id = runs.id AND later.id > d.id) "
            "ORDER BY (SELECT min(id) FROM decisions first WHERE first.run_id = runs.id) DESC "
            "LIMIT 1", calibration_id)
        if found:
            return found[0]
        finished = (run for run in self.baselines(self.calibration(calibration_id))
                    if run.state == "finished")
        return next(finished, None)

    def best(self, studies: Sequence[Calibration] = (), *, of_all: bool = False) -> Run | None:
        """The finished run with the fewest bits per byte: of studies, or of the whole ledger.

        Studies of one text, start and budget. Theirs are their own runs, those of their start, and
        those of no study on that text with that budget. Without any, runs on the text of the
        newest count. What a verdict discarded or refuted does not count: its lead was no more than
        noise. Nor does the arm of a comparison: it is another's configuration on another seed, nor
        what went on from another model.
        """
        which, values = "", list[Any]()
        if studies:
            marks, one = ", ".join("?" * len(studies)), studies[0]
            which = ("AND c.text_sha256 = ? AND runs.budget_tokens = ? "
                     "AND (runs.calibration_id IS NULL "
                     f"OR runs.calibration_id IN ({marks}) OR runs.config_hash = ?) ")
            values = [one.text_sha256, one.budget_tokens, *(study.id for study in studies),
                      Config.from_dict(one.config).hash]
        elif not of_all:
            which = ("AND c.text_sha256 = ("
                     "  SELECT text_sha256 FROM runs r JOIN corpora ON corpora.id = r.corpus_id "
                     "  WHERE r.state = 'finished' ORDER BY r.id DESC LIMIT 1) ")
        found = self._runs(
            "JOIN corpora c ON c.id = runs.corpus_id WHERE runs.state = 'finished' "
            f"AND runs.source = 'measured' AND runs.val_bpb IS NOT NULL {which}"
            "AND COALESCE((SELECT d.verdict FROM decisions d WHERE d.run_id = runs.id "
            "  ORDER BY d.id DESC LIMIT 1), '') NOT IN ('discarded', 'refuted', 'ablated') "
            "AND NOT (runs.strategy IN ('confirm', 'ablate', 'improve') AND NOT EXISTS (SELECT 1 "
            "  FROM decisions d WHERE d.run_id = runs.id AND d.verdict = 'confirmed')) "
            "ORDER BY runs.val_bpb, runs.id LIMIT 1", *values)
        return found[0] if found else None

    def current(self) -> Run | None:
        """The measured run that runs, else one that was interrupted, else the last that ended."""
        for which, order in _CURRENT:
            # The id alone first: sorting whole rows of ten thousand runs takes three times as long.
            here = "1" if order == "ended_at" else self._own("runs")
            found = self._runs(f"WHERE runs.id = (SELECT id FROM runs WHERE source = 'measured' "
                               f"AND {which} AND {here} ORDER BY {order} DESC, id DESC LIMIT 1)")
            if found:
                return found[0]
        return None

    def n_ended_since(self, stamp: str) -> int:
        """How many measured runs have ended since then."""
        found = self._rows("SELECT count(*) AS n FROM runs WHERE source = 'measured' "
                           "AND ended_at >= ?", stamp)
        return int(found[0]["n"])

    def n_ended(self) -> int:
        """How many measured runs have ended, ever."""
        return sum(n for state, n in self.counts().items() if state not in ("queued", "running"))

    def counts(self) -> dict[State, int]:
        """How many measured runs are in each state."""
        found = self._rows("SELECT state, count(*) AS n FROM runs WHERE source = 'measured' AND ("
                           f"state NOT IN ('queued', 'running') OR {self._own('runs')}) "
                           "GROUP BY state")
        counts: dict[State, int] = dict.fromkeys(get_args(State), 0)
        return counts | {row["state"]: row["n"] for row in found}

    def metrics(self, run_id: int) -> list[Metric]:
        """The logged steps of a run, in order."""
        rows = self._rows(
            f"SELECT {self._columns(Metric, 'm')} FROM metrics m WHERE m.run_id = ? "
            "ORDER BY m.step", run_id)
        return [Metric(**row) for row in rows]

    def decisions(self, run_id: int | None = None, limit: int | None = None, *,
                  with_arms: bool = True, study: int | None = None) -> list[Decision]:
        """Verdicts, newest first; the arms of a comparison are told with its outcome, too.

        study  its runs' and those of no study
        """
        where = "" if run_id is None else "WHERE d.run_id = ?"
        if not with_arms:
            where = "WHERE NOT (d.verdict = 'recorded' AND r.strategy IN ('confirm', 'ablate'))"
        if study is not None:
            where += (f"{' AND' if where else 'WHERE'} (r.calibration_id IS NULL "
                      f"OR r.calibration_id = {int(study)})")
        rows = self._rows(
            f"SELECT {self._columns(Decision, 'd')}, r.label, a.label AS against FROM decisions d "
            "JOIN runs r ON r.id = d.run_id LEFT JOIN runs a ON a.id = d.against_id "
            f"{where} ORDER BY d.id DESC LIMIT ?",
            *([] if run_id is None else [run_id]), _limit(limit))
        return [from_columns(Decision, row) for row in rows]

    def events(self, limit: int | None = None, run_id: int | None = None) -> list[Event]:
        """What happened, newest first."""
        where = "" if run_id is None else "WHERE e.run_id = ?"
        return self._events(f"{where} ORDER BY e.id DESC LIMIT ?",
                            *([] if run_id is None else [run_id]), _limit(limit))

    def events_of_night(self) -> list[Event]:
        """What happened here since the newest night began, newest first; all if none did."""
        return self._events(
            "WHERE e.id >= COALESCE((SELECT max(id) FROM events n WHERE kind = 'night' AND "
            f"{self._own('n')}), 0) AND {self._own('e')} ORDER BY e.id DESC")

    def events_since_night_over(self, kind: str) -> list[Event]:
        """Events of a kind since a night here last came to its end, newest first.

        One that died did not: what happened in it still counts.
        """
        return self._events(
            f"WHERE e.kind = ? AND {self._own('e')} AND e.id > COALESCE((SELECT max(id) FROM "
            f"events n WHERE kind = 'night_over' AND {self._own('n')}), 0) ORDER BY e.id DESC",
            kind)

    def _events(self, clauses: str, *values: Any) -> list[Event]:
        rows = self._rows(f"SELECT {self._columns(Event, 'e')}, r.label FROM events e "
                          f"LEFT JOIN runs r ON r.id = e.run_id {clauses}", *values)
        return [from_columns(Event, row) for row in rows]

    def events_of(self, kind: str) -> list[Event]:
        """Events of a kind, newest first."""
        return self._events("WHERE e.kind = ? ORDER BY e.id DESC", kind)

    def newest_stamp(self) -> str | None:
        """The latest moment at which this program wrote; None where it never has."""
        found = self._rows(f"SELECT max(at) AS at FROM (SELECT max(at) AS at FROM events "
                           f"WHERE {self._own('events')} UNION ALL "
                           f"SELECT max(heartbeat_at) FROM runs WHERE {self._own('runs')})")
        return None if found[0]["at"] is None else str(found[0]["at"])

    def corpora(self) -> list[Corpus]:
        """Every corpus, in the order they came."""
        return self._all(Corpus, "ORDER BY id")

    def corpus(self, corpus_id: int) -> Corpus:
        return self._one(Corpus, corpus_id)

    def calibration(self, calibration_id: int) -> Calibration:
        return self._one(Calibration, calibration_id)

    def studies(self) -> list[Calibration]:
        """Every study, newest first."""
        return self._all(Calibration, "ORDER BY id DESC")

    def calibrations(self, text_sha256: str) -> list[Calibration]:
        """The studies of a text, newest first."""
        return self._all(Calibration, "WHERE text_sha256 = ? ORDER BY id DESC", text_sha256)

    def newest_study(self) -> Calibration:
        """LedgerError where there is none yet."""
        found = self._all(Calibration, "ORDER BY id DESC LIMIT 1")
        if not found:
            raise LedgerError(f"{self.path} has no study yet; `agent run --for 4m` begins one")
        return found[0]

    def earned(self, calibration_id: int) -> list[Earned]:
        """What each strategy's ended runs of a study came to, the largest gain first."""
        return [Earned(**row) for row in self._rows(EARNED, calibration_id)]

    def grid(self, grid_id: int) -> Grid:
        return self._one(Grid, grid_id)

    def waiting_grid(self) -> list[Run]:
        """All runs of the newest grid of which some wait or run, in their order."""
        return self._runs("WHERE grid_id = (SELECT max(grid_id) FROM runs WHERE state IN "
                          f"('queued', 'running') AND {self._own('runs')}) ORDER BY id")

    def labels(self) -> dict[str, str]:
        """Where each run comes from, by its label: measured or published."""
        return {row["label"]: row["source"]
                for row in self._rows("SELECT label, source FROM runs")}

    def experiments(self) -> list[dict[str, str]]:
        """The experiment table: published rows first, each row a dictionary of its cells."""
        # Not by the view, which may be a person's own by now.
        return self._rows(EXPERIMENTS.replace(
            "FROM runs\n", f"FROM (SELECT {self._columns(Run, 'r')} FROM runs r) AS runs\n"))

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """What a question of this wing's own finds, as dictionaries."""
        return self._rows(sql, *values)

    def copy_to(self, target: sqlite3.Connection) -> None:
        """All of it into another database, as it is now."""
        with self._lock, in_words(self.path):
            self._connection.backup(target)

    # --- underneath --------------------------------------------------------------------------

    def _own(self, alias: str) -> str:
        with self._lock, in_words(self.path):
            return own(self._connection, alias)

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with self._lock, in_words(self.path):
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def _runs(self, clauses: str, *values: Any) -> list[Run]:
        return self._all(Run, clauses, *values)

    def _all(self, kind: type[Row], clauses: str, *values: Any) -> list[Row]:
        table = TABLES[kind]
        with self._lock, in_words(self.path):
            return from_rows(kind, self._connection.execute(
                f"SELECT {self._columns(kind, table)} FROM {table} {clauses}", values))

    def _one(self, kind: type[Row], row_id: int) -> Row:
        found = self._all(kind, "WHERE id = ?", row_id)
        if not found:
            raise LedgerError(f"{self.path} has no row {row_id} in its table {TABLES[kind]}")
        return found[0]

    def _columns(self, kind: type[Any], alias: str) -> str:
        """A record's columns for a SELECT: a person may have added others of any name."""
        if kind not in self._selected:
            with self._lock, in_words(self.path):
                known = present(self._connection, TABLES[kind])
            self._selected[kind] = selected(kind, "\0", known)
        return self._selected[kind].replace("\0", alias)


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit  # SQLite reads -1 as no limit
