"""What of tests/arm/run can be told without emulation: its words, its refusals, its judgement."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.arm import losses
from tests.support.patience import patience

RUN = Path(__file__).parent / "arm" / "run"
TOOLS = ("bash", "cat", "cut", "dirname", "env", "realpath", "rm", "mkdir")


def run(*words: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | ({"PATH": path} if path else {})
    return subprocess.run([RUN, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env=environment, timeout=patience(60))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH: a few tools, root's id, and the name of the usual machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    stub(folder / "id", "0")
    stub(folder / "uname", 'if [ "$1" = -m ]; then echo x86_64; else echo Linux; fi', "")
    return folder


def stub(path: Path, body: str, says: str = "echo ") -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{says}{body}\n")
    path.chmod(0o755)


def test_shellcheck_finds_nothing() -> None:
    beside = Path(sys.executable).parent
    shellcheck = shutil.which("shellcheck", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("there is no shellcheck here; pip install -e '.[lint]' brings it")
    found = subprocess.run([shellcheck, RUN], capture_output=True, text=True)
    assert found.stdout == ""


def test_help_names_every_part_and_an_example() -> None:
    told = run("--help")
    assert told.returncode == 0
    for word in ("tests ", "losses ", "night ", "doctor ", "wrong ", "--all", "--remove",
                 "Example: "):
        assert word in told.stdout


@pytest.mark.parametrize(("words", "said"), [
    (["nigth"], "there is no part or option 'nigth'"), (["--in"], "--in wants a value"),
    (["--"], "-- wants a command")])
def test_misuse_is_a_sentence(words: list[str], said: str) -> None:
    told = run(*words)
    assert (told.returncode, told.stderr) == (2, f"tests/arm/run: {said}; see --help\n")


@pytest.mark.parametrize(("tool", "answer", "reason"), [
    ("id", "1000", "a root of another architecture is made by root; try sudo"),
    ("uname", "Darwin", "this is Darwin on Darwin; losses are compared with x86-64 Linux"),
    ("unshare", "", "there is no debootstrap here; apt-get install debootstrap "
                    "qemu-user-static util-linux")])
def test_what_is_missing_is_the_reason_of_a_skip(bare: Path, tmp_path: Path, tool: str,
                                                 answer: str, reason: str) -> None:
    stub(bare / tool, answer)
    told = run("--in", str(tmp_path / "arm"), path=str(bare))
    assert (told.returncode, told.stdout) == (0, f"skipped: {reason}\n")
    assert not (tmp_path / "arm").exists()


def test_only_what_it_made_is_removed(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    told = run("--in", str(tmp_path / "mine"), "--remove", path=str(bare))
    assert told.returncode == 2
    assert (tmp_path / "mine" / "letter").exists()
    (tmp_path / "mine" / "phi-auto-arm").touch()
    assert run("--in", str(tmp_path / "mine"), "--remove", path=str(bare)).returncode == 0
    assert not (tmp_path / "mine").exists()


# --- losses ----------------------------------------------------------------------------------

DOUBLE = [5.5 - 0.05 * step for step in range(losses.N_STEPS)]


def off(nats: float, from_step: int = 0) -> list[float]:
    return [loss + nats if step >= from_step else loss for step, loss in enumerate(DOUBLE)]


HERE = {"double": DOUBLE, "trainer": off(2e-7), "2 parts": off(-3e-7)}


@pytest.mark.parametrize(("there", "n"), [
    ({"trainer": off(-4e-7)}, 0),  # within four times 3e-7
    ({"trainer": off(2e-6, 50)}, 10),  # ten steps are further than that
    ({"trainer": off(math.nan, 59)}, 1), ({"double": off(1e-12)}, 0),
    ({"double": off(1e-7, 59)}, 1), ({"double": off(math.nan, 59)}, 1)], ids=str)
def test_more_than_rounding_is_a_fault(there: dict[str, list[float]], n: int) -> None:
    assert len(losses.judged(HERE, HERE | there)[0]) == n


def test_a_training_strays_by_rounding_alone_and_a_wrong_product_is_seen() -> None:
    texts = losses.Texts(losses.a_text(4000), losses.a_text(200), n_valid_bytes=200)
    config, right = losses.Config(**losses.SHAPE), np.matmul
    found = {"double": losses.in_parts(config, texts, 1, np.float64),
             "trainer": losses.by_trainer(config, texts)}

    def wrong(a: Any, b: Any, out: Any = None) -> Any:
        product = right(a, b, out=out)
        product *= 1.0001 if product.shape[-1] == losses.SHAPE["n_embd"] else 1.0
        return product

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "matmul", wrong)
        off_by_a_little = losses.by_trainer(config, texts)
    parts = losses.in_parts(config, texts, 3)
    assert losses.judged(found, found | {"trainer": parts})[0] == []
    assert losses.judged(found, found | {"trainer": off_by_a_little})[0]


# --- patience --------------------------------------------------------------------------------


@pytest.mark.parametrize(("environ", "seconds"), [({}, 60), ({"PATIENCE": ""}, 60),
                                                  ({"PATIENCE": "2.5"}, 150)], ids=str)
def test_tests_wait_longer_where_they_are_told_to(environ: dict[str, str], seconds: float) -> None:
    assert patience(60, environ) == seconds


@pytest.mark.parametrize("factor", ["0", "-1", "inf", "nan", "long"])
def test_a_factor_that_is_none_is_refused(factor: str) -> None:
    with pytest.raises(ValueError, match=factor):
        patience(60, {"PATIENCE": factor})
