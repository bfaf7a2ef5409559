"""`agent simulate` as people call it."""

import inspect
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from agent.cli.main import main
from agent.cli.simulate import Bar
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.simulate import report as report_nights
from agent.simulate.night import Greedy, Night
from agent.simulate.nights import Nights, Suite
from engine.config import Config
from tests.agent.analysis.test_compare import ended
from tests.support.example_home import a_home, agent, printed, value

FEW = ["simulate", "--nights", "3", "--runs", "20"]
KEYS = ["nights", "confirmed_noop", "confirmed_seed_swap", "confirmed_planted",
        "true_gain_vs_greedy", "optimism", "coverage", "spread"]
PAGES = [FEW, [*FEW, "--surface", "planted"], [*FEW, "--suite"], [*FEW, "--from-ledger"],
         [*FEW, "--table", "builtin"], [*FEW, "--at-once", "2"]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The example night, its baseline on a second seed and nine configurations more."""
    home = a_home(tmp_path / "home")
    with Ledger.open(home.ledger) as ledger:
        ended(ledger, Config(), 1, 1.19)
        for i in range(9):
            ended(ledger, Config(lr=1e-3 * (i + 4)), 0, 1.1 + i / 50)
    return home


def test_the_suite_as_json_has_exactly_its_keys(home: Home) -> None:
    found = value(home, *FEW, "--suite")
    assert list(found) == KEYS
    assert list(found["spread"]) == KEYS[1:-1]
    assert found["nights"] == 3
    assert None not in found.values()
    assert all(low <= found[key] <= high for key, (low, high) in found["spread"].items())


@pytest.mark.parametrize("arguments", PAGES, ids=" ".join)
def test_json_is_one_value_and_the_same_every_time(home: Home, arguments: list[str]) -> None:
    result = agent(home, *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == value(home, *arguments)
    assert json.loads(result.stdout) != value(home, *arguments, "--seed", "1")


@pytest.mark.parametrize("arguments", PAGES, ids=" ".join)
def test_pages_fit_sixty_columns_without_colour(home: Home, arguments: list[str]) -> None:
    text = printed(home, *arguments, columns=60)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 60


def test_a_study_is_replayed_from_its_finished_runs(home: Home) -> None:
    before = home.ledger.read_bytes()
    found = value(home, *FEW, "--from-ledger")
    assert found["surface"] == "the newest study's 11 configurations"  # E1, E2 and the nine
    assert found["greedy_true_gain"] < 0.1  # in bits per byte: 1.186 to 1.1 is the most
    assert home.ledger.read_bytes() == before


def test_a_study_without_noise_is_one_sentence(tmp_path: Path) -> None:
    result = agent(a_home(tmp_path / "home"), "simulate", "--from-ledger")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == ("agent: the newest study has not measured its noise yet: its baseline "
                             "needs two finished seeds; `agent run` makes them\n")


def test_a_study_of_few_runs_is_one_sentence(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    with Ledger.open(home.ledger) as ledger:
        ended(ledger, Config(), 1, 1.19)
    result = agent(home, "simulate", "--from-ledger")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == ("agent: the newest study has 2 finished configurations besides its "
                             "baseline, too few to replay; 5 are needed\n")


def test_without_a_ledger_only_the_replay_fails(tmp_path: Path) -> None:
    assert agent(Home(tmp_path), *FEW).exit_code == 0
    assert agent(Home(tmp_path), *FEW, "--from-ledger").stderr == (
        f"agent: there is no ledger at {tmp_path}/ledger.db; `agent run` starts one, --home names "
        "another\n")


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--suite", "--surface", "no-op"], "--suite has surfaces of its own; leave out the other"),
    (["--suite", "--from-ledger"], "--suite has surfaces of its own; leave out the other"),
    (["--surface", "mixed", "--from-ledger"], "--surface or --from-ledger, not both"),
    (["--check"], "--check goes with --suite"),
    (["--runs", "5"], "5 is not in the range 6<=x<=100000"),
    (["--rho", "1"], "1.0 is not in the range 0<=x<1"),
    (["--sigma", "0"], "0.0 is not in the range 0<x<=1000000.0"),
])
def test_misuse_is_told_in_words(home: Home, arguments: list[str], sentence: str) -> None:
    result = agent(home, "simulate", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_only_a_check_fails_over_a_line_that_is_not_met(home: Home) -> None:
    hopeless = [*FEW, "--suite", "--runs", "6"]  # the baseline, and one run more
    assert agent(home, *hopeless).exit_code == 0
    result = agent(home, *hopeless, "--check")
    assert result.exit_code == 1
    assert result.stdout.endswith("\nnot hold the truth as often as they say.\n")
    assert result.stderr == (
        "agent: the search is not accepted: a planted gain was missed; too little was gained; "
        "claims are not what is true; claimed intervals do not hold the truth as often as they "
        "say\n")


def test_the_acceptance_is_a_table_in_words() -> None:
    spread = {"confirmed_noop": (0.02, 0.04), "confirmed_seed_swap": (0.0, 0.004),
              "confirmed_planted": (0.94, 0.98), "true_gain_vs_greedy": (0.75, 0.79),
              "optimism": (-0.01, 0.051), "coverage": (0.94, 0.962)}
    found = Suite(1000, 0.03, 0.0, 0.96, 0.77, 0.02, 0.951, spread)
    assert report_nights.suite_page(found, 60).splitlines() == [
        "1,000 nights of 60 runs on each surface",
        "",
        "                              found            95 %     goal",
        "changes nothing: confirmed    3.0 %      2.0 to 4.0   <= 5 %",
        "swaps seeds: confirmed        0.0 %      0.0 to 0.4   <= 5 %",
        "planted gain: confirmed      96.0 %    94.0 to 98.0  >= 90 %",
        "true gain, of greedy's       77.0 %    75.0 to 79.0  >= 75 %",
        "claimed over true             2.0 %     -1.0 to 5.1    ±15 %",
        "95 % intervals hold true     95.1 %    94.0 to 96.2 92 to 98",
        "",
        "Accepted: every line is met.",
    ]


def test_a_page_without_gain_divides_by_nothing() -> None:
    page = report_nights.page(Nights([Night()], [Greedy(0.0, 0.0)]), "no-op", 6, 1.0)
    assert "true gain           0.0000 bits/byte\nclaimed             0.0000\n" in page
    assert "of greedy's gain" not in page


def test_help_is_one_sentence_and_one_example(home: Home) -> None:
    paragraphs = inspect.cleandoc(main.commands["simulate"].help or "").split("\n\n")
    assert paragraphs[0].count(".") == 1
    assert paragraphs[1:] == ["Example:  agent simulate --suite"]
    assert printed(home, "simulate", "-h") == printed(home, "simulate", "--help")


# --- the bar ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "is_shown"), [([0.0, 1.0, 2.0], False),
                                                   ([0.0, 1.0, 2.1], True)])
def test_a_bar_shows_after_two_seconds(seconds: list[float], is_shown: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    times = iter(seconds)
    with Bar(5, lambda: next(times), console) as bar:
        bar.tick()
        bar.tick()
        assert bar.is_shown is is_shown
