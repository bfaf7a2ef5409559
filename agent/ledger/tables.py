"""Texts of the tables that later steps add, as a person reads them in the schema.

agent/ledger/migrations.py takes them up; one that was released is never edited.
"""

BLOCKS = """
CREATE TABLE blocks (               -- a run's score on a shard in parts, where claims rest on it
    run_id INTEGER NOT NULL REFERENCES runs (id),
    shard TEXT NOT NULL CHECK (shard IN ('confirm', 'test')),
    bits TEXT NOT NULL,             -- JSON list, of the text of each block, in its order; their
                                    -- sum over all bytes is the run's bits per byte there
    n_bytes TEXT NOT NULL,          -- JSON list, of the text of each block: two runs compare block
                                    -- by block where these are the same
    PRIMARY KEY (run_id, shard)
) STRICT, WITHOUT ROWID"""

PREDICTIONS = """
CREATE TABLE predictions (          -- what a model of earlier results expected of a run's score
    run_id INTEGER PRIMARY KEY REFERENCES runs (id),
    mean_bpb REAL NOT NULL,         -- bits per byte on the search shard
    low_bpb REAL NOT NULL,          -- 95 % of such runs were expected between these
    high_bpb REAL NOT NULL
) STRICT"""

LAYERS = """
CREATE TABLE layers (               -- what each block of the network did at a hundredth of a run
    run_id INTEGER NOT NULL REFERENCES runs (id),
    step INTEGER NOT NULL,          -- as in metrics
    block INTEGER NOT NULL,         -- 0 is the first
    act_rms REAL,                   -- root mean square of the residual stream behind the block, on
                                    -- the first sequence of the batch, as all but grad_rms
    grad_rms REAL,                  -- of the gradient of the block's parameters, before clipping
    max_score REAL,                 -- largest score of attention, without sign, of up to 24
                                    -- queries a head; of RWKV the largest entry of a state
    entropy REAL,                   -- of attention, as a share of what it could be: 1 sees all
                                    -- alike, 0 one token alone; NULL of RWKV
    dead_gates REAL,                -- share of the feed-forward's channels that no token opened
    PRIMARY KEY (run_id, step, block)
) STRICT, WITHOUT ROWID"""

TRACES = """
CREATE TABLE traces (               -- the step that broke a run done again, every tensor watched;
                                    -- of a run that ended well only where something is wrong
    run_id INTEGER PRIMARY KEY REFERENCES runs (id),
    step INTEGER NOT NULL,          -- the update that was under way, 1 for the first
    pass TEXT NOT NULL,             -- forward, backward or update
    block INTEGER,                  -- 0 is the first; NULL: of none, as embedding and head
    tensor TEXT NOT NULL,           -- that left the finite numbers first, or is wrong
    causes TEXT NOT NULL,           -- JSON list, the likeliest first
    told TEXT NOT NULL,             -- all of it in one line
    data TEXT NOT NULL              -- JSON: how the tensor grew before, and the rest
) STRICT"""

REMARKS = """
CREATE TABLE remarks (              -- a person's words on a run, by `agent note` and `agent star`
    run_id INTEGER PRIMARY KEY REFERENCES runs (id),
    note TEXT,                      -- as it was typed, in lines; NULL where there is none
    is_starred INTEGER NOT NULL DEFAULT 0 CHECK (is_starred IN (0, 1)),  -- to be found again
    changed_at TEXT NOT NULL        -- of two ledgers that are merged the later counts
) STRICT"""

MEASURES = """
CREATE TABLE measures (             -- what a run that improves another was measured by
    run_id INTEGER NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,             -- such as accuracy, margin, loss on the text
    step INTEGER NOT NULL,          -- 0 is before, of the model it began from
    value REAL NOT NULL,            -- what it measured
    low REAL,                       -- 95 % interval, where it is a mean over things that vary: from
    high REAL,                      -- to
    n INTEGER,                      -- how many of them: pairs, problems, texts
    PRIMARY KEY (run_id, name, step)
) STRICT, WITHOUT ROWID"""

THIS_HOME = """
CREATE TABLE this_home (            -- the home this file is of: one row, which no merge touches
    uid TEXT PRIMARY KEY            -- of the first run queued in it, mostly
) STRICT"""

GRID_CELLS = """
CREATE TABLE grid_cells (           -- what a grid asked for in one of its runs
    run_id INTEGER PRIMARY KEY REFERENCES runs (id),
    family TEXT NOT NULL,           -- of shapes
    size TEXT NOT NULL,             -- as asked for: 64d/2L, 300k, or the label of a published row
    unique_tokens INTEGER,          -- different training tokens; NULL: all of the text
    unique_asked TEXT,              -- the same as asked for: 5s are 5 stories, 200k tokens
    purpose TEXT,                   -- NULL: a point of the law; rate: another learning rate than
                                    -- the rule's; replicate: the recipe of a published row
    rate REAL                       -- learning rate over that of the rule; NULL: the rule's
) STRICT"""
