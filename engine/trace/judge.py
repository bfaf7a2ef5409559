"""From what was seen to what most likely happened; every rule says on what it rests.

The first that holds decides: what lies in the state is the cause of all that follows from it, an
operation that does not follow from its inputs of what follows from that, a rate of an update. Only
where everything was computed rightly did the numbers run away by themselves.
"""

import dataclasses
import math

from engine.config import Config
from engine.trace.compare import Deviation
from engine.trace.failure import Failure
from engine.trace.finding import Finding
from engine.trace.replay import Past
from engine.trace.state import INIT_STD, Odd
from engine.trace.update import Moved
from engine.trace.watch import BACKWARD, FORWARD, Seen

UPDATE = "update"
NORMS_BACK = {"dresidual": "norm", "dresidual0": "norm1", "dresidual1": "norm2"}
CAUSES = {"scale": "missing scale", "twice": "norm applied twice", "left out": "left out",
          "not finite": "not finite by itself", "some rows": "wrong in some rows",
          "wrong": "computed wrongly"}
FAST = 0.3  # of the weights' size in one update: no training needs that
LARGE_SCORES = 100.0
UPDATE_MOST, LOG_MOST = 10.0, 80.0  # times the rate; e⁸⁰ is near the largest number of float32
MANY = 20.0  # times the size of first values: no training needs that


def judge(config: Config, now: Failure, past: Past | None) -> Finding:
    """The finding on a step that failed."""
    found = (_of_moments(now, past) or _of_weights(config, now, past) or _of_operation(now, past)
             or _of_batch(now, past) or _of_updates(config, now, past) or _of_start(now, past)
             or _of_remains(now, past))
    return found or _of_growth(config, now, past)


def symptom(config: Config, now: Failure, past: Past) -> Finding | None:
    """The same of a step that did not fail; None where nothing is wrong with it."""
    found = (_of_moments(now, None) or _of_weights(config, now, None) or _of_operation(now, None)
             or _of_batch(now, past) or _of_updates(config, now, past) or _of_start(now, past))
    return found and dataclasses.replace(found, began_at=None, growth=())


# --- the state -------------------------------------------------------------------------------


def _of_moments(now: Failure, past: Past | None) -> Finding | None:
    """A moment that no gradients have made, before the weights that it spoilt."""
    before = [one for one in past.odd if one.kind == "optimizer moment"] if past else []
    if before and past:
        return _odd(before[0], past.began_at + 1, UPDATE, past, "lay so in the state at step "
                    f"{past.began_at:,}")
    if past and past.made:
        step, _, slots = past.made
        if slots:
            return _odd(slots[0], step, UPDATE, past, "and the update made weights of it")
    slots = [one for one in now.odd if one.kind == "optimizer moment"]
    if slots:
        return _odd(slots[0], max(1, now.step - 1) if past else now.step, UPDATE, past,
                    "and no gradient made it so")
    return None


def _of_weights(config: Config, now: Failure, past: Past | None) -> Finding | None:
    """Weights that are not finite, or one or one token's alone of its size, beyond what training
    could have made of it before it is first known.
    """
    reach = _reach(config, past.began_at if past else now.step)
    weights = [one for one in now.odd if one.kind != "optimizer moment"
               and (one.largest is None or one.largest > reach)]
    if not weights:
        return None
    first = min(weights, key=lambda one: one.kind != "infinite weight")
    if past is None:
        origin = "found so"
    elif any((one.kind, one.block, one.tensor) == (first.kind, first.block, first.tensor)
             for one in past.odd):
        origin = f"it lay so in the state at step {past.began_at:,}"
    elif past.made and any(one.tensor == first.tensor for one in past.made[1]):
        origin = f"so since update {past.made[0]:,}, of gradients and moments that are finite"
    elif past.is_same and first.kind != "infinite weight":
        foreign = [one.step for one in past.moves if one.is_foreign]
        if not foreign:
            return None  # training itself led there
        origin = f"so since step {foreign[0]:,}, by more than that update gives"
    else:
        origin = "no update since the last checkpoint made it: it was changed from outside"
    return _odd(first, now.step, FORWARD, past, origin)


def _reach(config: Config, n_updates: int) -> float:
    """How large a weight so many updates can make, by far.

    Of all optimizers here an update is a few times the rate at most; where rate and decay together
    are over 2, each makes weights larger by itself.
    """
    grown = max(1.0, config.lr * config.weight_decay - 1)
    steps = n_updates if grown == 1 else math.inf if n_updates * math.log(grown) > LOG_MOST else (
        grown**n_updates - 1) / (grown - 1)
    return UPDATE_MOST * config.lr * steps


def _odd(odd: Odd, step: int, direction: str, past: Past | None, origin: str) -> Finding:
    cause = odd.kind
    if odd.kind == "infinite weight" and odd.token is not None and odd.tensor == "embed":
        cause = "poisoned token"
        odd = Odd(cause, None, odd.tensor, f"id {odd.token}: {odd.words}", odd.token)
    what = {"infinite weight": "is not finite", "optimizer moment": "is none that gradients make",
            "poisoned token": "has one row unlike all others",
            "huge weight": "has one entry unlike all others"}[cause]
    causes = [f"{cause}: {odd.words}; {origin}"]
    if cause == "poisoned token" and "not finite" in odd.words:
        causes.append(f"infinite weight: in the row of id {odd.token}")
    return Finding(step, direction, odd.block, odd.tensor, tuple(causes), what,
                   began_at=past.began_at if past else None)


# --- an operation ----------------------------------------------------------------------------


def _of_operation(now: Failure, past: Past | None) -> Finding | None:
    """The first tensor that does not follow from its own inputs."""
    wrong = [(one, one.deviation) for one in now.seen
             if one.deviation and one.deviation.kind != "overflow"]
    if not wrong:
        return None
    first, deviation = wrong[0]
    # A norm of a norm is the norm itself while gains are 1: only its gradient tells.
    twice = [one for one, how in wrong
             if one.tensor in NORMS_BACK and how.kind == "twice" and "norm of a norm" in how.words]
    if first.direction == BACKWARD and first in twice:
        order = [(one.block if one.block is not None else 1 << 30, NORMS_BACK[one.tensor])
                 for one in twice]
        block, tensor = min(order)
        return _finding(now, past, FORWARD, None if block == 1 << 30 else block, tensor,
                        (f"norm applied twice: {deviation.words}, by its gradient",),
                        "is normed twice")
    causes = [_cause(first, deviation)]
    if now.common and deviation.kind in ("not finite", "some rows"):
        causes.append(f"poisoned token: {_ids(now.common)} in all sequences that break and in no "
                      "other")
    if first.direction == BACKWARD and deviation.kind != "not finite":
        causes.append("wrong gradient: every tensor of the forward pass follows from its inputs")
    return _finding(now, past, first.direction, first.block, first.tensor, tuple(causes),
                    "is the first not finite" if not first.is_finite
                    else "is the first that its inputs do not explain", first)


def _cause(seen: Seen, deviation: Deviation) -> str:
    name = CAUSES[deviation.kind]
    if deviation.kind == "twice" and "norm" not in seen.tensor + deviation.words:
        name = "applied twice"
    if deviation.kind == "left out":
        name = ("norm left out" if "norm" in seen.tensor else
                "missing scale" if "gain" in deviation.words else "left out")
    return f"{name}: {deviation.words}"


def _ids(tokens: list[int]) -> str:
    return f"id {tokens[0]} is" if len(tokens) == 1 else (
        f"ids {', '.join(map(str, tokens[:5]))} are")


def _of_batch(now: Failure, past: Past | None) -> Finding | None:
    """What goes into a step, or comes out of it as a sum, where each operation is right."""
    if now.strayed:
        return _finding(now, past, FORWARD, None, "targets", (f"wrong targets: {now.strayed}",),
                        "are not what comes next")
    if now.total is None:
        return None
    name = CAUSES["wrong" if now.total.kind == "some rows" else now.total.kind]
    return _finding(now, past, BACKWARD, None, "gradient", (
        f"{name}: {now.total.words}, which are the step's sequences by themselves",),
        "is not the mean of its sequences'")


# --- updates ---------------------------------------------------------------------------------


def _of_updates(config: Config, now: Failure, past: Past | None) -> Finding | None:
    """An update that its formula does not give, or not at the rate of the configuration."""
    for one in past.moves if past else ():
        if abs(one.lr_factor - 1) > 0.02:
            return _update(now, past, one, "learning rate", f"the rate that was used is "
                           f"{one.lr_factor:.3g} times that of the configuration's schedule")
        if one.gap > 0.1:
            return _update(now, past, one, "computed wrongly", "the update does not follow from "
                           "gradient, moments and rate")
        if abs(one.factor - 1) > 0.05:
            return _update(now, past, one, "learning rate", f"the update is {one.factor:.3g} "
                           "times what gradient, moments and rate give")
        of_matrices, of_others = one.decay_off
        if of_matrices:
            return _update(now, past, one, "weight decay", "the update shows "
                           f"{config.weight_decay + of_matrices:.3g} of matrices, where "
                           f"{config.weight_decay:g} is asked for")
        if of_others:
            return _update(now, past, one, "weight decay", f"the update shows {of_others:.3g} of "
                           "gains and the like, which have none")
    return None


def _update(now: Failure, past: Past | None, one: Moved, name: str, words: str) -> Finding:
    return _finding(now, past, UPDATE, one.block, one.tensor,
                    (f"{name}: {words}, at step {one.step:,}",),
                    "moves otherwise than it should")


def _of_start(now: Failure, past: Past | None) -> Finding | None:
    start = [one for one in past.odd if one.kind == "initial scale"] if past else []
    if not start:
        return None
    return _finding(now, past, FORWARD, start[0].block, start[0].tensor,
                    (f"missing scale: {start[0].words}",), "begins at another size than it should")


def _of_remains(now: Failure, past: Past | None) -> Finding | None:
    """A failure that no sequence shows by itself: of the step as a whole, or one that does not
    come again, by what it left in memory.
    """
    if now.norm_is_over or not now.left or not all(one.is_finite for one in now.seen):
        return None
    block, tensor = now.left[0]
    direction = BACKWARD if tensor.startswith("gradient") else FORWARD
    if now.whole:
        return _finding(now, past, direction, block, tensor, (
            f"{CAUSES['not finite']}: every time, but only {now.whole}",), "is not finite")
    return Finding(now.step, direction, block, tensor,
                   ("changed from outside: done again from the same numbers the whole step is "
                    "finite, so that memory or processor failed, or code that remembers",),
                   "was not finite", is_repeated=False)


# --- numbers that ran away by themselves -----------------------------------------------------


def _of_growth(config: Config, now: Failure, past: Past | None) -> Finding:
    """Everything was computed rightly: the first tensor out of the finite numbers, else the one
    that grew most.
    """
    broken = next((one for one in now.seen if not one.is_finite or one.deviation), None)
    causes = _why_it_grew(config, now, past)
    if broken:
        return _finding(now, past, broken.direction, broken.block, broken.tensor, causes,
                        "left the finite numbers first", broken)
    if now.norm_is_over:
        largest = max((one for one in now.seen if one.tensor.startswith("gradient")),
                      key=lambda one: one.largest)
        return _finding(now, past, BACKWARD, largest.block, largest.tensor, causes,
                        f"has entries of {largest.largest:.3g}, whose squares are over the largest "
                        "number", largest)
    candidates = [one for one in now.seen if one.direction == FORWARD and one.tensor != "loss"]
    grown = max(candidates, key=lambda one: _growth(past, one), default=None)
    if grown is None:
        return Finding(now.step, FORWARD, None, "loss", causes, "rose")
    return _finding(now, past, FORWARD, grown.block, grown.tensor, causes,
                    f"grew most, {_growth(past, grown):.3g} times", grown)


def _growth(past: Past | None, seen: Seen) -> float:
    sizes = past.sizes_of(seen) if past else ()
    return seen.rms / sizes[0][1] if sizes and sizes[0][1] > 0 else 0.0


def _why_it_grew(config: Config, now: Failure, past: Past | None) -> tuple[str, ...]:
    causes = []
    shrink = config.lr * config.weight_decay
    if shrink > 1:
        causes.append(f"learning rate: times weight decay it is {shrink:.3g}, so that each update "
                      f"multiplies the weights by {1 - shrink:.3g}")
    shares = [one.share for one in past.moves if math.isfinite(one.share)] if past else []
    if shares and max(shares) > FAST:
        causes.append(f"learning rate: with {config.lr:g} an update moved the weights by "
                      f"{max(shares):.3g} times their own size")
    grew = now.weights_rms / INIT_STD
    if not causes and grew > MANY and math.isfinite(grew):
        causes.append(f"learning rate: {config.lr:g} has brought the weights to {grew:.3g} times "
                      "the size they began with")
    scores = [one.largest for one in now.seen if one.tensor == "attn.scores"]
    largest = max((s for s in scores if math.isfinite(s)), default=0.0)
    if not causes:
        causes.append(f"learning rate: {config.lr:g} is the likeliest, as every tensor follows "
                      "from its inputs; a lower one, or a longer warm-up")
    if largest > LARGE_SCORES:
        causes.append(f"attention scores: the largest is {largest:.3g}, so that a query sees one "
                      "key alone")
    return tuple(causes)


def _finding(now: Failure, past: Past | None, direction: str, block: int | None, tensor: str,
             causes: tuple[str, ...], what: str, seen: Seen | None = None) -> Finding:
    shown = seen or next((one for one in now.seen if (one.block, one.tensor) == (block, tensor)),
                         None)
    growth = past.sizes_of(shown) if past and shown else ()
    return Finding(now.step, direction, block, tensor, causes, what, growth,
                   past.began_at if past else None)
