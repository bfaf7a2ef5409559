"""Kernels compiled once for the tests of a session, by the compiler that is there."""

import os

import pytest

from engine.native.build import SOURCE, compilers, name_of, path_of, processor
from engine.native.choice import choose, folder_for


@pytest.fixture(scope="session")
def environment():
    """That of a person who asks for kernels, which all tests share."""
    return {**os.environ, "AGENT_NATIVE": "1"}


@pytest.fixture(scope="session")
def kernels(environment):
    """Skips, with the reason, where nothing compiles."""
    found = choose(environment)
    if not found.kernels:
        pytest.skip(found.why)
    return found.kernels


@pytest.fixture(scope="session")
def library(kernels, environment):
    """The file they were loaded from."""
    return path_of(folder_for(environment), kernels.name)


@pytest.fixture
def person(tmp_path, environment):
    """An environment with an empty cache and no compiler but what `compiler` makes."""
    (tmp_path / "bin").mkdir()
    return environment | {"XDG_CACHE_HOME": str(tmp_path / "cache"),
                          "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}


@pytest.fixture
def compiler(tmp_path):
    """A function: lines of a shell script, which has $OUT, → the one Compiler that runs them."""
    def make(*lines):
        script = tmp_path / "bin" / "cc"
        script.write_text("\n".join(["#!/bin/sh", 'if [ "$1" = --version ]; then',
                                     'echo "cc of the tests"; exit; fi',
                                     'for OUT; do :; done', *lines, ""]))
        script.chmod(0o755)
        return next(compilers(str(script.parent)))

    return make


@pytest.fixture
def name():
    """A function: Compiler → the name of what it makes of the kernels here."""
    return lambda one: name_of(one, SOURCE.read_bytes(), processor())
