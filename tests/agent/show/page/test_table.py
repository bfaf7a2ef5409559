"""The table and the winner."""

from agent.analysis.findings import Findings
from agent.show.page import table
from agent.show.page.blocks import Finding, Items, Quote, Settings, Table


def test_every_run_has_a_row_and_published_rows_a_table_of_their_own(record: Findings) -> None:
    section = table.table(record)
    assert section is not None
    runs, published = (block for block in section.blocks if isinstance(block, Table))
    assert (len(runs.rows), runs.is_live) == (90, True)
    assert runs.rows[0][:4] == ("B2", "baseline", "1.872", "1.3M")
    assert (len(published.rows), published.is_live) == (6, False)
    assert all(len(row) == len(runs.columns) for row in runs.rows)


def test_the_winner_says_what_it_claims_and_what_it_changed(record: Findings) -> None:
    section = table.winner(record)
    assert section is not None
    said, claims, settings = section.blocks
    assert isinstance(said, Finding)
    assert isinstance(claims, Items)
    assert isinstance(settings, Settings)
    assert said.note == ("Confirmed gain +0.5419 bits/byte; silent test, on text that decided "
                         "nothing, +0.5627.")
    assert claims.lines[0] == "E11 over B2: +0.0543 bits/byte (+0.0458 to +0.0627), 2 fresh seeds"
    assert ("learning rate", "1.5e-3 (was 3e-4)", True) in settings.rows
    changed = [is_new for *_, is_new in settings.rows]
    assert changed == sorted(changed, reverse=True)


def test_its_texts_stand_in_the_order_of_its_steps(night: Findings) -> None:
    section = table.winner(night)
    assert section is not None
    assert [(block.text, block.source) for block in section.blocks if isinstance(block, Quote)] == [
        ("th e th", "after step 0"), ("Once upon a time", "after step 500")]


def test_an_empty_ledger_has_neither(empty: Findings) -> None:
    assert table.table(empty) is None
    assert table.winner(empty) is None
