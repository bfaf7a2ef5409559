"""The list of commands: each once, whole, and what one begins with at the top."""

from click.testing import CliRunner

from agent.cli.main import MODULES, main
from agent.cli.sections import SECTIONS


def test_every_command_stands_in_one_section() -> None:
    names = [name for section in SECTIONS.values() for name in section]
    assert sorted(names) == sorted(MODULES)


def test_help_begins_with_what_one_begins_with_and_cuts_no_sentence() -> None:
    text = CliRunner().invoke(main, ["-h"], prog_name="agent").stdout
    first = text.index("A night:")
    assert text[first:].split()[2:4] == ["run", "Run"]
    assert first < text.index("What it found:") < text.index("Data in and out:")
    assert "..." not in text[first:]
    told = " ".join(text.split())
    assert all((main.commands[name].help or "").splitlines()[0] in told for name in MODULES)
