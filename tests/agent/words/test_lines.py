"""A night's lines: aligned, inside the terminal, cut and broken at words."""

import pytest

from agent.words.lines import (
    Page,
    Row,
    Told,
    cells,
    cut_at_word,
    cut_list,
    fitted,
    laid_out,
    wrapped,
)

CLOCK = "14:38:24"
CHANGES = "batch 16 → 4, learning rate 3e-3 → 1.5e-3, weight decay 0.1 → 0.05, clipping norm 1 → 2"
KEPT = Told("E3: 3.1 nats/token, 1.035 bits/byte → kept: 0.1877 bits/byte better than the head",
            row=Row("E3", 1.035, "kept", "batch 16 → 4, learning rate 3e-3 → 1.5e-3"))


def lines(message: str, width: int = 80, **page: object) -> list[str]:
    return laid_out(message, CLOCK, Page(width, **page))  # type: ignore[arg-type]


def test_a_run_is_one_aligned_line_of_eighty_columns() -> None:
    assert lines(KEPT) == [
        "14:38:24  E3   1.035  kept       batch 16 → 4, learning rate 3e-3 → 1.5e-3"]


@pytest.mark.parametrize("width", [28, 40, 59, 60, 80, 200])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_a_row_is_one_line_inside_the_terminal(width: int, is_ascii: bool) -> None:
    told = Told("", row=Row("E1234", None, "discarded", CHANGES))
    (line,) = lines(told, width, is_ascii=is_ascii)
    assert len(line) <= width
    assert "E1234" in line
    assert line.isascii() or not is_ascii


def test_columns_stand_under_each_other_whatever_the_verdict() -> None:
    rows = [Row("B1", 1.714, "baseline", "x"), Row("E120", None, "diverged", "x"),
            Row("E3", 1.0, "kept", "x"), Row("C1", 10.25, "waiting", "x")]
    found = [lines(Told("", row=row))[0].rindex("x") for row in rows]
    assert len(set(found[:3])) == 1


def test_what_changed_is_cut_between_two_changes() -> None:
    (line,) = lines(Told("", row=Row("E3", 1.035, "kept", CHANGES)))
    assert line.endswith("kept       batch 16 → 4, learning rate 3e-3 → 1.5e-3, …")


@pytest.mark.parametrize("width", range(1, 60))
def test_no_word_is_cut_where_the_first_one_fits(width: int) -> None:
    text = "learning rate 3e-3 → 1.5e-3 and what follows from it"
    for cut in (cut_at_word(text, width), cut_list(text, width)):
        assert len(cut) <= width
        if width > len("learning"):
            assert set(cut.rstrip("…").split()) <= set(text.split())


def test_what_is_no_list_of_changes_may_go_on_below() -> None:
    found = lines(Told("", row=Row("E3", None, "failed", "no room on the disk " * 4,
                                   is_whole=True)), 60)
    assert found[0].startswith("14:38:24  E3       -  failed     no room on")
    assert " ".join(" ".join(found).split()).count("no room on the disk") == 4
    assert max(map(len, found)) <= 60


def test_a_sentence_is_broken_at_words_under_its_clock() -> None:
    found = lines("waits: the machine has 150 MB free, under the reserve of 200 MB, and so on", 60)
    assert found == ["14:38:24  waits: the machine has 150 MB free, under the",
                     "          reserve of 200 MB, and so on"]


def test_a_path_longer_than_a_line_stays_whole() -> None:
    path = "/a" * 50
    assert any(line.endswith(path) for line in lines(f"cannot write {path}", 40))


def test_a_traceback_keeps_its_lines() -> None:
    found = lines('Traceback:\n  File "x", line 1\n    boom\n')
    assert [line[10:] for line in found] == ["Traceback:", '  File "x", line 1', "    boom"]


def test_a_claim_stands_apart_with_its_facts_below() -> None:
    claim = Told("whole", row=Row("E6", 0.785, "confirmed"), is_apart=True, level="always",
                 below=("0.2501 bits/byte better than B1", "checked on 2 fresh seeds"))
    first, row, gain, checked, last = lines(claim, 60)
    assert (first, last) == ("", "")
    assert row.startswith("14:38:24  E6   0.785  confirmed  ───")
    assert gain == "          0.2501 bits/byte better than B1"
    assert checked == "          checked on 2 fresh seeds"


def test_lines_without_a_row_take_two_each_where_a_window_is_narrow_and_are_cut_behind() -> None:
    end = Told("whole", below=("over: " + "reason " * 30, "nothing is confirmed yet", "status"))
    for width in (40, 60, 80):
        found = lines(end, width)
        assert len(found) == 4
        assert found[1].endswith("…")
        assert max(map(len, found)) <= width
    advice = Told("", below=(
        "over: done", "test of E19 cut short after 1 of 2 to 5 pairs; `agent run` goes on"))
    narrow = lines(advice, 60)
    assert len(narrow) == 3
    assert " ".join(line.strip() for line in narrow).endswith("to 5 pairs; `agent run` goes on")


@pytest.mark.parametrize(("level", "wanted"), [
    ("always", ["always"]), ("usual", ["usual", "always"]),
    ("verbose", ["verbose", "usual", "always"])])
def test_who_asks_for_quiet_hears_less_and_who_asks_for_all_hears_all(
        level: str, wanted: list[str]) -> None:
    told = [Told(name, level=name) for name in ("verbose", "usual", "always")]  # type: ignore[arg-type]
    assert [line[10:] for one in told for line in lines(one, level=level)] == wanted


def test_a_plain_sentence_is_not_for_the_quiet() -> None:
    assert lines("measuring this device", level="always") == []


def test_all_is_the_whole_sentence_and_no_row() -> None:
    found = lines(KEPT, 200, level="verbose")
    assert found == [f"14:38:24  {KEPT}"]


def test_in_ascii_arrows_and_rules_are_drawn_with_what_there_is() -> None:
    assert lines(KEPT, is_ascii=True)[0].endswith("batch 16 -> 4, learning rate 3e-3 -> 1.5e-3")
    claim = Told("", row=Row("E6", 1.0, "confirmed"), is_apart=True, below=("±0.1",))
    assert all(line.isascii() for line in lines(claim, is_ascii=True))


def test_what_would_steer_the_terminal_is_not_repeated() -> None:
    (line,) = lines(Told("", row=Row("E3", None, "failed", "a \x1b[2J b\nc")))
    assert "\x1b" not in line


def test_letters_that_take_two_columns_are_counted_as_two() -> None:
    text = "小狐狸在森林里走。" * 12
    lines = wrapped(text, 40, 4)
    assert [cells(line) for line in lines[:3]] == [40, 40, 40]
    assert cells(lines[3]) <= 40
    assert lines[3].endswith("…")
    assert "".join(wrapped(text, 40)) == text
    assert cells(cut_at_word(text, 21)) <= 21
    assert wrapped("a fox — brown", 7) == ["a fox —", "brown"]


def test_wrapped_text_says_where_more_would_follow() -> None:
    found = wrapped("one two three four five six", 9, 2)
    assert found == ["one two", "three…"]
    assert wrapped("one two", 9, 2) == ["one two"]


def test_a_number_is_not_the_last_word_of_what_was_cut() -> None:
    assert cut_at_word("the time is over; 66 runs ended this night", 24) == "the time is over…"
    assert cut_at_word("runs: 12 ended, 0 queued", 18) == "runs: 12 ended…"
    assert cut_at_word("batch 16 and more of it", 9) == "batch…"


@pytest.mark.parametrize("width", [20, 30, 60])
def test_sentences_are_broken_at_words_and_keep_indent_and_paths(width: int) -> None:
    text = ("one sentence that is long enough to be broken\n\n  set off → by two columns, and so "
            "is what goes on\n  /a/path/that/is/longer/than/twenty/columns here")
    found = fitted(text, width)
    assert " ".join(found.split()) == " ".join(text.split())
    lines = found.split("\n")
    assert all(cells(line) <= width or line.count("/") > 1 for line in lines)
    assert all(line.startswith("  ") for line in lines[lines.index("") + 1:])
    wide = fitted("短い文が二つ並んでいますとても長い", 12).split("\n")
    assert max(map(cells, wide)) <= 12 < sum(map(cells, wide))
    assert fitted("first of them, then the rest", 16, "    ") == (
        "first of them,\n    then the\n    rest")
