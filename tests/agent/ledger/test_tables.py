"""Tables of later steps, as SQLite takes them and as a person reads them."""

import sqlite3
from contextlib import closing

import pytest

from agent.ledger import tables

TEXTS = {name: text for name, text in vars(tables).items() if name.isupper()}


@pytest.mark.parametrize("name", TEXTS)
def test_a_table_is_strict_and_says_what_it_is(name: str) -> None:
    text = TEXTS[name].strip()
    with closing(sqlite3.connect(":memory:")) as db, db:
        db.execute(text)
        ((table, is_strict),) = db.execute(
            "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE "
            "'sqlite%'").fetchall()
    assert is_strict == 1
    assert table.upper() == name
    assert " -- " in text.splitlines()[0]
