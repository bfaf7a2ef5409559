"""Optuna's samplers as arms; the extra `bench`.

Its parameters are places on the axes of strategies/tpe.py, so that no range is written twice. Each
of its trials trains on one seed, the first of the agent's. A trial that may not run is told it was
pruned, from which TPE learns as Optuna's manual advises, and it costs no tokens; it counts as
wasted.
"""

import math
import warnings
from typing import Any

import numpy as np

from engine.config import Config
from strategies import tpe
from strategies.base import Limits, repaired, why_not
from tests.bench.arms.course import Course, Found, Report

RUNGS = (0.25, 0.5)  # of a run, where MedianPruner looks
PRUNED = ("tpe", "tpe-deaf")  # arms that have it
MAX_TRIALS = 100  # for each run of the night: a sampler that finds nothing legal ends there



def places(start: Config) -> dict[str, Any]:
    """Optuna's parameters of a configuration, without those that have no effect in it."""
    point = tpe._points([start])[0]
    found: dict[str, Any] = {axis.name: float(place) for axis, place
                             in zip(tpe.AXES, point, strict=False)}
    found |= {name: getattr(start, name) for name in tpe.CHOICES}
    return {name: found[name] for name, place in zip(tpe.NAMES[:tpe.N_SETTLED], point, strict=False)
            if not math.isnan(place)}


def config_of(trial: Any, start: Config) -> Config:
    """The configuration at the place that Optuna suggests."""
    point = [trial.suggest_float(axis.name, 0.0, 1.0) for axis in tpe.AXES]
    point += [options.index(trial.suggest_categorical(name, options[:n]))
              for (name, options), n in zip(tpe.CHOICES.items(), tpe.N_CHOICES, strict=False)]
    young = tpe._points([start])[0, tpe.N_SETTLED:]  # no parameters of Optuna: the start's
    active = tpe._active(np.array([[*point, *young]], dtype=float))[0]
    return repaired(start, tpe._fields(active, start))


def sampler_of(arm: str, seed: int, start: Config) -> Any:
    from optuna import samplers  # of the extra `bench`, and slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # multivariate is called experimental, x0 deprecated
        if arm == "random":
            return samplers.RandomSampler(seed=seed)
        if arm == "cma":
            place = places(start)  # a field without effect begins in the middle of its axis
            return samplers.CmaEsSampler(
                x0={axis.name: place.get(axis.name, 0.5) for axis in tpe.AXES}, seed=seed,
                independent_sampler=samplers.RandomSampler(seed=seed),
                warn_independent_sampling=False)
        return samplers.TPESampler(multivariate=arm != "tpe-plain", seed=seed)


def optuna_night(course: Course, seed: int, arm: str, report: Report) -> Found:
    import optuna  # the extra `bench`

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner() if arm in PRUNED else optuna.pruners.NopPruner()
    peer = optuna.create_study(sampler=sampler_of(arm, seed, course.start), pruner=pruner)
    peer.enqueue_trial(places(course.start))
    found, known, best_bpb = Found(course.start), dict[str, float | None](), math.inf
    rungs, limits = RUNGS if arm in PRUNED else (), course.limits()
    for _ in range(MAX_TRIALS * course.n_runs):
        n_left = course.n_left(found.tokens)
        if not n_left:
            break
        trial = peer.ask()
        config = config_of(trial, course.start)
        value = _value(trial, config, seed, course, limits, rungs, found, known)
        if value is None:
            is_unheard = arm == "tpe-deaf" and why_not(config, limits)
            peer.tell(trial, state=optuna.trial.TrialState.FAIL if is_unheard
                      else optuna.trial.TrialState.PRUNED)
        else:
            peer.tell(trial, value)
            if value < best_bpb:
                best_bpb = value
                found.hand_over(config, "best trial")
        report(1 - n_left / course.n_runs)
    else:
        found.end = f"{MAX_TRIALS * course.n_runs} trials"
    start_bpb = known.get(course.start.hash)
    if start_bpb is not None:
        found.claimed_gain = start_bpb - best_bpb
    return found


def _value(trial: Any, config: Config, seed: int, course: Course, limits: Limits,
           rungs: tuple[float, ...], found: Found, known: dict[str, float | None],
           ) -> float | None:
    """What Optuna is told of a trial; None where it has no final score."""
    if why_not(config, limits):
        found.wasted["out of bounds"] += 1
        return None
    if config.hash in known:
        found.wasted["duplicate"] += 1
        return known[config.hash]

    def is_hopeless(number: int, bpb: float) -> bool:
        trial.report(bpb, number)
        return bool(trial.should_prune())

    n_steps = config.steps_for(course.budget_tokens)
    ended = course.train(config, seed, ("search",), [round(share * n_steps) for share in rungs],
                         is_hopeless)
    found.take(ended)
    value = known[config.hash] = ended.bpb.get("search")
    found.verdicts["pruned"] += ended.state == "pruned"
    found.story.append(f"{trial.number} {config.describe()}: {value or ended.state}")
    return value
