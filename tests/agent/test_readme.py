"""agent/README.md says what the program does: every name, state, figure, file and query in it."""

import importlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from agent.home import Home, RunFolder
from agent.ledger import Ledger, Reader, State, Verdict
from tests.test_layering import WINGS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "agent"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
SPANS = re.findall(r"`([^`\n]+)`", PROSE)
DOTTED = {span for span in SPANS if re.fullmatch(r"\w+(\.\w+)+", span)}
PACKAGES = {"engine", "strategies", *WINGS}


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str, kind: str = "") -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> Iterator[list[str]]:
    """Cells of each row of a table whose first cell is code."""
    for line in re.findall(r"^\| (`.*) \|$", text, re.MULTILINE):
        yield line.split(" | ")


def first_spans(table: str) -> list[str]:
    return [span for row in rows(table) for span in re.findall(r"`([^`]+)`", row[0])]


def is_of_the_program(name: str) -> bool:
    return name.split(".")[0] in PACKAGES or ".".join(name.split(".")[:2]) in PACKAGES


def value_of(name: str) -> Any:
    """What a dotted name stands for; ImportError or AttributeError where there is no such thing."""
    parts, n = name.split("."), 1
    found: Any = importlib.import_module(parts[0])
    while n < len(parts) and hasattr(found, "__path__"):
        n += 1
        found = importlib.import_module(".".join(parts[:n]))
    for part in parts[n:]:
        found = getattr(found, part)
    return found


def recipes(text: str) -> dict[str, str]:
    """Each query by its first line, which says what it tells."""
    parts = [part.strip() for block in blocks(text, "sql") for part in block.split(";\n")]
    return {part.splitlines()[0]: part.removesuffix(";") for part in parts if part}


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(filter(is_of_the_program, DOTTED)))
def test_every_dotted_name_exists(name: str) -> None:
    assert value_of(name) is not None


def test_a_dotted_name_is_one_of_the_program_or_a_file() -> None:
    files = {Path(span).name for span in SPANS if "/" in span}
    assert {name for name in DOTTED if not is_of_the_program(name)} <= (
        files | set(first_spans(section("A home folder"))) | {"checkpoint.prev.npz", "__init__.py",
                                                              "README.md"})


def test_a_name_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        value_of("agent.trial.runner.Runner.no_such")
    with pytest.raises(ImportError, match="no_such"):
        value_of("agent.no_such.Runner")


def test_the_trip_numbers_its_steps_from_one() -> None:
    steps = re.findall(r"^(\d+)\. ", section("The trip of one experiment"), re.MULTILINE)
    assert [int(step) for step in steps] == list(range(1, len(steps) + 1))


def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading() -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        path, _, anchor = link.partition("#")
        file = FOLDER.joinpath(path or "README.md")
        assert file.exists(), link
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"),
                              re.MULTILINE) if anchor else []
        assert not anchor or anchor in {line.lower().replace(" ", "-") for line in headings}, link


# --- drawings and tables ---------------------------------------------------------------------


def test_the_drawing_of_the_wings_is_the_rule() -> None:
    drawn = {}
    for line in blocks(section("The wings"))[0].splitlines():
        wing, _, used = line.partition("─►")
        drawn[wing.strip()] = set(re.split(r"\s{3,}", used)[0].split())
    def shown(wing: str) -> str:
        return wing.removeprefix("agent.").replace(".", "/")

    assert drawn == {shown(wing): {shown(name) for name in used}
                     for wing, used in WINGS.items() if wing.startswith("agent.")}


def test_the_states_are_those_of_the_ledger() -> None:
    states, verdicts = section("The states of a run").split("A verdict is")
    assert sorted(first_spans(states)) == sorted(get_args(State))
    assert sorted(first_spans(verdicts)) == sorted(get_args(Verdict))


def test_the_drawing_of_the_states_shows_each_of_them_and_no_other() -> None:
    drawing = blocks(section("The states of a run"))[0]
    ends = re.findall(r"─► (\w+)", drawing)
    assert set(ends) | {"queued"} == set(get_args(State))
    assert "\nqueued ──" in drawing


FIGURES = [(row[0].strip("`"), row[1]) for row in rows(section("Two tiers: search and claim"))]


@pytest.mark.parametrize(("name", "said"), FIGURES)
def test_every_figure_is_that_of_the_program(name: str, said: str) -> None:
    value = value_of(name)
    values = value if isinstance(value, tuple) else (value,)
    assert said == ", ".join(f"{number:g}" for number in values)


def test_the_home_has_the_files_that_are_named() -> None:
    named = set(first_spans(section("A home folder")))
    home = Home(Path())
    folder = home.run("<uid>")
    found = {getattr(place, name).as_posix() for place in (home, folder)
             for name, value in vars(type(place)).items() if isinstance(value, property)
             if name != "home"}
    of_the_phone = {"agent.options", "agent.log", "agent.off"}
    of_a_cluster = {"runs/<uid>/machine.json", "runs/cluster.json", "runs/cluster"}
    assert isinstance(folder, RunFolder)
    assert {name.removesuffix("/") for name in named} == found | of_the_phone | of_a_cluster
    script = (ROOT / "termux" / "boot.sh").read_text(encoding="utf-8")
    assert [name for name in of_the_phone if name not in script] == []


# --- queries ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A copy of the record that git tracks, open to read."""
    path = tmp_path_factory.mktemp("home") / "ledger.db"
    shutil.copyfile(ROOT / "ledger.db", path)
    with Reader.open(path) as reader:
        yield reader


each_recipe = pytest.mark.parametrize("name", recipes(TEXT))


@each_recipe
def test_a_recipe_runs_on_an_empty_ledger(name: str, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert ledger._rows(recipes(TEXT)[name]) == []


@each_recipe
def test_a_recipe_finds_rows_in_the_published_record(name: str, published: Reader) -> None:
    assert name.startswith("-- ")
    found = published._rows(recipes(TEXT)[name])
    assert found
    assert [column for column in found[0] if all(row[column] is None for row in found)] == []


def test_the_claims_are_the_batches_that_the_silent_test_counts(published: Reader) -> None:
    (query,) = [sql for name, sql in recipes(TEXT).items() if "confirmed claim" in name]
    silent = next(event for event in published.events() if event.kind == "silent_test")
    assert silent.data is not None
    assert len(published._rows(query)) == silent.data["n_batches"]


def test_the_recipes_of_the_front_page_are_here_word_for_word() -> None:
    front = recipes((ROOT / "README.md").read_text(encoding="utf-8"))
    assert front.items() <= recipes(TEXT).items()
