"""What a last event tells of blocks is taken whole or not at all."""

import json
from typing import Any

import pytest

from agent.ledger.records import Blocks
from agent.trial.events import blocks_in

TOLD = {"confirm_blocks": [8.5, 4.0], "confirm_block_bytes": [4, 3]}


def test_blocks_of_a_shard_are_read() -> None:
    event = json.loads(json.dumps(TOLD))
    assert blocks_in(event, "confirm") == Blocks((8.5, 4.0), (4, 3))
    assert blocks_in(event, "test") is None


@pytest.mark.parametrize("changes", [
    {"confirm_blocks": [8.5]}, {"confirm_blocks": [8.5, float("nan")]}, {"confirm_blocks": 8.5},
    {"confirm_blocks": [8.5, None]}, {"confirm_block_bytes": [4, 3.5]},
    {"confirm_block_bytes": None}], ids=str)
def test_spoilt_blocks_are_none(changes: dict[str, Any]) -> None:
    assert blocks_in(TOLD | changes, "confirm") is None
