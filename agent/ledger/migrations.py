"""The ledger's schema as numbered steps: append new ones, never edit a released one.

The tables are written as SQL text because SQLite keeps the comments: `.schema runs` in the
`sqlite3` shell explains every column. Times are UTC, "2026-03-24T10:11:12Z"; NULL means unknown.
"""

import re

from sqlite_utils import Database, Migrations

from agent.ledger.experiments import EXPERIMENTS
from agent.ledger.homes import HOME, name_of
from agent.ledger.tables import (
    BLOCKS,
    GRID_CELLS,
    LAYERS,
    MEASURES,
    PREDICTIONS,
    REMARKS,
    THIS_HOME,
    TRACES,
)
from engine.errors import LedgerError

migrations = Migrations("ledger")

CORPORA = """
CREATE TABLE corpora (              -- one text cut by one tokenizer
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,             -- what a person calls it
    source TEXT NOT NULL CHECK (source IN ('builtin', 'tinystories', 'file')),
    text_sha256 TEXT NOT NULL,      -- of the whole text, before it is cut
    vocab_size INTEGER NOT NULL,
    tokenizer_sha256 TEXT NOT NULL,
    n_stories_train INTEGER,        -- stories of the training split
    n_tokens_train INTEGER,
    n_tokens_search INTEGER,        -- shard that keeps or discards
    n_tokens_confirm INTEGER,       -- shard that confirms what was kept
    n_tokens_test INTEGER,          -- shard that decides nothing
    n_bytes_search INTEGER,         -- bytes of the predicted tokens of the search shard
    search_sha256 TEXT NOT NULL,    -- of the shards' tokens
    confirm_sha256 TEXT,
    test_sha256 TEXT,
    uniform_nats REAL,              -- yardsticks on the search shard: nats per token ...
    unigram_nats REAL,
    bigram_nats REAL,
    trigram_nats REAL,
    unigram_bpb REAL,               -- ... and bits per byte
    bigram_bpb REAL,
    trigram_bpb REAL,
    created_at TEXT NOT NULL,
    UNIQUE (text_sha256, vocab_size, tokenizer_sha256)
) STRICT"""

GRIDS = """
CREATE TABLE grids (                -- a plan of sizes times amounts of data
    id INTEGER PRIMARY KEY,
    created_at TEXT NOT NULL,
    sizes TEXT NOT NULL,            -- JSON list, as asked for
    tokens TEXT NOT NULL,           -- JSON list, training tokens of each column
    seed INTEGER NOT NULL,
    note TEXT
) STRICT"""

CALIBRATIONS = """
CREATE TABLE calibrations (         -- a study: runs that may be compared with each other
    id INTEGER PRIMARY KEY,
    created_at TEXT NOT NULL,
    corpus_id INTEGER NOT NULL REFERENCES corpora (id),
    text_sha256 TEXT NOT NULL,      -- of the corpus, the same for every vocabulary
    budget_tokens INTEGER NOT NULL, -- training tokens of every run of the study
    config TEXT NOT NULL,           -- JSON of the baseline
    seeds TEXT,                     -- JSON list of the baseline's seeds
    n INTEGER,                      -- how many of them have finished
    sigma_nats REAL,                -- standard deviation over seeds; NULL until they are in
    sigma_bpb REAL,
    mean_bpb REAL,
    run_s REAL,                     -- seconds of one run, measured
    tok_per_s REAL,
    flops_per_s REAL,
    device TEXT
) STRICT"""

RUNS = """
CREATE TABLE runs (                 -- one attempt at one configuration with one seed
    id INTEGER PRIMARY KEY,         -- grows in the order of queuing
    uid TEXT NOT NULL UNIQUE,       -- unique across devices
    label TEXT NOT NULL UNIQUE,     -- B baseline, E experiment, G grid cell, T by hand
    created_at TEXT NOT NULL,       -- published: the year is assumed
    started_at TEXT,
    ended_at TEXT,
    heartbeat_at TEXT,              -- last sign of life
    state TEXT NOT NULL CHECK (state IN
        ('queued', 'running', 'finished', 'diverged', 'killed', 'failed', 'lost')),
    strategy TEXT,                  -- who proposed it: baseline, grid, hand or a mutator
    parent_id INTEGER REFERENCES runs (id),              -- the run it departs from
    grid_id INTEGER REFERENCES grids (id),
    calibration_id INTEGER REFERENCES calibrations (id), -- the study it belongs to
    reason TEXT,                    -- why it was proposed, in words
    config TEXT NOT NULL,           -- JSON, keys sorted; published: only what the source says
    config_hash TEXT,               -- equal for configurations that train the same way
    config_text TEXT NOT NULL,      -- the table's Config cell
    seed INTEGER,                   -- of the initialisation and of the data order
    n_params INTEGER,
    n_params_embedding INTEGER,     -- of them in embedding and head
    budget_tokens INTEGER,          -- training tokens it may spend
    steps INTEGER,                  -- optimizer steps done
    tokens INTEGER,                 -- training tokens seen
    train_loss REAL,                -- nats per token
    val_loss REAL,                  -- nats per token on the search shard
    val_bpb REAL,                   -- bits per byte on the search shard
    vs_unigram REAL,                -- relative: -0.013 is 1.3 % below the unigram
    predicted_mb REAL,              -- memory foreseen before launch
    peak_mb REAL,                   -- memory measured
    tok_per_s REAL,
    duration_s REAL,
    device TEXT,
    cores TEXT,                     -- affinity mask it ran under
    code_version TEXT,
    corpus_id INTEGER REFERENCES corpora (id),
    source TEXT NOT NULL DEFAULT 'measured' CHECK (source IN ('measured', 'published')),
    pid INTEGER,                    -- of its last worker
    events_offset INTEGER NOT NULL DEFAULT 0,            -- bytes of events.jsonl already read
    attempts INTEGER NOT NULL DEFAULT 0,                 -- how often it was started
    error TEXT,                     -- one line: why it failed, was killed or lost
    cells TEXT,                     -- JSON: the literal cells of a published row
    notes TEXT,
    CHECK (source = 'published' OR (cells IS NULL AND strategy IS NOT NULL AND seed IS NOT NULL
        AND config_hash IS NOT NULL AND budget_tokens IS NOT NULL AND corpus_id IS NOT NULL)),
    CHECK (source = 'measured' OR cells IS NOT NULL)
) STRICT"""

METRICS = """
CREATE TABLE metrics (              -- one row a logged step
    run_id INTEGER NOT NULL REFERENCES runs (id),
    step INTEGER NOT NULL,          -- optimizer steps done
    tokens INTEGER NOT NULL,        -- training tokens seen
    train_loss REAL,                -- nats per token; NULL if it was not finite
    val_loss REAL,                  -- nats per token; NULL where nothing was evaluated
    val_bpb REAL,
    lr REAL,
    grad_norm REAL,                 -- before clipping
    tok_per_s REAL,
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID"""

DECISIONS = """
CREATE TABLE decisions (            -- append-only: a change of mind is a new row
    id INTEGER PRIMARY KEY,
    decided_at TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    against_id INTEGER REFERENCES runs (id),  -- the run it was compared with
    verdict TEXT NOT NULL,          -- baseline, kept, discarded, diverged, killed, failed, lost;
                                    -- recorded: measured by hand or for a grid, compared with none
    rule TEXT NOT NULL,             -- name and version of the rule that decided
    evidence TEXT NOT NULL,         -- JSON: the numbers it decided on
    reason TEXT NOT NULL            -- the same in words
) STRICT"""

EVENTS = """
CREATE TABLE events (               -- what the daemon and the guard did, and why
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    run_id INTEGER REFERENCES runs (id),
    message TEXT NOT NULL,
    data TEXT                       -- JSON
) STRICT"""

# The same attempt is repeated only when the earlier one never came to a result.
RUNS_ONCE = """
CREATE UNIQUE INDEX runs_once ON runs (config_hash, seed, budget_tokens, corpus_id)
WHERE source = 'measured' AND state NOT IN ('killed', 'failed', 'lost')"""

INDEXES_AND_TRIGGERS = (
    "CREATE INDEX runs_by_state ON runs (state)",
    "CREATE INDEX runs_by_calibration ON runs (calibration_id)",
    "CREATE INDEX decisions_by_run ON decisions (run_id)",
    "CREATE INDEX events_by_run ON events (run_id)",
    RUNS_ONCE,
    """
CREATE TRIGGER decisions_never_change BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are append-only; add a new one'); END""",
    """
CREATE TRIGGER decisions_never_go BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are append-only; add a new one'); END""",
)

RUNS_ONCE_15 = """
CREATE UNIQUE INDEX runs_once ON runs (config_hash, seed, budget_tokens, corpus_id,
    COALESCE(kernels, 'numpy')) WHERE
source = 'measured' AND home IS NULL AND state NOT IN ('killed', 'failed', 'lost')"""

CREATE_EXPERIMENTS = """
CREATE VIEW experiments AS          -- the published table: its own rows first, cell by cell
""" + EXPERIMENTS


@migrations()
def m001_tables(db: Database) -> None:
    for table in (CORPORA, GRIDS, CALIBRATIONS, RUNS, METRICS, DECISIONS, EVENTS):
        db.execute(table.strip())


@migrations()
def m002_indexes_and_triggers(db: Database) -> None:
    for statement in INDEXES_AND_TRIGGERS:
        db.execute(statement.strip())


@migrations()
def m003_experiments_view(db: Database) -> None:
    db.execute(CREATE_EXPERIMENTS.strip())


@migrations()
def m004_replicas(db: Database) -> None:
    db.execute("ALTER TABLE runs ADD COLUMN replicas INTEGER "
               "-- processes that share the training; fixed, since the rounding depends on it\n")


# Step 5 writes the texts of two tables anew, since ALTER TABLE neither changes a CHECK nor keeps
# comments where they belong.
STATES_5 = "'finished', 'diverged'", "'finished', 'pruned', 'diverged'"
RUNS_5 = (
    RUNS.replace(*STATES_5)
    .replace("B baseline, E experiment,", "B baseline, C confirm, A ablate, E experiment,")
    .replace("baseline, grid, hand or a", "baseline, confirm, ablate, grid, hand or a")
    .replace("    notes TEXT,\n", """\
    notes TEXT,
    replicas INTEGER,               -- processes that share the training; rounding depends on it
    confirm_bpb REAL,               -- bits per byte on the shard that confirms, where asked for
    test_bpb REAL,                  -- bits per byte on the silent shard; decides nothing
    rung_bpb REAL,                  -- on the search shard at a quarter of the budget; never final
"""))
DECISIONS_5 = DECISIONS.replace("""\
-- baseline, kept, discarded, diverged, killed, failed, lost;
                                    -- recorded: measured by hand or for a grid, compared with none
""", """\
-- baseline, kept, discarded, pruned, diverged, killed, failed,
                                    -- lost; recorded: compared with none by itself;
                                    -- later, of what was kept: confirmed, refuted, undecided,
                                    -- ablated: it does as well without
""")


@migrations()
def m005_shards_and_rung(db: Database) -> None:
    for column in ("confirm_bpb", "test_bpb", "rung_bpb"):
        db.execute(f"ALTER TABLE runs ADD COLUMN {column} REAL")
    _write_anew(db, "runs", RUNS_5)
    _write_anew(db, "decisions", DECISIONS_5)


@migrations()
def m006_blocks(db: Database) -> None:
    db.execute(BLOCKS.strip())


@migrations()
def m007_predictions(db: Database) -> None:
    db.execute(PREDICTIONS.strip())


DECISIONS_8 = DECISIONS_5.replace("""\
-- ablated: it does as well without
""", """\
-- ablated: it does as well without;
                                    -- withdrawn: taken back by a person before it ran
""")


@migrations()
def m008_withdrawn(db: Database) -> None:
    _write_anew(db, "decisions", DECISIONS_8)  # for its comment alone


@migrations()
def m009_layers(db: Database) -> None:
    db.execute(LAYERS.strip())
    db.execute(TRACES.strip())


@migrations()
def m010_grid_cells(db: Database) -> None:
    db.execute(GRID_CELLS.strip())


@migrations()
def m011_remarks(db: Database) -> None:
    db.execute(REMARKS.strip())


@migrations()
def m012_measures(db: Database) -> None:
    db.execute(MEASURES.strip())
    now = db.execute("SELECT sql FROM sqlite_master WHERE name = 'runs'").fetchone()[0]
    _write_anew(db, "runs", now.replace("T by hand", "T by hand, I improve"))


DECISIONS_13 = DECISIONS_8.replace("""\
-- withdrawn: taken back by a person before it ran
""", """\
-- withdrawn: taken back by a person before it ran;
                                    -- of a harvest: as predicted, not as predicted
""")


@migrations()
def m013_harvest(db: Database) -> None:
    now = db.execute("SELECT sql FROM sqlite_master WHERE name = 'runs'").fetchone()[0]
    for before in ("C confirm, A ablate,", "baseline, confirm, ablate,"):
        what = "H harvest" if before[0] == "C" else "harvest"
        now = now.replace(before, f"{before} {what},")
    for table, text in (("runs", now), ("decisions", DECISIONS_13)):
        _write_anew(db, table, text)  # for their comments alone


@migrations()
def m014_kernels(db: Database) -> None:
    for table, what in (("runs", "computed it; rounding depends on them"),
                        ("calibrations", "compute all its runs")):
        db.execute(f"ALTER TABLE {table} ADD COLUMN kernels TEXT")
        now = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()[0]
        # Behind the last column and before its comment; one of a person's own stays as it is.
        _write_anew(db, table, re.sub(
            r"\n?, kernels TEXT(?:(,)( *-- [^\n]*)\n|(\)))",
            rf",\2\n    kernels TEXT\1                   -- that {what}\n\3", now))
    db.execute("DROP INDEX IF EXISTS runs_once")
    db.execute(RUNS_ONCE.replace(
        "corpus_id)", "corpus_id,\n    COALESCE(kernels, 'numpy'))").strip())


@migrations()
def m015_homes(db: Database) -> None:
    for table, comment in HOME.items():
        if "home" in db.table(table).columns_dict:
            raise LedgerError(f"{table} has a column home that is not of this program, which needs "
                              "the name; ALTER TABLE … RENAME COLUMN home TO … gives it another")
        db.execute(f"ALTER TABLE {table} ADD COLUMN home TEXT {comment}\n DEFAULT NULL")
    db.execute(THIS_HOME.strip())
    db.execute("INSERT INTO this_home VALUES (?)", [name_of(db.conn)])
    db.execute("DROP INDEX IF EXISTS runs_once")  # two homes may have run the same
    db.execute(RUNS_ONCE_15.strip())
    db.execute("CREATE INDEX runs_alike ON runs (config_hash, seed, budget_tokens, corpus_id)")


def _write_anew(db: Database, table: str, text: str) -> None:
    """Give a table another text that says the same of how its rows are stored.

    One with columns of a person's own keeps its text, but for the states it allows.

    The documented way to change a CHECK: sqlite.org/lang_altertable.html, section 7. LedgerError,
    which undoes the step, where the columns are not those expected or the file is not sound.
    """
    columns = db.execute(f"PRAGMA table_xinfo({table})").fetchall()
    if {row[1] for row in columns} > _columns_in(text):  # a person's own are among them
        now = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()[0]
        text = now.replace(*STATES_5)
    version = db.execute("PRAGMA schema_version").fetchone()[0]
    db.execute("PRAGMA writable_schema = ON")
    try:
        db.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?",
                   [text.strip(), table])
        db.execute(f"PRAGMA schema_version = {version + 1}")  # other connections read it anew
    finally:
        db.execute("PRAGMA writable_schema = RESET")  # off, and this connection reads it anew
    if db.execute(f"PRAGMA table_xinfo({table})").fetchall() != columns:
        raise LedgerError(f"the columns of {table} are not those this program made, so the ledger "
                          "cannot be brought up to date; use another --home")
    check_sound(db)


def _columns_in(text: str) -> set[str]:
    """The columns of the table that this text creates."""
    with Database(memory=True, execute_plugins=False) as empty:
        empty.execute(text.strip())
        return {name for one in empty.tables for name in one.columns_dict}


def check_sound(db: Database) -> None:
    """LedgerError where the file is damaged, or a row breaks a rule of its table."""
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise LedgerError(f"the ledger is not sound, so it is not brought up to date: {found}; "
                          "`agent doctor` says more")


def known_steps() -> list[str]:
    """Names of all steps this program can take, in order."""
    with Database(memory=True, execute_plugins=False) as empty:
        return [step.name for step in migrations.pending(empty)]


def taken_steps(db: Database) -> list[str]:
    """Names of the steps the file has taken, in order; it changes nothing."""
    return [step.name for step in migrations.applied(db)]
