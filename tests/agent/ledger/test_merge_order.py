"""Labels and order are of the rows alone."""

from typing import Any

from agent.ledger.merge_order import in_order, labels, letter, own_label


def a_run(home: str | None, label: str, at: str, source: str = "measured") -> dict[str, Any]:
    return {"home": home, "label": label, "created_at": at, "source": source}


def test_the_home_that_began_first_keeps_the_label() -> None:
    runs = {"x": a_run("later", "E1", "2"), "y": a_run("first", "E1", "1"),
            "z": a_run("third", "E1", "3"), "w": a_run("third", "E2", "3")}
    assert labels(runs) == {"x": "E1b", "y": "E1", "z": "E1c", "w": "E2"}


def test_a_printed_row_keeps_the_label_from_all() -> None:
    runs = {"x": a_run("one", "B1", "1"), "y": a_run(None, "B1", "2", "published")}
    assert labels(runs) == {"x": "B1a", "y": "B1"}


def test_two_copies_of_one_home_get_letters_of_their_own() -> None:
    runs = {uid: a_run("one", "E1", uid) for uid in ("p", "q", "r")}
    assert labels(runs) == {"p": "E1", "q": "E1a", "r": "E1aa"}


def test_a_label_without_its_letter_is_what_the_home_gave() -> None:
    assert [own_label(text) for text in ("E12b", "E12", "μ1", "B1aa", "E3B")] == [
        "E12", "E12", "μ1", "B1", "E3B"]


def test_letters_go_on_after_z() -> None:
    assert [letter(rank) for rank in (0, 1, 25, 26, 27, 26 * 27)] == [
        "a", "b", "z", "aa", "ab", "aaa"]


def an_event(home: str, at: str) -> dict[str, Any]:
    return {"home": home, "at": at}


def test_rows_of_a_home_keep_their_order_and_homes_are_laid_side_by_side() -> None:
    ours = {"a1": an_event("a", "5"), "a2": an_event("a", "2"), "a3": an_event("a", "7")}
    theirs = {"b1": an_event("b", "1"), "b2": an_event("b", "6")}
    met = {"events": ours | theirs}
    found = in_order("events", ours, theirs, met)
    assert found == ["b1", "a1", "a2", "b2", "a3"]  # a's clock was set back
    assert in_order("events", theirs, ours, met) == found


def test_two_accounts_of_one_home_meet_between_what_both_tell() -> None:
    rows = {name: an_event("a", name[1]) for name in ("x1", "x2", "x3", "x4", "x5")}
    ours = {name: rows[name] for name in ("x1", "x3", "x4")}
    theirs = {name: rows[name] for name in ("x1", "x2", "x4", "x5")}
    met = {"events": rows}
    assert in_order("events", ours, theirs, met) == ["x1", "x2", "x3", "x4", "x5"]
    assert in_order("events", theirs, ours, met) == ["x1", "x2", "x3", "x4", "x5"]
