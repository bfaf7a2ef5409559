"""The first line of a night: home, text, study, budget and until when, in one or two lines."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from agent import words
from agent.ledger import Calibration, Queries, kernels_of, withdrawn_runs
from agent.machine import Clock, kernels
from agent.night.choice import CLASS, HERE, Choice, Difference
from agent.night.needs import typed
from agent.night.pace import run_s
from agent.night.wish import Wish
from agent.search import study as studies

WIDTH = 71  # beside the time that a line begins with, 80
INDENT = " " * 9  # as wide as that
MUCH_LONGER = 3.0  # than a study's runs are those that a night would plan: worth a word
MOST_HOME = 48  # letters of a folder's name
MOST_TEXT = 24  # letters of a text's name
MOST_NAMES = 3  # of what differs; the rest is counted


def opening(ledger: Queries, home: Path, text: str, study: Calibration, choice: Choice,
            wish: Wish, clock: Clock) -> str:
    """What a night is about to do, as one sentence."""
    one_s = run_s(ledger, study)
    how_long = "" if one_s is None else f", about {words.duration(one_s)} each"
    how_long += at_once(wish)
    said = ""
    for most_names in range(MOST_NAMES, 0, -1):
        said = (f"home {shown_home(home)}, text {words.cut(text, MOST_TEXT)}; "
                f"{_study(ledger, study, choice, most_names)}; "
                f"{study.budget_tokens:,} tokens a run{how_long}; {until(wish, clock)}")
        if in_lines(said).count("\n") <= 1:
            break
    return said


def at_once(wish: Wish) -> str:
    """How many runs go at once and where, if that is not one after the other here."""
    n = words.at_once(wish.n_trials or 1, wish.cluster)
    return f", {n}" if wish.cluster or (wish.n_trials or 1) > 1 else ""


def in_lines(sentence: str) -> str:
    """The sentence in lines that fit 80 columns behind the time, broken between words."""
    return f"\n{INDENT}".join(textwrap.wrap(sentence, WIDTH, break_on_hyphens=False,
                                            break_long_words=False))


def shown_home(home: Path) -> str:
    """The folder as a person writes it; of a long one its end."""
    try:
        told = str(Path("~") / home.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # elsewhere; nobody knows where theirs is
        told = str(home)
    told = words.printable(told)
    return told if len(told) <= MOST_HOME else f"…{told[1 - MOST_HOME:]}"


def _study(ledger: Queries, study: Calibration, choice: Choice, most_names: int) -> str:
    if choice.study is None:
        if choice.last is None:
            return f"new study {study.id}"
        return (f"new study {study.id}, with another {_names(choice.differences, most_names)} "
                f"than study {choice.last.id}")
    gone = withdrawn_runs(ledger)
    n = sum(run.state not in ("queued", "running") and run.id not in gone
            for run in ledger.study_runs(study.id))
    head = ledger.incumbent(study.id)
    return (f"going on with study {study.id}: {words.runs(n)}, "
            f"{f'head {head.label}' if head else 'no head yet'}")


def _names(differences: Sequence[Difference], most: int) -> str:
    names = list(dict.fromkeys(one.name for one in differences))
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more things"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def until(wish: Wish, clock: Clock) -> str:
    """When a night is over: at what o'clock, after how many runs, or when it is told."""
    runs = "" if wish.max_runs is None else words.runs(wish.max_runs)
    if wish.night_s is None:
        return runs or "until told to stop"
    told = f"for {words.duration(wish.night_s)}"
    if wish.night_s < 86_400:
        hour, minute = divmod((clock.local_minutes() + math.ceil(wish.night_s / 60)) % 1440, 60)
        told = f"until {hour:02}:{minute:02} ({words.duration(wish.night_s)})"
    return f"{told} or {runs}" if runs else told


def _computed(study: Calibration, choice: Choice) -> str:
    """What the runs of a study are computed by, and why, where that is numpy alone."""
    if (name := kernels_of(study)) != kernels.NUMPY:
        return f"computed by numpy and kernels in C, {name}"
    if kernels.is_asked():
        return f"computed by numpy alone, as {kernels.ASKED}=0 asks"
    if choice.study is not None:
        return f"computed by numpy alone, as study {study.id} began"
    return f"computed by numpy alone: {kernels.why_numpy()}; `agent doctor` tells what helps"


def remarks(choice: Choice, study: Calibration, wish: Wish) -> list[str]:
    """What the first line has no room for: by what runs are computed, all that differs from the
    last study, and advice.
    """
    said = [_computed(study, choice)]
    last = choice.last
    if last and last.id != study.id and wish.study is None:
        told = "; ".join(one.told for one in choice.differences)
        is_ours = all(one.name not in ("home", CLASS) and one.option != HERE
                      for one in choice.differences)
        said.append(f"study {study.id}, and not the last one, {last.id}: {told}"
                    + (f"; `agent run --study {last.id}` goes on with that" if is_ours else ""))
    if wish.night_s and wish.run_s is None and wish.run_tokens is None and study.run_s:
        planned_s = studies.planned_run_s(wish.night_s, wish.n_trials or 1)
        if choice.study is not None and planned_s > MUCH_LONGER * study.run_s:
            said.append(f"note: this night has time for runs of {words.duration(planned_s)}; "
                        f"--run-for {typed(planned_s)} opens a study of such runs")
    return said
