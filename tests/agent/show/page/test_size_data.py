"""The report of a study of size and data: whole, readable alone, and the same again."""

import functools
import re

import pytest

from agent.show.page.size_data import scaling_files
from tests.support.example_grids import studied

WANTED = {"loss-over-tokens", "loss-over-parameters", "loss-over-different-text", "contours",
          "foretold", "residuals", "thresholds-tokens", "thresholds-unique", "families"}


@functools.cache
def written() -> dict[str, str]:
    return scaling_files(*studied(), " --draws 40")


def test_all_figures_and_tables_are_there_and_shown() -> None:
    found = written()
    names = {name.removeprefix("figures/").removesuffix("-0.svg") for name in found
             if name.endswith(".svg")}
    assert names >= WANTED
    shown = set(re.findall(r"\]\((figures/[^)]+)\)", found["report.md"]))
    assert shown == {name for name in found if name.endswith(".svg")}
    assert found.keys() >= {"report.md", "results.csv", "bootstrap.csv"}


def test_it_opens_with_question_and_answer_and_ends_with_the_command() -> None:
    report = written()["report.md"]
    assert report.startswith("# On tales, models of 1.02k to 786k parameters")
    assert report.index("from token frequencies to language?") < report.index("## ")
    assert "`agent scaling --draws 40 --write results`" in report
    assert "****" not in report
    assert "- α and β are " in report  # a name is no word to begin with a capital
    for heading in ("Size and data", "The law", "Where language begins", "Families of shapes",
                    "How it was measured", "Limits"):
        assert f"## {heading}" in report


def test_the_same_runs_write_the_same_bytes() -> None:
    assert scaling_files(*studied(), " --draws 40") == written()


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_figure_says_in_words_what_it_shows_and_follows_light_and_dark(name: str) -> None:
    drawn = written()[f"figures/{name}-0.svg"]
    assert drawn.startswith("<svg ")
    assert "prefers-color-scheme:dark" in drawn
    assert re.search(r"<desc [^>]*>[^<]{20,}</desc>", drawn)
    assert "nan" not in re.findall(r'd="([^"]*)"', drawn)
