"""What a night needs before it begins, and what is said where it lacks that."""

from typing import Any

import pytest

from agent.night.needs import require_right, require_steps
from agent.night.wish import Wish
from agent.trial.prepare import Source
from engine.config import Config
from engine.errors import UserError


def test_numbers_that_are_wrong_stop_it_with_what_mends_them() -> None:
    asked: list[Any] = []

    def prove(config: Config, n_replicas: int) -> tuple[str, str]:
        asked.append((config, n_replicas))
        return "the product of 8×8 by 8×8 is off", "export OPENBLAS_CORETYPE=ARMV8"

    with pytest.raises(UserError, match="off; every loss would be void.*CORETYPE=ARMV8"):
        require_right(prove, Config(), Wish(Source("data"), 3000.0, n_replicas=2))
    assert asked == [(Config(), 2)]
    require_right(lambda *_: None, Config(), Wish(Source("data"), 3000.0))


@pytest.mark.parametrize(("tokens", "words"), [
    (1, "1 token is 1 step of 1,024 tokens, and a run of fewer than 20 steps tells nothing; give "
        "--run-tokens 21k or more"),
    (19_456, "19,456 tokens are 19 steps of 1,024 tokens")])
def test_a_budget_of_a_few_steps_is_refused_with_the_least_that_tells(
        tokens: int, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        require_steps(Config(), tokens)
    assert "--steps" not in str(refused.value)
    with pytest.raises(UserError, match="or any number of steps by --steps"):
        require_steps(Config(), tokens, or_steps=True)
    require_steps(Config(), 19_457)  # twenty steps, the last of them cut short
    require_steps(Config(), None)
