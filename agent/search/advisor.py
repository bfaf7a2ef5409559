"""The next idea: of all that the strategies and the whole space offer, the one that promises most.

A model of all results ranks them by expected improvement over the head. What it knows of others'
studies makes the first ideas of a night good ones; its uncertainty makes early moves bold and late
ones fine. A function of its arguments alone, so a night that was interrupted proposes the same.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.random import Generator

from agent.search.prior import Elsewhere
from agent.search.surrogate import LENGTHS, Array, Result, Surrogate, expected_improvement
from agent.trial import rung
from engine.config import Config
from engine.errors import ConfigError, NoProposal
from strategies import STRATEGIES, explore
from strategies.base import (
    Limits,
    Mutator,
    Outcome,
    Proposal,
    describe_changes,
    door,
    repaired,
    scores,
)
from strategies.features import features
from strategies.newcomers import variants

LEAST_BPB = 1e-4  # a text that repeats itself may score 0, which has no logarithm
WORST = 1.6  # times the best: what is worse counts as this, since how bad it is says nothing
DIVERGED_NOISE = 0.1  # of the logarithm, where a run has no score of its own
RUNG_NOISE = 0.03  # of the logarithm, at least, where the end is foretold from the rung
NOISE = 0.02  # of the logarithm of a score over seeds, as the nights that judged it had it
N_OWN, N_ELSEWHERE = 300, 400  # results that the model takes, the best
N_WAITING = 400  # of what waits or runs, the newest
N_STARTS, N_ROUNDS, N_MOVES = 12, 6, 40  # of the search for what the model likes best
N_LIKED, N_LIKED_OF_ONE = 48, 4  # of what it likes are offered, and for each idea asked for
N_TOLD = 4  # changes that are told; the configuration tells all
N_MUTATORS = 2  # proposals of each strategy
N_VARIED = 4  # starts of which every newcomer is offered, the head first
NEAREST = 0.15  # in lengths of the model: what is nearer to a known result would repeat it
FADED = 1e-3  # what is left of its worth
BY_LUCK = 0.15  # share of ideas that the bandit's strategy has without the model, which may err

HELD = ("vocab_size", "rope_base")  # fields that a recipe from elsewhere does not carry along


@dataclass(frozen=True)
class Known:
    """What is known when an idea is asked for."""

    outcomes: Sequence[Outcome]  # of this study's text, ended or not
    elsewhere: Sequence[Elsewhere]  # other studies' results
    is_timed: bool = False  # whether it is time that ends the night: then cheap ideas count more
    outside: Mapping[str, Mutator] = field(default_factory=dict)  # strategies of other packages

    def ask(self, name: str, parent: Config, rng: Generator, seed: Sequence[int],
            limits: Limits) -> Proposal:
        """What a strategy proposes; one of another package draws from a chance of its own.

        So that asking it changes nothing for the others. Raises NoProposal.
        """
        if name in STRATEGIES:
            return STRATEGIES[name](parent, self.shown, rng, limits)
        chance = np.random.default_rng([*seed, *name.encode()])
        return self.outside[name](parent, self.shown, chance, limits)

    @cached_property
    def shown(self) -> Sequence[Outcome]:
        """What strategies are shown: of a long history the newest runs and the best."""
        if len(self.outcomes) <= 2 * N_OWN:
            return self.outcomes
        older = [o for o in self.outcomes[:-N_OWN] if o.val_bpb is not None]
        best = sorted(older, key=lambda o: o.val_bpb or math.inf)[:N_OWN]
        return [*best, *self.outcomes[-N_OWN:]]


def choose(parent: Config, known: Known, names: Sequence[str], seed: Sequence[int],
           limits: Limits) -> Proposal:
    """The proposal of the largest expected improvement over the parent, of those that fit.

    names  strategies that may offer ideas, first the one whose turn it is: a part of the ideas
           are its own, whatever the model thinks. Raises NoProposal where nothing fits.
    """
    return choose_some(parent, known, names, seed, limits, 1)[0]


def choose_some(parent: Config, known: Known, names: Sequence[str], seed: Sequence[int],
                limits: Limits, most: int) -> list[Proposal]:
    """So many proposals at most, of one model: the best first, none a repetition of another.

    The first is what `choose` gives. One fit for many is what many workers at once can wait for.
    """
    rng = np.random.default_rng(list(seed))
    barrier = door(parent, known.outcomes, limits)
    first, more = list[Proposal](), list[Proposal]()
    for i in range(most):
        chance = np.random.default_rng([*seed, i]) if i else rng
        if chance.random() < BY_LUCK:
            said = {one.config.hash for one in (*first, *more)}
            (more if i else first).extend(
                one for one in _by_luck(parent, known, names, seed, limits, chance, barrier)
                if one.config.hash not in said)
    n_model = most - len(first) - len(more)
    if n_model <= 0:
        return [*first, *more][:most]
    model, crowd = _model(known, limits.budget_tokens)
    view = View(model, known, limits, parent, barrier, crowd)
    try:
        offers = _offers(view, names, rng, seed)
    except NoProposal:
        if not (first or more):
            raise
        return [*first, *more]
    if "explore" in names:
        _climb(offers, _starts(view), view, rng, max(N_LIKED, N_LIKED_OF_ONE * most))
    return [*first, *_best_offers(offers, view, [*first, *more], n_model), *more]


def _by_luck(parent: Config, known: Known, names: Sequence[str], seed: Sequence[int],
             limits: Limits, rng: Generator, barrier: Callable[[Config], str | None]
             ) -> list[Proposal]:
    """What the first strategy that has something proposes, whatever the model thinks of it."""
    for name in names:
        with suppress(NoProposal):
            offer = known.ask(name, parent, rng, seed, limits)
            if barrier(offer.config) is None:
                return [offer]
    return []


class View:
    """What the model thinks of configurations, beside the one that is to be improved on."""

    def __init__(self, model: Surrogate, known: Known, limits: Limits, parent: Config,
                 barrier: Callable[[Config], str | None],
                 crowd: Sequence[tuple[float, ...]] = ()) -> None:
        self._crowd = np.array(crowd, dtype=float) / LENGTHS if crowd else None  # (W, features)
        self.model, self.known, self.limits, self.parent = model, known, limits, parent
        self.barrier = barrier  # what keeps a configuration from being an idea; None: nothing
        self.best = float(self.predict([parent])[0][0])
        self.least = NOISE  # what gains less than a paired difference errs by is no step: SEARCH

    def predict(self, configs: Sequence[Config]) -> tuple[Array, Array]:
        """Mean and standard deviation of the logarithm of bits a byte, (N,) each."""
        return self.model.predict(self._features(configs))

    def _features(self, configs: Sequence[Config]) -> list[tuple[float, ...]]:
        return [features(one, self.limits.budget_tokens) for one in configs]

    def places(self, configs: Sequence[Config]) -> Array:
        """Where configurations lie, in lengths of the model: (N, features)."""
        found: Array = np.asarray(self._features(configs)) / LENGTHS
        return found

    def worth(self, configs: Sequence[Config]) -> Array:
        """Expected improvement, (N,); of a second where time ends the night."""
        x = self._features(configs)
        found = expected_improvement(*self.model.predict(x), self.best - self.least)
        found = np.where(self._distances(x) < NEAREST, found * FADED, found)
        run_s = self.limits.run_s
        if self.known.is_timed and run_s is not None:
            budget = self.limits.budget_tokens
            found = found / np.array([run_s(one, budget) for one in configs])
        return np.asarray(found)

    def _distances(self, x: list[tuple[float, ...]]) -> Array:
        """How far each is from what has run, runs or waits, in lengths of the model: (N,)."""
        found = self.model.distances(x)
        if self._crowd is None:
            return found
        at = np.array(x, dtype=float) / LENGTHS
        squares = (np.sum(at**2, axis=1)[:, None] + np.sum(self._crowd**2, axis=1)
                   - 2 * at @ self._crowd.T)
        return np.asarray(np.minimum(found, np.sqrt(np.maximum(squares, 0.0).min(axis=1))))


# --- what the model is told ------------------------------------------------------------------


def results(known: Known, budget_tokens: int) -> list[Result]:
    """The model's view: this study's configurations as study 0, the others' behind it."""
    judged = [o for o in known.outcomes if o.budget_tokens == budget_tokens]
    finals = [max(LEAST_BPB, o.val_bpb) for o in judged
              if o.state == "finished" and o.val_bpb is not None]
    found: list[Result] = []
    if finals:
        best = min(finals)
        falls, by_config = at_rung(judged), dict[str, list[tuple[Outcome, float, float]]]()
        for outcome in judged:
            said = _said(outcome, WORST * best, falls)
            if said is not None:
                by_config.setdefault(outcome.config.hash, []).append((outcome, *said))
        means = [(told[0][0].config, sum(y for _, y, _ in told) / len(told),
                  max(sd for *_, sd in told) / math.sqrt(len(told)))
                 for told in by_config.values()]
        means.sort(key=lambda mean: mean[1])
        found = [Result(features(config, budget_tokens), y, sd, 0)
                 for config, y, sd in means[:N_OWN]]
    return found + _elsewhere(known.elsewhere[:N_ELSEWHERE])


def _model(known: Known, budget_tokens: int) -> tuple[Surrogate, list[tuple[float, ...]]]:
    """The model of all results; what waits or runs counts as if it had scored what is expected.

    So ideas that are asked for while others run are not the same ones again: the believer of
    Ginsbourger et al. 2010. Of many that run the model takes the newest; the others' features are
    returned with it, next to which no idea is worth anything either.
    """
    told = results(known, budget_tokens)
    model, seen = Surrogate(told), {one.x for one in told if one.study == 0}
    waiting = list(dict.fromkeys(x for o in known.outcomes if o.state in ("queued", "running")
                                 and o.budget_tokens == budget_tokens
                                 and (x := features(o.config, budget_tokens)) not in seen))
    if not (waiting and told):
        return model, []
    xs = sorted(waiting[-N_WAITING:])
    mean, _ = model.predict(xs)
    return Surrogate([*told, *(Result(x, float(y), NOISE, 0)
                               for x, y in zip(xs, mean, strict=True))]), waiting[:-N_WAITING]


def at_rung(judged: Sequence[Outcome]) -> dict[str | None, tuple[float, float]]:
    """How far a run still falls after its rung, by kind of schedule: mean and spread of the log."""
    falls: dict[str | None, list[float]] = {}
    for outcome in judged:
        if outcome.state == "finished" and outcome.rung_bpb and outcome.val_bpb:
            falls.setdefault(rung.kind(outcome.config), []).append(
                math.log(outcome.val_bpb / outcome.rung_bpb))
    return {kind: (statistics.median(found), max(RUNG_NOISE, statistics.pstdev(found)))
            for kind, found in falls.items()}


def _said(outcome: Outcome, worst: float,
          falls: Mapping[str | None, tuple[float, float]]) -> tuple[float, float] | None:
    """What a trial says of its configuration, as log bpb and its noise; None where nothing."""
    if outcome.state == "finished" and outcome.val_bpb is not None:
        return math.log(max(LEAST_BPB, min(outcome.val_bpb, worst))), NOISE
    if outcome.is_pruned and outcome.rung_bpb is not None:
        fall, spread = falls.get(rung.kind(outcome.config), (0.0, DIVERGED_NOISE))
        return min(math.log(max(LEAST_BPB, outcome.rung_bpb)) + fall, math.log(worst)), spread
    return (math.log(worst), DIVERGED_NOISE) if outcome.state == "diverged" else None


def _elsewhere(rows: Sequence[Elsewhere]) -> list[Result]:
    least: dict[str, float] = {}
    for row in rows:
        least[row.study] = min(row.bpb, least.get(row.study, math.inf))
    number = {study: i for i, study in enumerate(least, start=1)}
    return [Result(features(row.config, row.budget_tokens),
                   math.log(max(LEAST_BPB, min(row.bpb, WORST * least[row.study]))),
                   NOISE / math.sqrt(row.n), number[row.study]) for row in rows]


# --- what is offered -------------------------------------------------------------------------

Offers = dict[str, tuple[Config, str, str]]  # by hash: configuration, strategy, why


def _offers(view: View, names: Sequence[str], rng: Generator, seed: Sequence[int]) -> Offers:
    """Proposals of the strategies. Raises NoProposal with every reason where none has any."""
    found: Offers = {}
    refusals = []
    for name in names:
        for _ in range(N_MUTATORS):
            try:
                offer = view.known.ask(name, view.parent, rng, seed, view.limits)
            except NoProposal as refusal:
                refusals.append(str(refusal))
                break
            if offer.config.hash in found or view.barrier(offer.config) is not None:
                break  # it has only this to say, or what a long history holds already
            found[offer.config.hash] = (offer.config, name, offer.reason.partition(": ")[2])
    if not found:
        raise NoProposal("no strategy found anything that fits: " + "; ".join(refusals))
    return found


def _starts(view: View) -> list[Config]:
    """Where bold moves begin: the head, the best of this study, the best of others here."""
    parent, known = view.parent, view.known
    own = [s.config for s in scores(known.outcomes, view.limits.budget_tokens)[:N_STARTS]
           if s.has_finished]
    others = [one for row in known.elsewhere if (one := _carried(parent, row.config))]
    if others:
        mean, _ = view.predict(others)
        others = [others[i] for i in np.argsort(mean, kind="stable")[:N_STARTS]]
    return [parent, *own, *others]


def _carried(parent: Config, config: Config) -> Config | None:
    """A recipe from elsewhere as it would be here; None where it does not fit together.

    Of a field that is younger than most recipes, such as the mixer, only what was chosen is taken.
    """
    held = {*HELD, *config.unused}
    fields = {name: value for name, value in config.to_dict().items() if name not in held}
    try:
        return repaired(parent, fields)
    except ConfigError:
        return None


def _climb(offers: Offers, starts: Sequence[Config], view: View, rng: Generator,
           n_liked: int) -> None:
    """Add to the offers what rounds of bold moves find that the model likes most."""
    found = {one.hash: one for one in (*starts, *_varied(starts))
             if view.barrier(one) is None}
    ranked, worth = list(found.values()), dict[str, float]()
    for _ in range(N_ROUNDS):
        for _ in range(N_MOVES):
            near = ranked[:N_STARTS] or starts  # where nothing fits yet, moves from what does not
            start = near[int(rng.integers(len(near)))]
            size = explore.SIZES[int(rng.integers(len(explore.SIZES)))]
            moved = explore.move(start, rng, size)
            if moved.hash not in found and view.barrier(moved) is None:
                found[moved.hash] = moved
        new = [one for name, one in found.items() if name not in worth]
        if new:
            worth.update(zip((one.hash for one in new), view.worth(new).tolist(), strict=True))
        ranked = sorted(found.values(), key=lambda one: -worth[one.hash])
    for config in ranked[:n_liked]:
        offers.setdefault(config.hash, (config, "explore", "results so far favour it"))


def _varied(starts: Sequence[Config]) -> Iterator[Config]:
    for start in starts[:N_VARIED]:
        for fields in variants(start):
            with suppress(ConfigError):  # a shape that the other mixer cannot have
                yield repaired(start, fields)


def _best_offers(offers: Offers, view: View, taken: Sequence[Proposal],
                 most: int) -> list[Proposal]:
    """The offers that are worth most, none of them next to another or to what is taken."""
    every = list(offers.values())
    configs = [config for config, *_ in every]
    order = np.argsort(-view.worth(configs), kind="stable")
    places = view.places([*configs, *(one.config for one in taken)])
    held = list(range(len(configs), len(places)))
    found: list[Proposal] = []
    for i in map(int, order):
        if not held or np.sqrt(np.sum((places[held] - places[i]) ** 2, axis=1)).min() >= NEAREST:
            found.append(_told(every[i], view))
            held.append(i)
        if len(found) == most:
            break
    return found


def _told(offer: tuple[Config, str, str], view: View) -> Proposal:
    """An offer as a proposal, with what is expected of it."""
    config, name, why = offer
    mean, sd = (float(found[0]) for found in view.predict([config]))
    low, high = (100 * math.expm1(mean + side * sd - view.best) for side in (-2, 2))
    changes = describe_changes(view.parent, config).split(", ")
    more = f" and {len(changes) - N_TOLD} more" if len(changes) > N_TOLD else ""
    return Proposal(config, f"{', '.join(changes[:N_TOLD])}{more}: {why}; "
                            f"{low:+.0f} to {high:+.0f} % bits/byte expected", name, (mean, sd))
