"""Runs that share a trunk: at a constant rate as far as they go together, then a decay each.

A run of the wsd schedule is, until its decay begins, the beginning of every longer one with as
many steps of warm-up. So of a row of budgets only the longest is trained from its first step on;
each shorter one costs its decay alone, and what a branch gives is what the run alone would give,
bit for bit. Sources: Hu et al. 2024, arXiv:2404.06395, section 4.5; Hägele et al. 2024,
arXiv:2405.18392, who fit a law so.
"""

import dataclasses
from collections.abc import Iterable

from engine.config import Config
from engine.errors import ConfigError


def branching(config: Config, budgets: Iterable[int]) -> dict[int, Config]:
    """The configuration as a branch at every budget, in tokens: wsd, as many steps of warm-up.

    That many as the shortest would have. Raises ConfigError where there is no schedule to decay.
    """
    if config.optimizer == "schedule_free":
        raise ConfigError("schedule_free has no schedule, so its runs share no trunk; give "
                          "--set optimizer=adamw, or no --trunk")
    steps = {budget: config.steps_for(budget) for budget in budgets}
    n_warm = round(config.warmup_frac * min(steps.values(), default=0))
    return {budget: dataclasses.replace(config, schedule="wsd", warmup_frac=n_warm / n)
            for budget, n in steps.items()}


def warm_steps(config: Config, budget_tokens: int) -> int:
    return round(config.warmup_frac * config.steps_for(budget_tokens))


def branch_step(config: Config, budget_tokens: int) -> int:
    """The last step that a longer run has, too: after it the rate falls."""
    n_steps = config.steps_for(budget_tokens)
    return n_steps - max(1, round(config.decay_frac * n_steps))


def shares(one: Config, budget_tokens: int, other: Config, other_tokens: int) -> bool:
    """Whether the first run, up to its branch, is the beginning of the second."""
    return (one.schedule == other.schedule == "wsd"
            and warm_steps(one, budget_tokens) == warm_steps(other, other_tokens)
            and branch_step(one, budget_tokens) <= branch_step(other, other_tokens)
            and one == dataclasses.replace(other, warmup_frac=one.warmup_frac))
