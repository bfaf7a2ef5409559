"""What a night needs before it begins, and what is said where it lacks that."""

from typing import Any

import pytest

from agent.night.needs import require_right
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
