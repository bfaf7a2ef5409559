"""What the documents say is what the program does."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.cli.main import main
from agent.ledger.ledger import Ledger
from agent.show.table import markdown

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# The pages of the wings lie beside their code.
PAGES = [path.relative_to(ROOT).as_posix()
         for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*/README.md")))]
COMMANDS_OF = [page for page in PAGES if page != "CHANGELOG.md"]  # that one tells of old ones, too
WORDS = 1900  # of the README: four minutes
WINGS = ("agent", "engine", "strategies", "tests", "termux")


def test_the_readme_is_read_in_four_minutes() -> None:
    assert len(README.split()) <= WORDS


def test_the_generated_parts_are_up_to_date() -> None:
    pages = ["agent/README.md", "engine/README.md"]
    found = subprocess.run([sys.executable, "-m", "cogapp", "--check", *pages],
                           capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, f"run: cog -r {' '.join(pages)}"


def shown_commands(page: str) -> list[str]:
    """Every `agent …` line of a page's code blocks, without comments and continuations."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    commands = [part.strip() for line in lines for part in line.removeprefix("$ ").split("&&")]
    return [line for line in commands if line.startswith("agent ") and "…" not in line]


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in COMMANDS_OF
                                            for line in shown_commands(page)])
def test_every_command_that_is_shown_is_understood(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = main.commands[words[0]]
    # Commands remember what -h is called from the first context they are shown.
    with click.Context(main, **main.context_settings) as parent:
        context = command.make_context(words[0], words[1:], parent=parent)
    assert context.command is command


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_into_a_page_leads_to_a_heading(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", text)
    assert [f"{link}#{anchor}" for link, anchor in links
            if anchor not in anchors((ROOT / page).parent / link if link else ROOT / page)] == []


def anchors(page: Path) -> list[str]:
    """What a page's headings are called in links: small letters, hyphens, no other signs."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_every_file_of_the_file_map_exists() -> None:
    named = re.findall(rf"`((?:{'|'.join(WINGS)})/[^`*… ]*)`", MAP)
    assert len(named) > 40
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_wing_is_on_the_file_map() -> None:
    doors = [path.parent.relative_to(ROOT).as_posix() for package in ("agent", "engine")
             for path in sorted((ROOT / package).glob("*/__init__.py"))]
    assert [door for door in doors if f"`{door}/`" not in MAP] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_ledger_recipes_run(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    recipes = re.findall(r"^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for sql in re.sub(r"--.*", "", "".join(recipes)).split(";")[:-1]:
            ledger._rows(sql)  # raises where it names what is not there


def test_the_table_of_the_development_log_is_that_of_the_published_record() -> None:
    text = (ROOT / "DEVLOG.md").read_text(encoding="utf-8")
    with Ledger.open(ROOT / "ledger.db", read_only=True) as ledger:
        published = [row for row, run in zip(ledger.experiments(), _in_table_order(ledger),
                                             strict=True) if run == "published"]
    assert markdown(published).splitlines()[2].split("|")[1].strip() == "B1"
    for row in published:
        assert any(all(cell in line for cell in row.values()) for line in text.splitlines())


def _in_table_order(ledger: Ledger) -> list[str]:
    return sorted((run.source for run in ledger.runs()), reverse=True)


def test_the_published_report_is_that_of_the_published_record(tmp_path: Path) -> None:
    """Some ten seconds: a thousand fits. Their draws may differ in the last digits between
    processors, in a few of them by more, where two ends of a fit are as good."""
    record = tmp_path / "home"
    record.mkdir()
    shutil.copyfile(ROOT / "ledger.db", record / "ledger.db")
    told = CliRunner().invoke(main, ["--home", str(record), "scaling", "--write",
                                     str(tmp_path / "results")])
    assert told.exit_code == 0, told.output
    names = {path.relative_to(tmp_path / "results") for path in (tmp_path / "results").rglob("*")
             if path.is_file()}
    assert {path.name for path in names} > {"report.md", "results.csv", "bootstrap.csv"}
    for name in sorted(names - {Path("bootstrap.csv")}):
        assert (tmp_path / "results" / name).read_bytes() == (
            ROOT / "results" / name).read_bytes(), name
    ours, published = ((root / "results" / "bootstrap.csv").read_text().splitlines()
                       for root in (tmp_path, ROOT))
    n_alike = sum(map(str.__eq__, ours, published))
    assert len(ours) == len(published)
    assert n_alike > 0.9 * len(published)
