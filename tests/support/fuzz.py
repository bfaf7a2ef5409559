"""A home nobody can break: nasty words, and the command line with the work taken out of it.

What would compute for long is stubbed where the work begins; all before it is real.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck
from hypothesis import settings as rules
from hypothesis import strategies as st

from agent.cli import doctor, read
from agent.cli.main import main
from agent.home.paths import Home
from agent.night import launch
from agent.search import study
from agent.serve.server import Server
from agent.simulate import nights
from agent.trial import sampler
from engine.text.corpus import TokenSet
from tests.support.example_home import a_home
from tests.support.example_machine import machine
from tests.support.patience import patience

LIMIT_S = int(patience(30))  # a case that works so long has got past its border
MORE = os.environ.get("FUZZ")  # so many cases of everything, other ones each time
HUGE = "1" + "0" * 400
NASTY = ["", " ", "-", "--", "~", "~/x", "~nosuchuser", "~nosuchuser/y", "../..", ".", "/dev/null",
         "/proc/self/nothing", "a\0b", "\0", "\udcff\udc80", "\ud800", "a\nb\r\n", "\x1b[31m", "🦊",
         "\u202eabc", "٣", "²", "1e999", "-1e999", "nan", "inf", "-inf", "NaN", HUGE, f"-{HUGE}",
         f"{HUGE}.{HUGE}", f"{HUGE}h", f"{HUGE}G", f"{HUGE}M", "9" * 5000, "0", "-0", "-1", "1",
         "2", "0x10", "1_000", "1e3", "1.5", "0.1", "1e-320", "9223372036854775807",
         "9223372036854775808", "18446744073709551616", "true", "None", "[]", "{}", "=", "lr=",
         "=1", "lr=nan", "lr=1e999", f"n_embd={HUGE}", "n_embd=8", "vocab_size=1e400",
         "n_layer=1.5", "tied=maybe", "optimizer=sgd", "seq_len=", "lr=1e-3=2", "a" * 300,
         "a/" * 3000, "%s%d{}", "'; DROP TABLE runs; --", "*", "$HOME", "\\", "E1", "B1", "best",
         "head", "baseline", "e1", "4m", "8h", "1h30m", "90", "3G", "800M", "0s", "-4m", "200k",
         "2M", "64d/2L", "64d/2L,128d/4L", "1.3M", "0d/0L", f"{HUGE}d/1L", "100k,2M", ",",
         "22:00-07:00", "25:00-26:00", "22:00-22:00", "builtin", "tinystories"]
words = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=20), st.integers().map(str),
    st.floats().map(str), st.integers(-10**30, 10**30).map(str),
    st.from_regex(r"[a-z_]{2,12}=[-+0-9.e]{1,8}", fullmatch=True),
    st.from_regex(r"[0-9.]{1,6}[smhdkKMGT]?", fullmatch=True))
# What a system can hand over in the environment: no NUL, and surrogates for bytes that are no text.
settable = words.filter(lambda text: "\0" not in text and not any(
    "\ud800" <= c <= "\udc7f" or "\udd00" <= c <= "\udfff" for c in text))


def cases(n: int) -> rules:
    """n cases, the same each time; FUZZ=1000 in the environment for so many others."""
    return rules(max_examples=int(MORE or n), derandomize=MORE is None, deadline=None,
                 database=None, suppress_health_check=list(HealthCheck))


@contextlib.contextmanager
def without_work(root: Path, tokens: TokenSet) -> Iterator[Callable[[], Home]]:
    """Gives a fresh example home each time, and leaves out of all commands what they compute.

    The current folder lies deep below root, so that ../.. is ours, too.
    """
    kept, here = a_home(root / "kept").root, root / "a" / "b" / "c"
    here.mkdir(parents=True)
    (root / "text.txt").write_text("Once.\n")

    def fresh() -> Home:
        shutil.rmtree(root / "home", ignore_errors=True)
        shutil.copytree(kept, root / "home")
        return Home(root / "home")

    def leave(*_: object) -> None:
        raise KeyboardInterrupt  # as a person ends what follows a run

    simulate, suite, speak = nights.simulate, nights.suite, sampler.speak

    def one_night(chosen: Any, _n: int, n_runs: int, *rest: Any, **how: Any) -> Any:
        return simulate(chosen, 1, min(n_runs, 8), *rest, **how)

    def one_suite(surfaces: Any, _n: int, n_runs: int, *rest: Any, **how: Any) -> Any:
        return suite(surfaces, 1, min(n_runs, 8), *rest, **how)

    def a_few(speaker: Any, prompt: Any, n_tokens: int, n_texts: int, *how: Any) -> Any:
        return speak(speaker, prompt, min(n_tokens, 4), min(n_texts, 2), *how)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("HOME", str(root))
        patch.setattr(launch, "token_files", lambda *_, **__: tokens)
        patch.setattr(launch, "require_right", lambda *_: None)
        patch.setattr(launch, "_tick_through", lambda *_: None)
        patch.setattr(study, "measure", lambda *_, **__: study.Speed(0.01, 1e-6, 1024, 1))
        patch.setattr(doctor, "Probe", machine)
        patch.setattr(nights, "simulate", one_night)
        patch.setattr(nights, "suite", one_suite)
        patch.setattr(read.follow_log, "__defaults__", (leave,))
        patch.setattr(sampler, "speak", a_few)
        patch.setattr(Server, "show", leave)
        yield fresh


@contextlib.contextmanager
def bounded(told: object) -> Iterator[None]:
    """An error where it takes too long."""
    def late(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"{told} works on; stub it where its work begins")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def agent(*arguments: str, charset: str = "utf-8", **environment: str | None) -> Result:
    with bounded(arguments):
        return CliRunner(charset=charset).invoke(main, list(arguments), env=environment)


def is_told(result: Result) -> bool:
    """Done, or one sentence and nothing that only a programmer would read; whether it was done."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1, 2), result.output
    assert "Traceback" not in result.output
    assert "Warning:" not in result.stderr
    told = [line for line in result.stderr.splitlines() if line.startswith(("agent: ", "Error: "))]
    if result.exit_code and "\nA night:\n" not in result.stderr:  # no command at all: the list
        assert len(told) == 1, result.output
        assert len(told[0].strip()) > len("agent: ")
    return result.exit_code == 0
