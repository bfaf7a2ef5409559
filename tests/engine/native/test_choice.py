"""Kernels where they are asked for and can be had; else numpy, and one clause that says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ConfigError, UserError
from engine.native import NUMPY, build
from engine.native.choice import choose, folder_for, is_ready, named, present

ROOT = Path(__file__).parents[3]


def test_without_a_word_kernels_compute(person, kernels):
    unasked = {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", ""), "PATH": person["PATH"]}
    assert choose(unasked).kernels.name == kernels.name


def test_zero_leaves_numpy_alone_and_looks_for_no_compiler(person):
    found = choose(person | {"AGENT_NATIVE": "0"}, compilers=None)
    assert (found.kernels, found.why) == (NUMPY, "AGENT_NATIVE=0")
    assert not folder_for(person).exists()


def test_another_word_is_met_with_one_sentence(person):
    with pytest.raises(ConfigError, match="AGENT_NATIVE=yes is neither 0 .* nor 1 .*; set one"):
        choose(person | {"AGENT_NATIVE": "yes"})


def test_no_compiler_is_said(person):
    found = choose(person, compilers=[])
    assert found.kernels is NUMPY
    assert found.why.startswith("there is no C compiler (cc, clang or gcc; ")


def test_a_compiler_that_fails_is_said(person, compiler):
    found = choose(person, [compiler("exit 1")])
    assert found.kernels is NUMPY
    assert found.why.endswith("cc could not compile: silent (status 1)")


def test_what_was_compiled_once_is_taken_again_and_a_corrupt_one_is_built_anew(
        person, compiler, library, name, tmp_path):
    one = compiler(f"echo >> {tmp_path}/times; head -c -{len(build.MARK) + 64} {library} > $OUT")
    path = build.path_of(folder_for(person), name(one))

    def times():
        found = choose(person, [one])
        assert (found.kernels.name, found.why) == (path.stem, f"compiled by {one.name}")
        return (tmp_path / "times").read_text().count("\n")

    assert (times(), times()) == (1, 1)
    data = path.read_bytes()
    path.unlink()  # this process still has it mapped
    path.write_bytes(data[:5000])
    assert (times(), path.read_bytes()) == (2, data)


def test_a_run_keeps_its_kernels_also_where_its_compiler_is_gone(environment, kernels):
    assert named("numpy", {}) is NUMPY
    unasked = {"XDG_CACHE_HOME": environment.get("XDG_CACHE_HOME", ""), "PATH": ""}
    assert named(kernels.name, unasked).name == kernels.name


def test_kernels_that_cannot_be_had_are_named_in_one_sentence(person, compiler, monkeypatch):
    monkeypatch.setattr(build.util, "find_spec", lambda name: None)  # nor ziglang
    only = os.path.dirname(compiler("exit 1").command[0])
    with pytest.raises(UserError, match="the kernels c11-00000000 cannot be had here, where numpy "
                                        "would compute .*; what began with them goes on with no"):
        named("c11-00000000", person | {"PATH": only})
    with pytest.raises(UserError, match="AGENT_NATIVE=0 leaves numpy alone, and this began with"):
        named("c11-00000000", person | {"AGENT_NATIVE": "0"})


def test_what_only_looks_compiles_nothing(person, compiler, environment, kernels, tmp_path):
    compiler(f"touch {tmp_path}/asked", "exit 1")
    assert not is_ready(person)
    assert present(kernels.name, person) is NUMPY
    assert not (tmp_path / "asked").exists()
    assert not folder_for(person).exists()
    assert present(kernels.name, environment).name == kernels.name
    assert is_ready(environment)
    assert is_ready(person | {"AGENT_NATIVE": "0"})
    assert present(kernels.name, environment | {"AGENT_NATIVE": "0"}) is NUMPY


def test_a_name_from_elsewhere_leads_out_of_the_folder_nowhere(
        person, library, tmp_path, monkeypatch):
    """Files of a home name kernels, and a home may come from somebody else."""
    monkeypatch.setattr(build, "compilers", lambda path: [])
    folder_for(person).mkdir(parents=True)
    evil = tmp_path / "evil.so"
    evil.write_bytes(library.read_bytes())
    name = f"../../{evil.stem}"
    assert build.is_whole(build.path_of(folder_for(person), name))
    assert present(name, person) is NUMPY
    with pytest.raises(UserError, match="the kernels ../../evil cannot be had here"):
        named(name, person | {"PATH": ""})


def test_where_no_library_can_lie_numpy_computes(person, compiler, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    found = choose(person, [compiler()])
    assert found.kernels is NUMPY
    assert found.why.endswith("cache/phi-auto cannot hold a library: Not a directory")


def test_two_that_compile_at_once_wait_for_nobody_and_leave_one_library(
        person, compiler, library, name, tmp_path):
    """Both have begun before either ends."""
    one = compiler(f"touch {tmp_path}/$$.begun",
                   f"until [ $(ls {tmp_path} | grep -c begun) = 2 ]; do sleep 0.02; done",
                   f"head -c -{len(build.MARK) + 64} {library} > $OUT")
    script = ("import os, sys; from engine.native import choose; from engine.native.build import "
              "compilers\nprint(choose(os.environ, compilers(sys.argv[1])).kernels.name)")
    both = [subprocess.Popen([sys.executable, "-c", script, os.path.dirname(one.command[0])],
                             cwd=ROOT, env=person, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    assert [child.communicate()[0] for child in both] == [f"{name(one)}\n"] * 2
    assert [path.name for path in folder_for(person).iterdir()] == [f"{name(one)}.so"]
