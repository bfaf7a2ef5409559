"""What is said of a label that no run has."""

import pytest

from agent.ledger.labels import hint


@pytest.mark.parametrize(("typed", "said"), [
    ("Bl", "did you mean B1?"), ("bI0", "did you mean B10?"), ("BlO", "did you mean B10?"),
    ("E13", "near it: "), ("e31", "near it: "),
    ("xyz", "a label is a letter and a number, such as E3, and `agent runs` lists them"),
    ("E", "a label is a letter and a number, such as E3, and `agent runs` lists them"),
    ("77", "a label is a letter and a number"), ("Z9000", "a label is a letter and a number")])
def test_a_slip_is_told_from_what_is_no_label(typed: str, said: str) -> None:
    assert hint(typed, ["B1", "B10", "E1", "E12", "E3"]).startswith(said)


def test_without_runs_there_is_no_example() -> None:
    assert hint("B1", []) == "this ledger has none yet, and `agent run --for 4m` makes some"
