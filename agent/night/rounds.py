"""Rounds in which a model learns from what it wrote itself; each is a run with a row of its own.

The same command goes on where it stood: a round that is done is found again by what decides it.
"""

import functools
import math
from dataclasses import replace

from agent.ledger import Run, corpus_of, in_words, measures
from agent.night.improve import Improving, Round, make_round, model_of
from agent.night.launch import Desk
from agent.trial import Task
from engine.alignment import NATS, worked
from engine.errors import UserError
from engine.text import sums

SHARE = 0.8  # of the pairs that are trained on; the others are held out
N_PROBLEMS, N_STORIES = 200, 128  # asked before and after
RULE = "improve/1"
JUDGED = "faults a story"
# What all rounds may do to their start: the loss on real text is to rise by a twentieth at most.
WITHIN = (("loss on the text", 0.0, 1.05), ("distinct-2", 0.8, 5.0), ("tokens a story", 0.5, 2.0))


def improve_by_own_pairs(at: Desk, run: Run, asked: Improving) -> list[Run]:
    """The run that learns to prefer its own better stories, by what can be measured of them."""
    recipe, n = asked.recipe, asked.n
    return [make_round(at, asked, Round(
        parent=run, start=model_of(at, run), n_train=round(SHARE * n),
        task=Task(kind="made", loss=recipe.loss, beta=recipe.beta, epsilon=recipe.epsilon, n=n,
                  n_asked=N_STORIES),
        reason=f"{run.label} improved by {recipe.loss} DPO, β {recipe.beta:g}, with {n} pairs of "
               "its own stories, the one with fewer faults preferred"))]


def improve_by_play(at: Desk, run: Run, asked: Improving) -> list[Run]:
    """SPIN: each round learns to tell the text from what the round before it writes.

    Chen et al. 2024, arXiv:2401.01335. It ends when the held-out win rate of the text against the
    model no longer falls, or after asked.n_rounds.
    """
    found: list[Run] = []
    last, recipe, won = run, asked.recipe, [math.inf]
    for k in range(1, asked.n_rounds + 1):
        last = make_round(at, asked, Round(
            parent=last, start=model_of(at, last), n_train=round(SHARE * asked.n),
            task=Task(kind="spin", loss=recipe.loss, beta=recipe.beta, epsilon=recipe.epsilon,
                      n=asked.n, n_asked=N_STORIES),
            reason=f"round {k} of SPIN from {run.label}: the text against {last.label}"))
        found.append(last)
        if last.state != "finished":
            break
        won.append(_last(at, last, "win rate"))
        if won[-1] >= won[-2]:
            at.observer.say(f"the text wins {won[-1]:.3f} of the held-out pairs, {won[-2]:.3f} "
                            "before: it no longer falls, so SPIN ends")
            break
    return found


def improve_by_working(at: Desk, run: Run, asked: Improving) -> list[Run]:
    """STaR on the sums task, then plain training on as many right answers as its last round had.

    Zelikman et al. 2022, arXiv:2203.14465: each round lets the last iterate work, and trains from
    the base on what came out right.
    """
    text = corpus_of(at.ledger, run)
    if text is None or text.name != "sums":
        raise UserError(f"STaR needs answers that can be checked, and {run.label} was not trained "
                        "on --corpus sums; improve one that was")
    base, found = model_of(at, run), list[Run]()
    task = functools.partial(Task, loss=NATS, n_asked=N_PROBLEMS, most_digits=sums.DIGITS + 1)
    for k in range(1, asked.n_rounds + 1):
        found.append(make_round(at, asked, Round(
            parent=run, start=base, writer=model_of(at, found[-1]) if found else None,
            n_train=asked.n, task=task(kind="star", n=asked.n),
            reason=f"round {k} of STaR from {run.label}: {asked.n} problems worked by "
                   f"{found[-1].label if found else run.label}")))
        if found[-1].state != "finished":
            return found
    n = at.home.run(found[-1].uid).pairs.read_bytes().count(b"\n")
    lines = b"".join(one.line() for one in worked.plain_answers(n, asked.seed))
    found.append(make_round(at, asked, Round(
        parent=run, start=base, lines=lines, n_train=asked.n,
        task=task(kind="plain"),
        reason=f"plain training from {run.label} on {n} right answers, as {found[-1].label} had")))
    return found


def improve_in_loop(at: Desk, run: Run, asked: Improving, by: str) -> list[Run]:
    """Rounds of dpo or spin, each from the last that was kept, until asked.n_rounds or a collapse.

    A round is kept where held-out beginnings, of which none is trained on, are continued with fewer
    faults than before, beyond the noise of the differences story by story. Where it is not, the
    next one tries other pairs. What collapsed is left out, and nothing follows it.
    """
    found, kept = list[Run](), run
    for k in range(asked.n_rounds):
        one = replace(asked, seed=asked.seed + k, n_rounds=1)
        (last,) = (improve_by_play if by == "spin" else improve_by_own_pairs)(at, kept, one)
        found.append(last)
        if last.state != "finished":
            break
        why_over = _collapse(at, found[0], last)
        is_kept, reason = (False, why_over) if why_over else _is_better(at, last)
        if at.ledger.decisions(last.id, limit=1)[0].rule != RULE:  # not by a loop before this one
            at.ledger.decide(last.id, kept.id, "kept" if is_kept else "discarded", RULE, {}, reason,
                             at.clock.stamp())
        at.observer.say(f"{last.label} {'kept' if is_kept else 'discarded'}: {reason}")
        if why_over:
            break
        kept = last if is_kept else kept
    at.observer.say(f"the loop ends with {kept.label}")
    return found


def _is_better(at: Desk, run: Run) -> tuple[bool, str]:
    """Whether a round's stories have fewer faults than those of its start, beyond the noise."""
    rows = [row for row in measures(at.ledger, run.id) if row["name"] == f"{JUDGED} change"]
    is_kept = bool(rows) and rows[0]["high"] is not None and rows[0]["high"] < 0
    return is_kept, f"{in_words(rows)}: {'' if is_kept else 'not '}better beyond its noise"


def _collapse(at: Desk, first: Run, run: Run) -> str | None:
    """In what a model has collapsed, beside what the loop's first round began from."""
    start = {row["name"]: row["value"] for row in measures(at.ledger, first.id) if not row["step"]}
    for name, low, high in WITHIN:
        before, after = start[name], _last(at, run, name)
        if not low * before <= after <= high * before:
            return f"{name} {before:.3g} → {after:.3g}: it collapsed, and is rolled back"
    return None


def _last(at: Desk, run: Run, name: str) -> float:
    """A measure of a run after its last step."""
    rows = [row for row in measures(at.ledger, run.id) if row["name"] == name]
    if not rows:
        raise UserError(f"{run.label} has no {name} in the ledger; it was changed by hand")
    return float(rows[-1]["value"])
