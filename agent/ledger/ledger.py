"""The ledger, opened for writing: SQLite through sqlite-utils, rows as dataclasses.

One process writes; any number of readers look on, while it writes and after it died. Each state
change is one committed transaction, so a kill at any instant loses at most the one under way.

    queued ──claim──► running ──finish──► finished, pruned, diverged, killed, failed
       ▲                 │  └──mark_lost──► lost
       └─────requeue─────┘
"""

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, Unpack, cast

from sqlite_utils import Database

from agent.ledger import published
from agent.ledger.anchor import Anchor, keep, set_aside_foreign
from agent.ledger.fresh import fresh_id
from agent.ledger.logged import forget, take
from agent.ledger.migrations import check_sound, migrations, taken_steps
from agent.ledger.reader import Reader, check_columns, check_schema, connect, connect_reader
from agent.ledger.records import (
    ENDED,
    LABEL_LETTERS,
    Blocks,
    Ending,
    Layer,
    Measured,
    Metric,
    NewCalibration,
    NewCorpus,
    NewRun,
    Outcome,
    Run,
    State,
    Trace,
    Verdict,
    to_columns,
)
from agent.ledger.refusals import in_words
from engine.errors import LedgerError

HELD_MB = 8  # a ledger of some thousand runs

# Columns of a waiting run that tell of what was done of it.
_OF_AN_ATTEMPT = ("started_at", "heartbeat_at", "steps", "tokens", "pid")


class Ledger(Reader):
    """An open ledger; a context manager that closes it. Threads may share it."""

    def __init__(self, path: Path, db: Database) -> None:
        super().__init__(path, db.conn)
        self._db = db
        self._anchor: Anchor | None = None  # until it is ready to be written
        self.set_aside: Path | None = None  # where the log of another ledger went

    @classmethod
    def open(cls, path: str | Path, *, read_only: bool = False) -> Self:
        """The ledger at path, brought to the newest schema; read_only leaves it as it is.

        LedgerError if it is missing (read_only), locked, damaged, of a newer program, not a
        ledger, or may not be opened.
        """
        path = Path(path)
        with in_words(path):
            aside = None if read_only else set_aside_foreign(path)
            connection = connect_reader(path) if read_only else connect(path, "mode=rwc")
            try:
                if read_only:
                    return cls(path, Database(connection, execute_plugins=False))
                check_schema(path, connection, is_reader=False)
                ledger = cls(path, Database(connection, execute_plugins=False))
                ledger.set_aside = aside
                ledger._prepare_writing()
                ledger._anchor = Anchor(path)  # with the files that SQLite laid beside it
                return ledger
            except BaseException:
                connection.close()
                raise

    def wait_at_most(self, seconds: float) -> None:
        """How long a statement waits from now on for another program's lock: who asks again and
        again waits shortly, to hear signals and watch memory meanwhile.
        """
        self._db.execute(f"PRAGMA busy_timeout = {1000 * seconds:.0f}").fetchone()

    @property
    def anchor(self) -> Anchor:
        """Whether the file that was opened is still the one at the path."""
        return self._anchor or Anchor(self.path)

    def hold_whole(self) -> None:
        """Hold all of a ledger of usual size in memory, so that `keep` still has it where another
        program overwrites the file.
        """
        with self._lock, in_words(self.path):
            if self.path.stat().st_size <= HELD_MB * 1e6:
                self._db.execute(f"PRAGMA cache_size = -{2000 * HELD_MB}").fetchone()  # in kB
                self._db.execute("PRAGMA quick_check(1)").fetchone()  # which reads every page

    def keep(self, path: Path) -> None:
        """All that this ledger holds as a file of its own, which `take_in` of another takes."""
        with self._lock, in_words(path):
            keep(self._connection, path)

    def settle(self) -> bool:
        """Bring all that was written from the write-ahead log into the file; whether all is in."""
        with self._lock, in_words(self.path):
            is_all = not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self.anchor.written()
            return is_all

    @property
    def schema_version(self) -> int:
        return len(taken_steps(self._db))

    # --- writing: corpora, studies, grids, events --------------------------------------------

    def add_corpus(self, corpus: NewCorpus) -> int:
        """Its id, new or known; LedgerError if the known one has another validation slice."""
        with self._writing():
            known = self._rows(
                "SELECT id, search_sha256 FROM corpora "
                "WHERE text_sha256 = ? AND vocab_size = ? AND tokenizer_sha256 = ?",
                corpus.text_sha256, corpus.vocab_size, corpus.tokenizer_sha256)
            if not known:
                return self._insert("corpora", {"id": fresh_id(self, "corpora")} | asdict(corpus))
            if known[0]["search_sha256"] != corpus.search_sha256:
                raise LedgerError(
                    f"{self.path} knows the text of {corpus.name} with another validation slice, "
                    "and losses on two slices do not compare; use another --home")
            return int(known[0]["id"])

    def add_calibration(self, calibration: NewCalibration) -> int:
        with self._writing():
            return self._insert("calibrations",
                                {"id": fresh_id(self, "calibrations")} | asdict(calibration))

    def update_calibration(self, calibration_id: int, **fields: Unpack[Measured]) -> None:
        with self._writing():
            self.calibration(calibration_id)
            self._update("calibrations", calibration_id, fields)

    def replan(self, calibration_id: int, fields: Mapping[str, Any],
               baselines: Mapping[int, str], kind: str, message: str, now: str,
               data: Mapping[str, Any]) -> None:
        """Give a study another budget before it has found anything, all or nothing.

        baselines  reasons by the seeds of its starting point, in their order

        Its waiting baselines begin anew, under uids of their own, since what lies in their folders
        is of the old budget: `left` in the event's data names the old ones. What has ended keeps
        its numbers and leaves the study. LedgerError where one of its runs is under way.
        """
        budget_tokens, seeds = fields["budget_tokens"], list(baselines)
        with self._writing(synchronous="FULL"):
            runs = self.study_runs(calibration_id)
            for run in runs:
                if run.state == "running":
                    raise LedgerError(f"{run.label} is running; its study's budget can change "
                                      "only while nothing is")
            self._update("calibrations", calibration_id, dict(fields) | {
                "seeds": list(baselines), "n": 0, "mean_bpb": None, "sigma_bpb": None,
                "sigma_nats": None})
            left = []
            for run in runs:
                if run.state != "queued":
                    self._update("runs", run.id, {"calibration_id": None})
                    continue
                renewed: dict[str, Any] = {"budget_tokens": budget_tokens}
                if run.strategy == "baseline" or run.attempts:
                    left.append(run.uid)
                    renewed |= dict.fromkeys(_OF_AN_ATTEMPT) | {
                        "uid": uuid.uuid4().hex, "attempts": 0, "events_offset": 0}
                    forget(self._connection, run.id)
                if run.strategy == "baseline" and seeds:
                    renewed |= {"seed": seeds[0], "reason": baselines[seeds.pop(0)]}
                self._update("runs", run.id, renewed)
            self.event(kind, message, now, data=dict(data) | {"left": left})

    def add_grid(self, sizes: Sequence[Any], tokens: Sequence[int], seed: int,
                 note: str | None, now: str) -> int:
        with self._writing():
            return self._insert("grids", {"created_at": now, "sizes": list(sizes),
                                          "tokens": list(tokens), "seed": seed, "note": note})

    def event(self, kind: str, message: str, now: str, run_id: int | None = None,
              data: Mapping[str, Any] | None = None) -> None:
        """Note what the daemon or the guard did and why."""
        with self._writing():
            self._insert("events", {"at": now, "kind": kind, "run_id": run_id,
                                    "message": message, "data": data})

    def import_published(self, csv_text: str, now: str) -> int:
        """Add the published rows that are not there yet; returns how many were added.

        Their dates have no year in the source: `created_at` assumes published.ASSUMED_YEAR.
        """
        with self._writing():
            new = published.new_rows(self.path, csv_text, self.labels())
            for row in new:
                self._insert("runs", {"id": fresh_id(self, "runs")} | row)
            if new:
                self.event("import", f"imported {len(new)} published rows", now)
        return len(new)

    # --- writing: the life of a run ----------------------------------------------------------

    def queue(self, new: NewRun) -> Run:
        """The run, labelled and waiting; LedgerError if the same one is or was under way here."""
        columns = new.columns()
        with self._writing():
            same = self._rows(
                "SELECT label, state FROM runs WHERE source = 'measured' "
                "AND state NOT IN ('killed', 'failed', 'lost') AND config_hash = ? "
                "AND seed = ? AND budget_tokens = ? AND corpus_id = ? "
                f"AND ({self._own('runs')} OR calibration_id = ?) "
                "AND COALESCE(kernels, 'numpy') = COALESCE(?, 'numpy')", columns["config_hash"],
                new.seed, new.budget_tokens, new.corpus_id, new.calibration_id, new.kernels)
            if same:
                raise LedgerError(
                    f"{same[0]['label']} ({same[0]['state']}) has this configuration, seed "
                    f"{new.seed} and budget of {new.budget_tokens} tokens; change one of them")
            letter = LABEL_LETTERS.get(new.strategy, "E")
            last = self._rows("SELECT max(CAST(substr(label, 2) AS INTEGER)) AS number "
                              "FROM runs WHERE label GLOB ?", f"{letter}[0-9]*")[0]["number"]
            label = f"{letter}{(last or 0) + 1}"
            run_id = self._insert("runs", columns | {
                "id": fresh_id(self, "runs"), "label": label, "state": "queued"})
            for table, row in new.beside().items():
                self._insert(table, {"run_id": run_id} | row)
            return self._one(Run, run_id)

    def claim(self, now: str, pid: int | None = None, *, run_id: int | None = None) -> Run | None:
        """The oldest queued run, or the one named, now running; None if it does not wait here.

        Two never get the same.
        """
        with self._writing():
            waiting = self._rows(
                "SELECT id FROM runs WHERE state = 'queued' AND id = COALESCE(?, id) "
                f"AND {self._own('runs')} ORDER BY id LIMIT 1", run_id)
            if not waiting:
                return None
            run_id = waiting[0]["id"]
            self._db.execute(  # queued → running
                "UPDATE runs SET state = 'running', started_at = COALESCE(started_at, ?), "
                "heartbeat_at = ?, pid = ?, attempts = attempts + 1 WHERE id = ?",
                [now, now, pid, run_id])
            return self._one(Run, run_id)

    def start(self, run_id: int, now: str, pid: int) -> None:
        """Note the worker that computes a claimed run."""
        with self._writing():
            self._expect(run_id, "given a worker", "running")
            self._update("runs", run_id, {"pid": pid, "heartbeat_at": now})

    def heartbeat(self, run_id: int, now: str) -> bool:
        """Note that a run is alive; returns whether it is still running."""
        with self._writing():
            beaten = self._db.execute(
                "UPDATE runs SET heartbeat_at = ? WHERE id = ? AND state = 'running'",
                [now, run_id])
            return beaten.rowcount == 1

    def ingest(self, run_id: int, metrics: Sequence[Metric], offset: int, now: str,
               seen: Sequence[Layer | Trace] = ()) -> None:
        """Take in logged steps and how far events.jsonl is read, together or not at all.

        A resumed worker logs the same steps again: a value it lacks does not erase a known one.
        seen  what it saw in the network at some of them
        """
        with self._writing():
            self._expect(run_id, "given metrics", "running")
            take(self._connection, run_id, metrics, seen)
            progress: dict[str, Any] = {"events_offset": offset, "heartbeat_at": now}
            if metrics:
                progress |= {"steps": metrics[-1].step, "tokens": metrics[-1].tokens}
            self._update("runs", run_id, progress)

    def finish(self, run_id: int, state: Ending, now: str,
               blocks: Mapping[str, Blocks] | None = None, **fields: Unpack[Outcome]) -> Run:
        """The run in its final state; LedgerError if it has ended before.

        blocks  of its scores, by shard
        """
        with self._writing():
            self._expect(run_id, "ended", "queued", "running")
            for shard, one in (blocks or {}).items():
                self._insert("blocks", {"run_id": run_id, "shard": shard, "bits": list(one.bits),
                                        "n_bytes": list(one.n_bytes)})
            self._update("runs", run_id, dict(fields) | {"state": state, "ended_at": now})
            return self._one(Run, run_id)

    def requeue(self, run_id: int, now: str, reason: str, kind: str = "requeue") -> Run:
        """The run waiting again, to go on from its last checkpoint; the event is of that kind."""
        with self._writing():
            self._expect(run_id, "queued again", "running")
            self._update("runs", run_id, {"state": "queued", "pid": None})  # running → queued
            self.event(kind, reason, now, run_id)
            return self._one(Run, run_id)

    def stale(self, now: str, older_than_s: float) -> list[Run]:
        """Running runs without a sign of life for longer than that, oldest first."""
        cutoff = dt.datetime.fromisoformat(now) - dt.timedelta(seconds=older_than_s)
        return self._runs(f"WHERE state = 'running' AND heartbeat_at < ? AND {self._own('runs')} "
                          "ORDER BY id",
                          cutoff.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def mark_lost(self, run_id: int, now: str) -> Run:
        with self._writing():
            run = self._expect(run_id, "marked lost", "running")
            error = f"no sign of life since {run.heartbeat_at}"
            self._update("runs", run_id, {  # running → lost
                "state": "lost", "ended_at": now, "error": error})
            self.event("lost", error, now, run_id)
            return self._one(Run, run_id)

    def decide(self, run_id: int, against_id: int | None, verdict: Verdict, rule: str,
               evidence: Mapping[str, Any], reason: str, now: str) -> None:
        """Append a verdict on a run that has ended; it is on the disk when this returns."""
        with self._writing(synchronous="FULL"):
            self._expect(run_id, "decided", *ENDED)
            self._insert("decisions", {
                "decided_at": now, "run_id": run_id, "against_id": against_id,
                "verdict": verdict, "rule": rule, "evidence": evidence, "reason": reason})

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """All decisions inside are on the disk at its end, or none of them."""
        with self._writing(synchronous="FULL"):
            yield

    @contextmanager
    def together(self) -> Iterator[None]:
        """One commit for all that is written inside, or nothing of it: of many runs at once."""
        with self._writing():
            yield

    # --- underneath --------------------------------------------------------------------------

    @contextmanager
    def _writing(self, synchronous: str = "NORMAL") -> Iterator[None]:
        """One transaction: all of the block is committed, or nothing of it."""
        with self._lock, in_words(self.path):
            if self._connection.in_transaction:  # part of a larger one
                yield
                return
            if self._anchor:
                self._anchor.require()
            self._db.execute(f"PRAGMA synchronous = {synchronous}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.commit()
                if self._anchor:
                    self._anchor.written()
            except BaseException:
                self._db.rollback()
                raise

    def _insert(self, table: str, values: Mapping[str, Any]) -> int:
        return cast(int, self._db.table(table).insert(to_columns(values)).last_pk)

    def _update(self, table: str, row_id: int, values: Mapping[str, Any]) -> None:
        # Not by sqlite-utils, which asks for the table's columns and the row before and after.
        columns = to_columns(values)
        self._db.execute(f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} "
                         "WHERE id = ?", [*columns.values(), row_id])

    def _expect(self, run_id: int, done: str, *states: State) -> Run:
        """The run, if it is in one of these states; LedgerError otherwise."""
        run = self._one(Run, run_id)
        if run.state not in states:
            raise LedgerError(f"{run.label} is {run.state}, so it cannot be {done}; "
                              f"only a run that is {' or '.join(states)} can")
        return run

    def _prepare_writing(self) -> None:
        # Write-ahead log: readers never wait for the writer, nor the writer for them.
        self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        self._db.execute("PRAGMA foreign_keys = ON")
        if migrations.pending(self._db):
            with self._writing():  # two programs starting at once take the steps only once
                check_sound(self._db)  # before ALTER TABLE, which newer SQLite refuses in its words
                migrations.apply(self._db)
        check_columns(self.path, self._connection, to_write=True)
