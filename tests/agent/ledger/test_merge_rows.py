"""Every table has a rule, and what points to a row points to what it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.homes import this_home
from agent.ledger.ledger import Ledger
from agent.ledger.merge import columns_of_program
from agent.ledger.merge_rows import (
    NUMBERED,
    OF_RUN,
    POINTERS,
    RULES,
    STAMPS,
    load,
    parsed,
    progress,
)
from agent.ledger.merge_write import pointing_to
from tests.support.parts import NOW, a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_every_table_of_the_schema_has_a_rule(ledger: Ledger) -> None:
    """A table that is added needs a line in RULES, and what that says."""
    assert set(ledger._db.table_names()) == set(RULES)
    assert {*NUMBERED, *OF_RUN, "remarks", "this_home", "_sqlite_migrations"} == set(RULES)
    assert set(STAMPS) == set(NUMBERED)
    for table in OF_RUN:
        assert "run_id" in columns_of_program()[table]


def test_every_pointer_of_the_schema_is_known(ledger: Ledger) -> None:
    said = {(table, name, other) for table, names in POINTERS.items()
            for name, other in names.items()}
    said |= {(table, "run_id", "runs") for table in (*OF_RUN, "remarks")}
    assert {(table, name, other) for other in NUMBERED
            for table, name in pointing_to(ledger._connection, other)} == said


def test_an_event_names_studies_by_what_they_are(ledger: Ledger) -> None:
    number = a_study(ledger)
    ledger.event("night", "on", NOW, data={"study": number, "newest_study": number, "n": number})
    ledger.event("odd", "no", NOW, data=None)
    run = a_run(ledger)
    ledger.event("grid", "planned", NOW, data={"grid_id": 9, "run_s": {run.label: 1.5, "?": 2}})
    side = load(ledger, this_home(ledger) or "", columns_of_program())
    (key,) = side["calibrations"]
    told = [row["data"] for row in side["events"].values()]
    assert told == [{"study": key, "newest_study": key, "n": number}, None,
                    {"grid_id": 9, "run_s": {f"label of {run.uid}": 1.5, "?": 2}}]


def test_what_is_said_twice_is_two_rows(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.event("guard", "hot", NOW)
    side = load(ledger, "h", columns_of_program())
    assert len(side["events"]) == 3


def test_rows_of_no_name_are_of_this_home(ledger: Ledger) -> None:
    run = a_run(ledger)
    side = load(ledger, "h", columns_of_program())
    assert side["runs"][run.uid]["home"] == "h"
    assert side.ids["runs"][run.uid] == run.id


def test_a_result_is_further_than_an_end_and_that_than_waiting(ledger: Ledger) -> None:
    a_run(ledger)
    (row,) = load(ledger, "h", columns_of_program())["runs"].values()
    ways = [row | {"state": state} for state in ("queued", "lost", "finished")]
    ways.insert(1, row | {"attempts": 1})
    assert sorted(ways, key=progress) == ways


def test_what_is_no_json_stays_as_it_is() -> None:
    assert [parsed(text) for text in ('{"a": 1}', "{", None)] == [{"a": 1}, "{", None]
