"""What nights come to: rows, leads with their interval, goals, curves, the picture."""

from typing import Any
from xml.etree import ElementTree

import pytest

from tests.bench import curves, picture, report
from tests.bench.report import lead_of, mean_and_error, nights_in_words, results, text_of

SVG = "{http://www.w3.org/2000/svg}"
TOKENS = [0, 60, 120]


def a_night(arm: str, number: int, fresh: list[float | None], claimed: float | None = None,
            runs: int = 60, **changes: Any) -> dict[str, Any]:
    return {"arm": arm, "night": number, "fresh_bpb": fresh, "start_bpb": [2.0, 2.0],
            "claimed_gain": claimed, "wasted": {}, "verdicts": {}, "n_runs": runs, "cpu_s": 90.0,
            "wall_s": 100.0, "unigram_bpb": 2.7, "head_bpb": None, "tokens": 120, "anytime": None,
            "tokens_by_kind": {"search": 120}, "text": "stories", "start_text": "64d/2L AdamW",
            "key": {"corpus_sha256": "c", "start": "s", "tokens_per_run": 75_000, "fresh": 3,
                    "runs": runs, "code": "1+abc"}} | changes


def the_group(*nights: dict[str, Any]) -> dict[str, Any]:
    group: dict[str, Any] = results(nights)["groups"][0]
    return group


def a_curve(*bpb: float) -> dict[str, Any]:
    return {"tokens": TOKENS, "bpb": [[one, one] for one in bpb], "head_bpb": None}


# --- rows and leads --------------------------------------------------------------------------


def test_an_interval_is_that_of_a_paired_t_test() -> None:
    # mean 0.03, standard deviation 0.02, t(0.975; 2) = 4.3027: by hand
    lead = lead_of([0.01, 0.03, 0.05])
    reach = 4.302653 * 0.02 / 3**0.5
    assert lead == {"mean": pytest.approx(0.03), "n": 3, "low": pytest.approx(0.03 - reach),
                    "high": pytest.approx(0.03 + reach)}


def test_an_error_needs_two_values() -> None:
    assert mean_and_error([1.0, 3.0]) == (2.0, pytest.approx(1.0))
    assert mean_and_error([1.0]) == (1.0, None)
    assert lead_of([1.0]) == {"mean": 1.0, "n": 1, "low": None, "high": None}


def test_nights_are_paired_by_their_number() -> None:
    group = the_group(a_night("agent", 100, [1.5]), a_night("agent", 101, [1.8]),
                      a_night("random", 101, [1.9]), a_night("random", 100, [1.7]),
                      a_night("random", 102, [9.0]))
    lead = group["leads"]["agent 60"]["random 60"]
    assert (lead["n"], lead["mean"]) == (2, pytest.approx(0.15))


def test_the_table_says_who_is_ahead_and_by_what_interval() -> None:
    found = results([
        a_night("agent", 0, [1.5, 1.7], 0.5, verdicts={"confirmed": 2},
                tokens_by_kind={"search": 84, "baseline": 24, "confirm": 12}),
        a_night("agent", 1, [1.8, 1.8], wasted={"diverged": 1}),
        a_night("tpe", 0, [1.7, 1.7], 0.4, wasted={"out of bounds": 3}),
        a_night("tpe", 1, [1.8, 1.8], 0.4, wasted={"diverged": 1})])
    assert text_of(found).splitlines() == [
        "stories, from 64d/2L AdamW, runs of 75,000 tokens",
        "nights 0-1 for developing; code 1+abc",
        "",
        "arm, runs    nights         bits/byte    gain  optimism  wasted  runs  checks"
        "  confirmed   cpu s",
        "agent 60          2   1.7000 ± 0.1000  0.3000   +0.1000     0.5    60     15%"
        "          2      90",
        "head 60           2   1.7000 ± 0.1000  0.3000         -     0.5    60     15%"
        "          2      90",
        "tpe 60            2   1.7500 ± 0.0500  0.2500   +0.1500     2.0    60      0%"
        "          0      90",
        "",
        "agent 60 is ahead of, bits/byte by the same fresh seeds",
        "  tpe 60         +0.0500  95 % -0.5853 to +0.6853, n 2",
        "",
        "head 60 is ahead of, bits/byte by the same fresh seeds",
        "  tpe 60         +0.0500  95 % -0.5853 to +0.6853, n 2",
        "",
        "goals",
        "  NO  ahead of every arm, by the whole 95 % interval",
        "  NO  no wasted run",
        "  NO  claims within 0.01 bits/byte of fresh seeds",
        "  NO  a fourth of a night at most on calibration and confirmation"]


def test_half_the_runs_are_compared_with_all_of_random() -> None:
    nights = [a_night("agent", 0, [1.6], runs=60), a_night("agent", 0, [1.7], runs=30),
              a_night("random", 0, [1.71])]
    group = the_group(*nights)
    assert group["leads"]["agent 30"]["random 60"]["mean"] == pytest.approx(0.01)
    assert group["goals"]["is_half_enough"] is True
    group = the_group(*nights, a_night("random", 0, [1.69]))  # run again: the last one counts
    assert group["goals"]["is_half_enough"] is False


def test_a_goal_is_reached_only_where_every_arm_is_behind() -> None:
    nights = [a_night("agent", i, [1.5], 0.5) for i in range(2)]
    nights += [a_night("tpe", i, [1.6 + i / 1000]) for i in range(2)]
    assert report.is_reached(results(nights))
    assert the_group(*nights)["goals"] == {
        "is_ahead": True, "is_half_enough": None, "is_none_wasted": True, "is_honest": True,
        "is_search_mostly": True}
    nights += [a_night("rule", i, [1.4 + i / 1000]) for i in range(2)]
    assert not report.is_reached(results(nights))


def test_one_night_is_no_lead() -> None:
    group = the_group(a_night("agent", 0, [1.5]), a_night("tpe", 0, [1.6]))
    assert group["goals"]["is_ahead"] is False
    assert "  tpe 60         +0.1000  one night says no interval, n 1" in text_of(
        {"groups": [group]}).splitlines()


def test_another_text_or_start_or_budget_is_another_table() -> None:
    night = a_night("agent", 0, [1.5])
    others = [night | {"key": night["key"] | {name: 1}}
              for name in ("corpus_sha256", "start", "tokens_per_run", "fresh")]
    assert len(results([night, *others])["groups"]) == 5


def test_a_winner_that_diverges_on_a_fresh_seed_scores_there_as_token_frequencies_do() -> None:
    found = results([a_night("agent", 0, [1.8]), a_night("tpe", 0, [1.5, None])])
    assert found["groups"][0]["rows"]["tpe 60"]["bpb"] == pytest.approx(2.1)
    assert "  of tpe 60: 1 winners diverged on a fresh seed" in text_of(found).splitlines()


def test_a_head_that_is_not_confirmed_is_told_beside_the_winner() -> None:
    group = the_group(a_night("agent", 0, [1.8, 1.8], head_bpb=[1.7, 1.7]),
                      a_night("agent", 1, [1.8, 1.8]),
                      a_night("tpe", 0, [1.9, 1.9]), a_night("tpe", 1, [1.9, 1.9]))
    assert group["rows"]["head 60"]["bpb"] == pytest.approx(1.75)
    assert group["leads"]["agent 60"]["tpe 60"]["mean"] == pytest.approx(0.1)
    assert group["leads"]["head 60"]["tpe 60"]["mean"] == pytest.approx(0.15)


def test_nights_for_developing_and_for_judging_are_told_apart() -> None:
    assert nights_in_words([0, 1, 2, 5, 100, 101]) == (
        "nights 0-2 5 for developing, 100-101 for judging")
    assert nights_in_words([100]) == "nights 100 for judging"


def test_each_row_says_its_code_where_they_differ() -> None:
    night = a_night("tpe", 0, [1.6])
    found = results([a_night("agent", 0, [1.5]), night | {"key": night["key"] | {"code": "0+def"}}])
    assert text_of(found).splitlines()[1].endswith("code agent 60: 1+abc; tpe 60: 0+def")


# --- curves ----------------------------------------------------------------------------------


def test_a_curve_is_the_mean_of_the_nights_that_have_one() -> None:
    group = the_group(a_night("rule", 0, [1.6], anytime=a_curve(2.0, 1.8, 1.6)),
                      a_night("rule", 1, [1.4], anytime=a_curve(2.0, 1.6, 1.4)),
                      a_night("rule", 2, [1.4]))
    assert group["curves"] == {"rule 60": {
        "nights": 2, "tokens": TOKENS, "bpb": pytest.approx([2.0, 1.7, 1.5]),
        "error": pytest.approx([0.0, 0.1, 0.1])}}


def test_a_curve_of_heads_leaves_out_what_was_not_scored() -> None:
    its = a_curve(2.0, 1.8, 1.6) | {"head_bpb": [[2.0], None, [1.5]]}
    group = the_group(a_night("agent", 0, [1.6], anytime=its))
    assert group["curves"]["head 60"]["tokens"] == [0, 120]
    assert group["curves"]["agent 60"]["tokens"] == TOKENS


def test_the_chart_leaves_the_start_out_of_its_scale() -> None:
    group = the_group(a_night("random", 0, [1.6], anytime=a_curve(2.0, 1.9, 1.6)),
                      a_night("rule", 0, [1.4], anytime=a_curve(2.0, 1.8, 1.5)))
    lines = curves.chart(group["curves"])
    assert lines[1].startswith("1.900 ┤")  # where the worst is at the first mark after it
    assert lines[1].endswith("a")
    assert lines[curves.HEIGHT].startswith("1.500 ┤")
    assert lines[curves.HEIGHT].endswith("b")
    assert lines[-3:] == ["  a  random 60    1.6000", "  b  rule 60      1.5000", "  *  several"]
    assert max(map(len, lines)) <= 64


def test_the_picture_is_xml_that_says_in_words_what_it_shows() -> None:
    found = results([
        a_night(arm, 0, [1.6], text="a < b & c", anytime=a_curve(2.0, 1.8, 1.6 - i / 1000))
        for i, arm in enumerate(("agent", "random", "rule"))])
    root = ElementTree.fromstring(picture.svg(found))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "title text"
    assert root.findtext(f"{SVG}title") == "Best fresh-seed loss against tokens spent"
    assert root.findtext(f"{SVG}desc") == (
        "a < b & c, from 64d/2L AdamW, runs of 75,000 tokens; bits/byte at the end: "
        "agent 60 1.6000; random 60 1.5990; rule 60 1.5980.")
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
    ends = sorted(float(text.attrib["y"]) for text in root.iter(f"{SVG}text")
                  if text.attrib["class"])
    assert min(b - a for a, b in zip(ends, ends[1:], strict=False)) >= picture.LINE


def test_without_curves_the_picture_says_so() -> None:
    root = ElementTree.fromstring(picture.svg(results([a_night("rule", 0, [1.6])])))
    assert root.findtext(f"{SVG}desc") == "No night has a curve."
