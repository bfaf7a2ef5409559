"""What a night needs before it begins: time, memory and numbers that are right.

Each is a UserError, of one sentence that ends in what to type instead.
"""

import math
from collections.abc import Callable

from agent import words
from agent.ledger import Calibration, Ledger
from agent.machine import guard
from agent.night import pace
from agent.night.wish import Wish
from agent.search import OVERRUN_S, study, verdict
from engine.config import Config
from engine.errors import UserError
from engine.text import TokenSet

# What is wrong with the numbers of this machine and what mends it; None where they are right.
Prove = Callable[[Config, int], tuple[str, str] | None]


def require_room(ledger: Ledger, known: Calibration, left_s: float | None) -> None:
    """A night has time for one run of the study it goes on with, or for the rest of one."""
    run_s = pace.run_s(ledger, known) or 0.0
    has_begun = any(run.tokens for run in ledger.study_runs(known.id) if run.state == "queued")
    if left_s is not None and run_s > left_s + OVERRUN_S and not has_begun:
        raise UserError(f"one run of study {known.id} takes about {words.duration(run_s)}, longer "
                        f"than the {words.duration(left_s)} of this night; give it more time with "
                        "--for, or open a study of shorter runs with --run-for or --run-tokens")


def why_short(tokens: TokenSet) -> str:
    n = tokens.n_tokens
    return (f"note: {n['confirm']:,} tokens confirm beside the {n['search']:,} that search: an "
            "earlier version cut this text so, and its studies go on with that; a new --home cuts "
            "it into a half and two quarters")


def require_time(run_s: float, wish: Wish, left_s: float | None) -> None:
    """A night has room for the baselines, or is not worth beginning."""
    least_s = math.ceil(verdict.N_BASELINE_SEEDS / (wish.n_trials or 1)) * run_s
    if left_s is not None and least_s > left_s and wish.max_runs is None:
        raise UserError(f"{left_s:.0f} s are too short for a night here: five baseline runs take "
                        f"about {words.duration(least_s)}; give it --for {typed(2 * least_s)}"
                        f"{_smaller(wish)}")
    if left_s is not None and run_s > left_s:
        raise UserError(f"one run takes about {words.duration(run_s)} here, longer than the "
                        f"{words.duration(left_s)} that are left; give it --for "
                        f"{typed(2 * run_s)}, or a smaller --run-tokens or --run-for")


def require_steps(config: Config, n_tokens: int | None, *, or_steps: bool = False) -> None:
    """A budget in tokens has room for so many steps that a run of it tells something.

    or_steps  whether --steps takes any number here
    """
    if n_tokens is None or (n := config.steps_for(n_tokens)) >= study.MIN_STEPS:
        return
    least = study.MIN_STEPS * config.tokens_per_step
    tokens, steps = ("1 token is" if n_tokens == 1 else f"{n_tokens:,} tokens are",
                     "1 step" if n == 1 else f"{n} steps")
    few = ", or any number of steps by --steps" if or_steps else ""
    raise UserError(f"{tokens} {steps} of {config.tokens_per_step:,} tokens, and a run of fewer "
                    f"than {study.MIN_STEPS} steps tells nothing; give --run-tokens "
                    f"{math.ceil(least / 1000)}k or more{few}")


def typed(seconds: float) -> str:
    """A time as one types it, rounded up: 90s, 12m, 3h."""
    for unit, length_s in (("h", 3600), ("m", 60)):
        if seconds > 2 * length_s:
            return f"{math.ceil(seconds / length_s)}{unit}"
    return f"{math.ceil(seconds)}s"


def _smaller(wish: Wish) -> str:
    """A smaller model to ask for; nothing where it is small already."""
    base = Config().assign(wish.settings)
    for width in (base.n_embd // 2, base.n_embd // 4):
        settings = [*wish.settings, f"n_embd={width}"]
        try:
            Config().assign(settings)
        except UserError:  # its heads do not divide that width, say
            continue
        return f", or a smaller model with --set n_embd={width}"
    return ""


def require_memory(config: Config, wish: Wish, *, waits: bool = False) -> None:
    """Memory for a run of this configuration; of a night that waits only what --max-ram allows."""
    predicted_mb = config.predicted_mb(wish.n_replicas)
    word = guard.may_launch(predicted_mb, wish.max_ram_mb, guard.free_mb(), guard.read_swap())
    if word.cause == "max-ram":
        raise UserError(f"{word.reason}; give --max-ram {math.ceil(predicted_mb / 10) * 10}M or "
                        f"more{'' if waits else _smaller(wish)}")
    if not word.is_go and not waits:
        raise UserError(word.reason)


def require_right(prove: Prove, config: Config, wish: Wish) -> None:
    """Numbers of this machine that can be believed, or every loss of the night would be void."""
    if found := prove(config, wish.n_replicas):
        wrong, mends = found
        raise UserError(f"{wrong}; every loss would be void, so nothing was run; first: {mends}")
