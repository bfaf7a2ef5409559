"""What the documents say is what the program does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from agent.cli.main import main
from agent.ledger.ledger import Ledger
from agent.show.table import markdown

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_generated_parts_of_the_readme_are_up_to_date() -> None:
    found = subprocess.run([sys.executable, "-m", "cogapp", "--check", str(ROOT / "README.md")],
                           capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, "run: cog -r README.md"


def shown_commands() -> list[str]:
    """Every `agent …` line of the README's code blocks, without comments and continuations."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    commands = [part.strip() for line in lines for part in line.removeprefix("$ ").split("&&")]
    return [line for line in commands if line.startswith("agent ")]


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_the_readme_shows_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = main.commands[words[0]]
    # Commands remember what -h is called from the first context they are shown.
    with click.Context(main, **main.context_settings) as parent:
        context = command.make_context(words[0], words[1:], parent=parent)
    assert context.command is command


def test_every_link_leads_to_a_file() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "DEVLOG.md", "termux/README.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
        assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()
                ] == []


def test_the_ledger_recipes_of_the_readme_run(tmp_path: Path) -> None:
    recipes = README.partition("```sql\n")[2].partition("```")[0]
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for sql in recipes.split(";"):
            if sql.strip():
                assert ledger._rows(sql) == []


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
