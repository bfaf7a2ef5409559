"""What a night was asked to be."""

from agent.machine import machine
from agent.night.wish import DEFAULT_LIMITS, Wish
from agent.trial.prepare import Source


def test_what_is_not_said_limits_nothing() -> None:
    wish = Wish(Source("data"), 3000.0)
    assert (wish.night_s, wish.max_runs, wish.run_tokens, wish.study) == (None,) * 4
    assert (wish.n_replicas, wish.limits) == (machine.n_cores(), DEFAULT_LIMITS)
