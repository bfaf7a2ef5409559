"""Merging is the same in any order and twice as once: 200 cases of made-up homes."""

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from agent.ledger.homes import this_home
from agent.ledger.merge import columns_of_program
from agent.ledger.merge_rows import load
from agent.ledger.merge_union import unite
from agent.ledger.merge_write import Written, carry
from agent.ledger.migrations import migrations
from agent.ledger.queries import Queries
from tests.support.fuzz import cases

columns = cache(columns_of_program)
STATES = ("finished", "queued", "running", "killed", "diverged")


@cache
def template() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrations.apply(Database(db))
    return db


OPEN: list[sqlite3.Connection] = []  # the newest copies: Python 3.13 minds who closes none
MOST_OPEN = 200


def copy(db: sqlite3.Connection) -> sqlite3.Connection:
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    OPEN.append(fresh)
    while len(OPEN) > MOST_OPEN:
        OPEN.pop(0).close()
    db.backup(fresh)
    return fresh


def insert(db: sqlite3.Connection, table: str, **values: Any) -> int:
    marks = ", ".join("?" * len(values))
    return db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})",
                      list(values.values())).lastrowid or 0


def stamp(rng: random.Random) -> str:
    return f"2026-01-01T00:00:{rng.randint(0, 9):02}Z"  # many are the same, and some go back


def a_home(name: str, rng: random.Random, n_runs: int) -> sqlite3.Connection:
    """A ledger as a home might leave it."""
    db = copy(template())
    db.execute("UPDATE this_home SET uid = ?", [name])
    for text in rng.sample(["t1", "t2"], rng.randint(1, 2)):
        insert(db, "corpora", name=f"{text} of {name}", source="file", text_sha256=text,
               vocab_size=300, tokenizer_sha256="k", search_sha256=f"s{text}",
               unigram_nats=rng.choice([None, 5.0]), created_at=stamp(rng))
    n_texts = db.execute("SELECT count(*) FROM corpora").fetchone()[0]
    for _ in range(rng.randint(1, 2)):
        study = insert(db, "calibrations", created_at=stamp(rng), text_sha256="t", config="{}",
                       corpus_id=rng.randint(1, n_texts), budget_tokens=rng.choice([10, 20]))
        insert(db, "events", at=stamp(rng), kind="night", message="on",
               data=f'{{"newest_study": {study}, "study": {study}}}')
    grid = insert(db, "grids", created_at=stamp(rng), sizes="[1]", tokens="[2]", seed=0)
    if rng.random() < 0.3:
        insert(db, "runs", uid="printed", label="B1", created_at="2026-01-01T00:00:00Z",
               state="finished", config="{}", config_text="x", source="published", cells="{}")
    for i in range(n_runs):
        label = f"{rng.choice('BE')}{i + 2}"
        run = insert(
            db, "runs", uid=f"{name}{i}", label=label, created_at=stamp(rng),
            state=rng.choice(STATES), strategy="random", config=f'{{"lr": {rng.randint(1, 3)}}}',
            config_text="x", config_hash=f"c{name}{i}", seed=rng.randint(0, 3), budget_tokens=10,
            corpus_id=rng.randint(1, n_texts), grid_id=rng.choice([None, grid]),
            calibration_id=rng.choice([None, study]), attempts=rng.randint(0, 2),
            parent_id=db.execute("SELECT max(id) FROM runs").fetchone()[0])
        for step in range(rng.randint(0, 2)):
            insert(db, "metrics", run_id=run, step=step, tokens=step)
        for _ in range(rng.randint(0, 2)):
            insert(db, "decisions", decided_at=stamp(rng), run_id=run, verdict="kept", rule="r",
                   against_id=rng.choice([None, 1]), reason="so",
                   evidence=rng.choice(["{}", f'{{"with": "{label}"}}']))
        insert(db, "events", at=stamp(rng), kind="guard", run_id=run, message="hot")
        if rng.random() < 0.5:
            insert(db, "remarks", run_id=run, note=rng.choice("ab"), changed_at=stamp(rng))
    return db


def merge(ours: sqlite3.Connection, theirs: sqlite3.Connection) -> bool:
    """As agent.ledger.merge does it, without files; whether anything was new."""
    ledgers = [Queries(Path("x"), db) for db in (ours, theirs)]
    sides = [load(one, this_home(one) or "", columns()) for one in ledgers]
    found = unite(*sides)
    written = Written(found)
    if not written.is_news:
        return False
    ours.execute("BEGIN")
    written.write(ours)
    carry(sides[1], theirs, written, ours, found.told, columns())
    ours.execute("COMMIT")
    return True


def all_rows(db: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in columns() if table not in ("this_home", "_sqlite_migrations")}


def merged(homes: Sequence[sqlite3.Connection], order: Sequence[int]) -> sqlite3.Connection:
    """The first of an order with the others taken in."""
    found = copy(homes[order[0]])
    for i in order[1:]:
        merge(found, homes[i])
    return found


@cases(200)
@given(st.integers(0, 2**32), st.permutations(range(3)), st.booleans())
def test_in_any_order_the_rows_are_the_same_and_twice_changes_nothing(
        seed: int, order: list[int], is_relayed: bool) -> None:
    rng = random.Random(seed)
    homes = [a_home(name, rng, rng.randint(0, 4)) for name in "abc"]
    if is_relayed:  # the third had taken the first in before, and knows no more of it
        merge(homes[2], homes[0])
    one, other = merged(homes, range(3)), merged(homes, order)
    rows = all_rows(one)
    assert all_rows(other) == rows
    assert [merge(one, home) for home in homes] == [False] * 3
    assert all_rows(one) == rows
    assert one.execute("PRAGMA foreign_key_check").fetchall() == []
    for db in (*homes, one, other):
        db.close()


def test_the_template_is_the_schema_of_a_ledger() -> None:
    with closing(copy(template())) as db:
        assert db.execute("SELECT count(*) FROM this_home").fetchone() == (1,)
