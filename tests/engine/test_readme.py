"""The examples of engine/README.md are run, and the functions it names are there."""

import doctest
import importlib
import re
from pathlib import Path

import engine

README = Path(engine.__file__).with_name("README.md")


def test_every_example_gives_what_it_shows() -> None:
    found = doctest.testfile(str(README), module_relative=False)
    assert found.attempted > 15
    assert found.failed == 0


def test_every_function_of_the_mathematics_is_there() -> None:
    named = re.findall(r"`(layers|attention)\.(\w+)`", README.read_text("utf-8"))
    assert len(named) > 5
    for module, name in named:
        forward = getattr(importlib.import_module(f"engine.model.{module}"), name)
        assert callable(forward)


def test_every_method_of_the_table_is_there() -> None:
    text = README.read_text("utf-8")
    assert set(re.findall(r"`model\.(\w+)\(", text)) == {
        "generate", "logits", "loss", "write"}
    for name in ("generate", "logits", "loss", "params", "write"):
        assert hasattr(engine.Model, name)
