"""Branches of a trunk: as many steps of warm-up, and one the beginning of the next."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from engine.errors import ConfigError
from engine.training.optim import learning_rate
from strategies.trunk import branch_step, branching, shares, warm_steps

CONFIG = Config(n_embd=16, n_layer=1, n_head=1, batch_size=4, seq_len=16)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(budgets=st.lists(st.integers(2_000, 5_000_000), min_size=2, max_size=4, unique=True),
       warm=st.sampled_from((0.0, 0.01, 0.03, 0.2)), decay=st.sampled_from((0.1, 0.2, 0.7)))
def test_until_the_shorter_decays_both_have_the_same_rates(
        budgets: list[int], warm: float, decay: float) -> None:
    start = dataclasses.replace(CONFIG, warmup_frac=warm, decay_frac=decay)
    found = branching(start, budgets)
    short, long = sorted(budgets)[:2]
    assert {warm_steps(one, budget) for budget, one in found.items()} == {
        round(warm * start.steps_for(short))}
    assert shares(found[short], short, found[long], long)
    last = branch_step(found[short], short)
    for step in {0, 1, last // 2, last - 1} - {-1}:
        rates = [learning_rate(found[budget], step, found[budget].steps_for(budget))
                 for budget in (short, long)]
        assert rates[0] == pytest.approx(rates[1], rel=1e-12)
    n_steps = start.steps_for(short)
    if last > round(warm * n_steps):  # the first step that is a branch's own
        assert learning_rate(found[short], n_steps - 1, n_steps) < start.lr


def test_another_rate_or_warm_up_shares_nothing() -> None:
    found = branching(CONFIG, (20_000, 80_000))
    short, long = found[20_000], found[80_000]
    assert not shares(short, 20_000, dataclasses.replace(long, lr=1e-4), 80_000)
    assert not shares(short, 20_000, dataclasses.replace(long, warmup_frac=0.2), 80_000)
    assert not shares(long, 80_000, short, 20_000)
    assert not shares(CONFIG, 20_000, CONFIG, 80_000)  # a cosine never stands still


def test_what_has_no_schedule_has_no_trunk() -> None:
    with pytest.raises(ConfigError, match="schedule_free has no schedule"):
        branching(dataclasses.replace(CONFIG, optimizer="schedule_free"), (20_000,))
