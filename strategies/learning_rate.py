"""learning_rate: close in on the best rate for this recipe, then on its schedule."""

import dataclasses
import functools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from numpy.random import Generator

from engine.config import Config
from strategies.base import (
    DEFAULT_LIMITS,
    LION_FACTOR,
    NEAR,
    Change,
    Limits,
    Outcome,
    Proposal,
    Scored,
    fresh,
    rate_at,
    round_2,
    scores,
    shown,
    shuffled,
)

STEPS = (3.0, 2.0, 1.5)  # bold first, unless a like recipe's best rate is known
FINE_STEPS = (1.2, 1.1)
N_FIT = 5  # rates nearest the best: the curve is a parabola only near its bottom
FIT_REACH = 2.0  # how far past the tried rates a fitted minimum is believed
SAME = 1.1  # rates closer than this are not worth another run


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, history, rng, limits), parent, history, limits,
                 "learning_rate")


def _candidates(parent: Config, history: Sequence[Outcome], rng: Generator,
                limits: Limits) -> Iterator[Change]:
    """The fitted minimum, then the schedule once the rate is bracketed, then steps."""
    own = _recipe(parent)
    kin = [o for o in history if _recipe(o.config) == own]
    ranked = scores(history, limits.budget_tokens)
    judged = {s.config.lr: s for s in ranked if _recipe(s.config) == own}
    finished = {lr: s.bpb for lr, s in judged.items() if s.has_finished}
    best = min(finished, key=lambda lr: finished[lr], default=parent.lr)
    ceiling = min((o.config.lr for o in kin if _limits_the_rate(o) and o.config.lr > best),
                  default=math.inf)
    below = max((lr for lr in judged if lr < best), default=0.0)
    above = min([lr for lr in judged if lr > best] + [ceiling])
    yield from _fitted(finished, judged, best, ceiling)
    if below * 2 >= best and above <= best * 2:
        yield from _schedules(parent, best, rng)
    coin = 1 if rng.integers(2) else -1
    recipes = _recipes(ranked, parent)
    # Up if only worse rates below are known, down if only above (divergence is above).
    direction = ((below > 0) - (above < math.inf) or _elsewhere(recipes, parent)
                 or _towards_usual(parent, best) or coin)
    is_near = any(min(rates) < rates[0] < max(rates) for rates in recipes)
    for change in _steps(finished, best, direction, STEPS[::-1] if is_near else STEPS):
        if change.fields["lr"] < ceiling:
            yield change


@functools.lru_cache(maxsize=1 << 14)  # asked of every known run, for every idea
def _recipe(config: Config) -> str:
    """What a configuration is beside its rate: the same hash for the same recipe."""
    return dataclasses.replace(config, lr=Config().lr).hash


def _limits_the_rate(outcome: Outcome) -> bool:
    """Whether a run broke in a way that a higher rate would not mend."""
    return outcome.state in ("diverged", "failed") and not outcome.is_out_of_memory


def _fitted(found: Mapping[float, float], judged: Collection[float], best: float,
            ceiling: float) -> Iterator[Change]:
    """The lowest point of a parabola through what finished, where nothing was judged yet."""
    if len(found) < 3:
        return
    rates = sorted(sorted(found, key=lambda lr: abs(math.log(lr / best)))[:N_FIT])
    minimum = parabola_minimum([math.log(lr) for lr in rates], [found[lr] for lr in rates])
    if minimum is None:
        return
    low = math.log(rates[0] / FIT_REACH)
    high = math.log(min(rates[-1] * FIT_REACH, ceiling / (NEAR * 1.05)))
    lr = round_2(math.exp(min(max(minimum, low), high)))
    if all(abs(math.log(lr / tried)) >= math.log(SAME) for tried in judged):
        yield Change({"lr": lr}, f"minimum of a parabola through {len(rates)} rates from "
                     f"{_point(found, rates[0])} to {_point(found, rates[-1])}")


def parabola_minimum(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Where the least-squares parabola through three or more points is lowest.

    None when it opens downwards. With u = x − mean(x), the polynomials 1, u and
    q = u² − u·Σu³/Σu² − Σu²/n are orthogonal on the points, so y ≈ ȳ + b·u + c·q
    has b = Σyu/Σu², c = Σyq/Σq² and its lowest point at u = Σu³/Σu²/2 − b/(2c).
    """
    centre = sum(xs) / len(xs)
    u = [x - centre for x in xs]
    s2 = sum(v**2 for v in u)
    skew = sum(v**3 for v in u) / s2
    q = [v * v - skew * v - s2 / len(u) for v in u]
    c = sum(y * w for y, w in zip(ys, q, strict=True)) / sum(w * w for w in q)
    b = sum(y * v for y, v in zip(ys, u, strict=True)) / s2
    return centre + skew / 2 - b / (2 * c) if c > 0 else None


def _recipes(ranked: Sequence[Scored], parent: Config) -> list[list[float]]:
    """Rates tried with each recipe of the parent's optimizer, the best one first.

    Those of another width are brought to the parent's by the width rule. Recipes that never
    finished tell nothing.
    """
    found: dict[str, list[float]] = {}
    for one in ranked:
        if one.config.optimizer == parent.optimizer:
            recipe = _recipe(one.config)
            if one.has_finished or recipe in found:  # those that finished come first
                found.setdefault(recipe, []).append(
                    rate_at(one.config.lr, parent.optimizer, parent.n_embd / one.config.n_embd))
    return list(found.values())


def _elsewhere(recipes: Sequence[Sequence[float]], parent: Config) -> int:
    """Where the best rates of other recipes lie: 1 is above the parent's, −1 below, 0 unknown.

    Each recipe that more than one rate was tried with has one vote.
    """
    votes = 0
    for best, *worse in recipes:
        if not worse:
            continue
        if max(best / parent.lr, parent.lr / best) >= SAME:
            votes += 1 if best > parent.lr else -1
        else:
            votes += (min(worse) < best) - (max(worse) > best)
    return (votes > 0) - (votes < 0)


def _towards_usual(parent: Config, best: float) -> int:
    """Where the default recipe's rate lies, brought to the parent's width and optimizer."""
    usual = rate_at(Config().lr, parent.optimizer, parent.n_embd / Config().n_embd)
    if parent.optimizer == "lion":
        usual /= LION_FACTOR
    return (best * SAME < usual) - (best > usual * SAME)


def _steps(found: Mapping[float, float], best: float, direction: int,
           steps: Sequence[float]) -> Iterator[Change]:
    """Steps from the best rate in the given direction, then the other; small ones last."""
    for sign, factors in ((direction, steps), (-direction, steps),
                          (direction, FINE_STEPS), (-direction, FINE_STEPS)):
        for factor in factors:
            word = "×" if sign > 0 else "÷"
            yield Change({"lr": best * factor**sign},
                         f"a step {word} {factor:g} from {_point(found, best)}")


def _schedules(parent: Config, best: float, rng: Generator) -> Iterator[Change]:
    why = f"the learning rate is bracketed around {shown(best)}"
    changes = [Change({"lr": best, "warmup_frac": value}, f"{why}; now its warm-up")
               for value in _halved_doubled(parent, "warmup_frac", 0.3)]
    if parent.effective_schedule != "constant":
        changes += [Change({"lr": best, "min_lr_frac": value}, f"{why}; now where it ends")
                    for value in _halved_doubled(parent, "min_lr_frac", 0.5)]
    if parent.optimizer != "schedule_free":
        changes += [Change({"lr": best, "schedule": name}, f"{why}; now its schedule")
                    for name in ("cosine", "wsd") if name != parent.schedule]
    yield from shuffled(changes, rng)


def _halved_doubled(parent: Config, name: str, largest: float) -> list[float]:
    """Half and double the field, up to largest; a field at zero goes to its default."""
    value = getattr(parent, name)
    if value == 0:
        return [getattr(Config(), name)]
    return [v for v in (value / 2, value * 2) if v <= max(largest, value)]


def _point(found: Mapping[float, float], lr: float) -> str:
    score = f" ({found[lr]:.3f} bits/byte)" if lr in found else ""
    return f"{shown(lr)}{score}"
