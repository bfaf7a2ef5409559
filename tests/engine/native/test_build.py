"""A library is built whole or not at all, once, and never believed where it is not whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.native import build
from engine.native.build import BuildError, Compiler, name_of

ROOT = Path(__file__).parents[3]


def test_a_failing_compiler_says_why_and_leaves_nothing(tmp_path, compiler, person):
    one = compiler("echo 'kernels.c:1: error: no luck today' >&2", "exit 3")
    with pytest.raises(BuildError, match=r"cc could not compile: kernels.c:1: error: no luck "
                                         r"today \(status 3\)"):
        build.build(one, tmp_path / "made", "c11-1", person)
    assert list((tmp_path / "made").iterdir()) == []


def test_a_compiler_that_hangs_is_ended_with_its_children(tmp_path, compiler, person, monkeypatch):
    one = compiler(f"sleep 300 & echo $! > {tmp_path}/child", "wait")
    monkeypatch.setattr(build, "WAITS_S", 3.0)  # a shell begins within that
    with pytest.raises(BuildError, match="could not compile within 3 s"):
        build.build(one, tmp_path / "made", "c11-1", person)
    child = int((tmp_path / "child").read_text())
    assert not os.path.exists(f"/proc/{child}") or "Z" in Path(
        f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
    assert list((tmp_path / "made").iterdir()) == []


def test_a_compiler_that_computes_for_ever_is_ended_by_what_it_computed(
        tmp_path, compiler, person, monkeypatch):
    """On a busy machine the clock says nothing of it."""
    one = compiler("while :; do :; done")
    monkeypatch.setattr(build, "COMPUTES_S", 1)
    with pytest.raises(BuildError, match="cc could not compile in 1 s of computing"):
        build.build(one, tmp_path / "made", "c11-1", person)
    assert list((tmp_path / "made").iterdir()) == []


def test_what_computes_something_else_is_not_used(tmp_path, compiler, person, monkeypatch):
    right = build.SOURCE.read_text()
    wrong = tmp_path / "kernels.c"
    wrong.write_text(right.replace("y[j] = one * gain[j];", "y[j] = one + gain[j];"))
    assert wrong.read_text() != right
    real = next(build.compilers(), None)
    if real is None:
        pytest.skip("there is no C compiler")
    monkeypatch.setattr(build, "SOURCE", wrong)
    with pytest.raises(BuildError, match="does not compute as numpy does: a small model"):
        build.build(real, tmp_path / "made", "c11-1", person)
    assert list((tmp_path / "made").iterdir()) == []


def test_what_crashes_here_ends_the_child_and_not_us(tmp_path, compiler, person):
    real = next(build.compilers(), None)
    if real is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "x.c").write_text("void set_head(long long n) { *(volatile int *)0 = 0; }")
    one = compiler(f"exec {real.command[0]} -shared -fPIC {tmp_path}/x.c -o $OUT")
    with pytest.raises(BuildError, match="does not compute as numpy does"):
        build.build(one, tmp_path / "made", "c11-1", person)


def test_a_killed_build_leaves_nothing_that_is_believed_and_the_next_one_clears_it(
        tmp_path, compiler, person, library):
    one = compiler(f"cp {library} $OUT; touch {tmp_path}/begun; sleep 20")
    script = ("import os, sys; from pathlib import Path; from engine.native import build\n"
              "build.build(next(build.compilers(sys.argv[1])), Path(sys.argv[2]), 'c11-1',"
              " os.environ)")
    made = tmp_path / "made"
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "bin"), str(made)],
                             cwd=ROOT, env=person)
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert [path.name.split("-")[:2] for path in made.iterdir()] == [["build", str(child.pid)]]
    assert not build.is_whole(build.path_of(made, "c11-1"))
    one = compiler(f"head -c -{len(build.MARK) + 64} {library} > $OUT")
    found = build.build(one, made, "c11-1", person)
    assert [path.name for path in made.iterdir()] == ["c11-1.so"]
    assert build.is_whole(found)


def test_a_folder_that_cannot_be_written_is_said(tmp_path, compiler, person):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="file/made cannot hold a library: Not a directory"):
        build.build(compiler(), tmp_path / "file" / "made", "c11-1", person)


def test_only_what_lies_whole_is_whole(tmp_path, library):
    data = library.read_bytes()
    copy = tmp_path / "copy.so"
    for change in (data[:-1], data[: len(data) // 2], b"", data[:1000] + b"?" + data[1001:]):
        copy.write_bytes(change)
        assert not build.is_whole(copy)
    copy.write_bytes(data)
    assert build.is_whole(copy)
    copy.write_bytes(data.replace(b"interface " + build.INTERFACE.encode(), b"interface 01234567"))
    assert not build.is_whole(copy)  # a version that calls them otherwise built it
    assert not build.is_whole(tmp_path / "none.so")


def test_a_name_changes_with_whatever_changes_the_numbers():
    one = Compiler(("/usr/bin/cc",), "cc 1", ("-march=native",))
    names = {name_of(one, b"a", "cpu"), name_of(one, b"b", "cpu"), name_of(one, b"a", "other"),
             name_of(Compiler(one.command, "cc 2", one.flags), b"a", "cpu"),
             name_of(Compiler(one.command, "cc 1", ()), b"a", "cpu")}
    assert len(names) == 5
    assert name_of(Compiler(("/opt/cc",), "cc 1", one.flags), b"a", "cpu") in names
    assert all(len(name) == 12 and name.startswith("c11-") for name in names)


def test_a_processor_is_what_decides_its_code_and_not_its_speed():
    lines = "processor : 0\nmodel name : A\ncpu MHz : {}\nflags : avx2 fma\n\nprocessor : 1\n"
    assert build.processor(lines.format(1000)) == build.processor(lines.format(3000))
    assert build.processor(lines) != build.processor(lines.replace("avx2", "avx512f"))


def test_ziglang_is_a_compiler_where_it_is_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(build.util, "find_spec", lambda name: name == "ziglang" or None)
    monkeypatch.setattr(build, "_version", " ".join)
    (found,) = build.compilers(str(tmp_path))
    assert found.command == (sys.executable, "-m", "ziglang", "cc")
    assert found.name == "ziglang cc"
