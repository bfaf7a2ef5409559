"""Rounds in which a model learns from what it wrote itself; each is a run with a row of its own.

The same command goes on where it stood: a round that is done is found again by what decides it.
"""

import math
from dataclasses import replace
from typing import Literal

from agent.ledger import Run, corpus_of, in_words, measures
from agent.machine import machine
from agent.night.cores import tie_to_fast
from agent.night.improve import Improving, Round, make_round, model_of
from agent.night.launch import Desk
from agent.trial import Task
from engine.alignment import NATS, split, worked
from engine.errors import UserError

SHARE = 0.8  # of the pairs that are trained on; the others are held out
N_PROBLEMS, N_STORIES = 200, 128  # asked before and after
RULE = "improve/1"
JUDGED = "faults a story"
# What all rounds may do to their start: the loss on real text is to rise by a twentieth at most.
WITHIN = (("loss on the text", 0.0, 1.05), ("distinct-2", 0.8, 5.0), ("tokens a story", 0.5, 2.0))


def improve_in_rounds(at: Desk, run: Run, asked: Improving) -> list[Run]:
    """The runs that go on from a run's model, the last of them queued where it was stopped.

    dpo   one round, with a person's pairs or those of the model's own stories
    spin  each round learns to tell the text from what the round before it writes: Chen et al. 2024,
          arXiv:2401.01335. It ends when the held-out win rate of the text against the model no
          longer falls, or after asked.n_rounds
    star  improve_by_working

    A loop of dpo or spin goes on from the last round that was kept: where held-out beginnings, of
    which none is trained on, are continued with fewer faults than before, beyond the noise of the
    differences story by story. Where it is not, the next one tries other pairs. What collapsed is
    left out, and nothing follows it.
    """
    if not asked.n_replicas:
        tie_to_fast(at)
        asked = replace(asked, n_replicas=machine.n_cores())
    if asked.by == "star":
        return improve_by_working(at, run, asked)
    found, kept, won = list[Run](), run, math.inf
    for k in range(1 if asked.by == "dpo" and not asked.loops else asked.n_rounds):
        one = replace(asked, seed=asked.seed + k) if asked.loops else asked
        last = make_round(at, one, _round(at, run, kept, one, k + 1))
        found.append(last)
        if last.state != "finished":
            break
        if asked.loops:
            kept, is_over = _weighed(at, found, kept)
        else:
            kept, before, won = last, won, _measure(at, last, "win rate", -1)
            is_over = won >= before
            if is_over:
                at.observer.say(f"the text wins {won:.3f} of the held-out pairs, {before:.3f} "
                                "before: it no longer falls, so SPIN ends")
        if is_over:
            break
    if asked.loops:
        at.observer.say(f"the loop ends with {kept.label}")
    return found


def _round(at: Desk, run: Run, last: Run, asked: Improving, k: int) -> Round:
    """The k-th round of dpo or spin from a run: what goes on from the last one."""
    recipe = asked.recipe
    by = f"improved by {recipe.loss} DPO, β {recipe.beta:g}, with"
    task = Task(kind="spin" if asked.by == "spin" else "made", loss=recipe.loss, beta=recipe.beta,
                n=asked.n, n_asked=N_STORIES)
    found = Round(parent=last, start=model_of(at, last), n_train=round(SHARE * asked.n), task=task,
                  reason=f"round {k} of SPIN from {run.label}: the text against {last.label}")
    if asked.by == "spin":
        return found
    if not asked.pairs:
        return replace(found, reason=f"{last.label} {by} {asked.n} pairs of its own stories, the "
                                     "one with fewer faults preferred")
    train, held = split(asked.pairs, asked.name)
    return replace(found, task=replace(task, kind="given", n=0, n_asked=0), n_train=len(train),
                   reason=f"{last.label} {by} {len(train)} pairs of {asked.name}; {len(held)} held "
                          "out", lines=b"".join(pair.line() for pair in asked.pairs))


def improve_by_working(at: Desk, run: Run, asked: Improving) -> list[Run]:
    """STaR on the sums task, then plain training on as many right answers as its last round had.

    Zelikman et al. 2022, arXiv:2203.14465: each round lets the last iterate work, and trains from
    the base on what came out right.
    """
    text = corpus_of(at.ledger, run)
    if text is None or text.name != "sums":
        raise UserError(f"STaR needs answers that can be checked, and {run.label} was not trained "
                        "on --corpus sums; improve one that was")
    base, last, found = model_of(at, run), run, list[Run]()
    task = Task(kind="star", loss=NATS, n=asked.n, n_asked=N_PROBLEMS)
    for k in range(1, asked.n_rounds + 1):
        one = Round(parent=run, start=base, writer=model_of(at, last) if found else None, task=task,
                    n_train=asked.n, reason=f"round {k} of STaR from {run.label}: {asked.n} "
                                            f"problems worked by {last.label}")
        last = make_round(at, asked, one)
        found.append(last)
        if last.state != "finished":
            return found
    n = at.home.run(last.uid).pairs.read_bytes().count(b"\n")
    return [*found, make_round(at, asked, replace(
        one, task=replace(task, kind="plain", n=0), writer=None,
        lines=b"".join(pair.line() for pair in worked.plain_answers(n, asked.seed)),
        reason=f"plain training from {run.label} on {n} right answers, as {last.label} had"))]


def _weighed(at: Desk, found: list[Run], kept: Run) -> tuple[Run, bool]:
    """What a loop goes on from after its newest round, and whether it is over; noted and said."""
    last = found[-1]
    why_over = _collapse(at, found[0], last)
    # Its stories have fewer faults than those of its start, beyond the noise of the differences.
    rows = [row for row in measures(at.ledger, last.id) if row["name"] == f"{JUDGED} change"]
    is_kept = not why_over and bool(rows) and rows[0]["high"] is not None and rows[0]["high"] < 0
    reason = why_over or f"{in_words(rows)}: {'' if is_kept else 'not '}better beyond its noise"
    verdict: Literal["kept", "discarded"] = "kept" if is_kept else "discarded"
    if at.ledger.decisions(last.id, limit=1)[0].rule != RULE:  # not by a loop before this one
        at.ledger.decide(last.id, kept.id, verdict, RULE, {}, reason, at.clock.stamp())
    at.observer.say(f"{last.label} {verdict}: {reason}")
    return last if is_kept else kept, why_over is not None


def _collapse(at: Desk, first: Run, run: Run) -> str | None:
    """In what a model has collapsed, beside what the loop's first round began from."""
    for name, low, high in WITHIN:
        before, after = _measure(at, first, name, 0), _measure(at, run, name, -1)
        if not low * before <= after <= high * before:
            return f"{name} {before:.3g} → {after:.3g}: it collapsed, and is rolled back"
    return None


def _measure(at: Desk, run: Run, name: str, i: int) -> float:
    """The i-th of a run's measures of that name, by step. UserError where it was taken out."""
    rows = [row for row in measures(at.ledger, run.id) if row["name"] == name]
    if not rows or (i == 0 and rows[0]["step"]):
        raise UserError(f"{run.label} has no {name} in the ledger; it was changed by hand")
    return float(rows[i]["value"])
