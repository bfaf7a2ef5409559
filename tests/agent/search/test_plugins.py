"""Strategies of other packages: found, or left out with one sentence that says what to do."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from agent.search import plugins
from agent.search.plugins import Found
from strategies import STRATEGIES
from tests.support.example_plugins import a_package

GOOD = "def propose(parent, history, rng, limits=None):\n    return 'asked'\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are installed; modules are named after the test's folder to be new."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def module(request: pytest.FixtureRequest) -> str:
    """A name that no test imported before."""
    return f"plugin_{abs(hash(request.node.nodeid))}"


def found_in(folder: Path) -> Found:
    return plugins.find(lambda: metadata.distributions(path=[str(folder)]))


def only_remark(folder: Path) -> str:
    """What is said of the one strategy that is left out; no other is there."""
    found = found_in(folder)
    assert dict(found.mutators) == {}
    (remark,) = found.remarks
    assert "\n" not in remark.text
    return remark.text


def test_a_package_brings_a_strategy_by_its_entry_point(folder: Path, module: str) -> None:
    a_package(folder, "phi-colder", {"colder": f"{module}:propose"}, {module: GOOD})
    found = found_in(folder)
    assert found.mutators["colder"](None, None, None, None) == "asked"  # type: ignore[arg-type, comparison-overlap]
    assert (found.told(), found.remarks) == ("colder of phi-colder 1.2", [])


def test_without_such_packages_nothing_is_said(folder: Path) -> None:
    a_package(folder, "other", "[console_scripts]\nother = other:main\n")
    assert found_in(folder) == Found({}, {}, [])
    assert found_in(folder).told() is None


@pytest.mark.parametrize(("source", "words"), [
    ("def propose(:", "SyntaxError: invalid syntax"),
    ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    ("import sys; sys.exit(3)", "SystemExit: 3"),
    ("class Odd(BaseException): pass\nraise Odd", "(Odd); mend or uninstall it"),
    ("class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd", "(Odd); mend"),
    ("raise MemoryError", "MemoryError"),
    ("def suggest(): pass", "has no attribute 'propose'")])
def test_a_module_that_cannot_be_imported_is_left_out(
        folder: Path, module: str, source: str, words: str) -> None:
    a_package(folder, "phi-colder", {"colder": f"{module}:propose"}, {module: source})
    said = only_remark(folder)
    assert said.startswith(f"strategy colder of phi-colder is left out: {module}:propose cannot "
                           "be imported (")
    assert words in said


def test_a_person_s_interrupt_passes(folder: Path, module: str) -> None:
    a_package(folder, "phi-colder", {"colder": f"{module}:propose"},
              {module: "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        found_in(folder)


@pytest.mark.parametrize("value", ["no_attribute", "a module:propose", ":propose", "module:",
                                   "a-b:c", "m:f [extra]"])
def test_an_entry_point_must_name_a_module_and_a_function(folder: Path, value: str) -> None:
    a_package(folder, "phi-colder", {"colder": value})
    assert only_remark(folder) == (
        f"strategy colder of phi-colder is left out: {value} is not of the form module:function; "
        "correct its entry point")


def test_a_module_that_is_not_there_is_named(folder: Path) -> None:
    a_package(folder, "phi-colder", {"colder": "nowhere_at_all:propose"})
    assert "nowhere_at_all:propose cannot be imported (ModuleNotFoundError" in only_remark(folder)


@pytest.mark.parametrize(("source", "words"), [
    ("propose = 3", "is of type int, not a function; correct its entry point"),
    ("propose = 'word'", "is of type str, not a function; correct its entry point"),
    ("import json as propose", "is of type module, not a function; correct its entry point"),
    ("def propose(parent): pass",
     "it does not take (parent, history, rng, limits): TypeError: too many positional arguments; "
     "strategies/README.md says what each is"),
    ("def propose(a, b, c, d, e): pass", "TypeError: missing a required argument: 'e'"),
    ("def propose(*, parent, history, rng, limits): pass", "it does not take")])
def test_what_cannot_be_asked_is_left_out(
        folder: Path, module: str, source: str, words: str) -> None:
    a_package(folder, "phi-colder", {"colder": f"{module}:propose"}, {module: source})
    assert words in only_remark(folder)


def test_what_does_not_say_its_arguments_is_asked(folder: Path, module: str) -> None:
    a_package(folder, "phi-colder", {"colder": f"{module}:propose"}, {module: "propose = min"})
    assert list(found_in(folder).mutators) == ["colder"]


@pytest.mark.parametrize("name", ["with space", "x" * 200, "Colder", "9lives", "col-der", "größer",
                                  "bell\x07"])
def test_an_illegal_name_is_left_out(folder: Path, name: str) -> None:
    a_package(folder, "phi-colder", {name: "json:loads"})
    said = only_remark(folder)
    assert said.endswith("is left out: a name is 1 to 32 of a-z, 0-9 and _, a letter first; "
                         "rename it")
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_name_of_the_project_s_own_is_not_to_be_had(folder: Path, name: str) -> None:
    a_package(folder, "phi-colder", {name: "nowhere_at_all:propose"})
    assert only_remark(folder) == (f"strategy {name} of phi-colder is left out: the project's own "
                                   "strategy has that name; rename it")


@pytest.mark.parametrize("name", ["baseline", "confirm", "ablate", "hand", "grid", "warm_start"])
def test_a_name_that_means_something_in_the_ledger_is_not_to_be_had(
        folder: Path, name: str) -> None:
    a_package(folder, "phi-colder", {name: "nowhere_at_all:propose"})
    assert "the ledger uses that word" in only_remark(folder)


@pytest.mark.parametrize("source", [GOOD, "raise RuntimeError"])
def test_of_two_packages_the_alphabetically_first_has_the_name(
        folder: Path, module: str, source: str) -> None:
    a_package(folder, "b-second", {"colder": f"{module}_b:propose"}, {f"{module}_b": GOOD})
    a_package(folder, "a-first", {"colder": f"{module}_a:propose"}, {f"{module}_a": source})
    found = found_in(folder)
    assert found.remarks[-1].text == (
        "strategy colder of b-second is left out: a-first has that name already; rename it, or "
        "uninstall one of the two")
    assert set(found.packages.values()) == ({"a-first 1.2"} if source == GOOD else set())


def test_a_name_given_twice_in_a_package_is_the_first_ones(folder: Path, module: str) -> None:
    a_package(folder, "phi-colder", f"[phi_auto.strategies]\ncolder = {module}:propose\n"
              f"colder = {module}:second\n", {module: GOOD})
    found = found_in(folder)
    assert list(found.mutators) == ["colder"]
    assert [remark.text for remark in found.remarks] == [
        "strategy colder of phi-colder is left out: phi-colder has named another one so; rename "
        "one of them"]


def test_a_package_that_is_on_the_path_twice_counts_once(folder: Path, module: str) -> None:
    for name in ("phi-colder", "Phi_Colder"):
        a_package(folder / name, name, {"colder": f"{module}:propose"})
    folder.joinpath(f"{module}.py").write_text(GOOD)
    paths = [str(folder / "phi-colder"), str(folder / "Phi_Colder")]
    found = plugins.find(lambda: metadata.distributions(path=paths))
    assert (list(found.mutators), found.remarks) == (["colder"], [])


@pytest.mark.parametrize("text", [b"", b"\xff\xfe torn", b"Version: 3\n", b"Name: \n"])
def test_torn_metadata_costs_no_more_than_the_package_s_name(
        folder: Path, module: str, text: bytes) -> None:
    a_package(folder, "phi-colder", {"colder": f"{module}:propose"}, {module: GOOD}, text)
    found = found_in(folder)
    assert list(found.mutators) == ["colder"]
    assert found.packages["colder"].startswith("a package without a name")


@pytest.mark.parametrize("text", ["[phi_auto.strategies]\ncolder\n", "colder = a:b\n"])
def test_torn_entry_points_leave_out_their_package_alone(
        folder: Path, module: str, text: str) -> None:
    a_package(folder, "phi-torn", text)
    a_package(folder, "phi-colder", {"colder": f"{module}:propose"}, {module: GOOD})
    assert list(found_in(folder).mutators) == ["colder"]


def test_entry_points_that_cannot_be_read_are_said(folder: Path) -> None:
    a_package(folder, "phi-torn", "")
    next(folder.glob("*.dist-info")).joinpath("entry_points.txt").write_bytes(b"\xff\xfe[")
    assert only_remark(folder).startswith(
        "the entry points of phi-torn cannot be read (UnicodeDecodeError: ")


def test_packages_that_cannot_be_listed_are_no_end(folder: Path) -> None:
    def broken() -> Iterator[metadata.Distribution]:
        raise OSError("no such disk")
        yield

    found = plugins.find(broken)
    assert [remark.text for remark in found.remarks] == [
        "the installed packages cannot be listed (OSError: no such disk), so strategies of some "
        "may be missing; `pip check` may say more"]
