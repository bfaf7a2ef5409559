"""The memory that is foreseen is a sum of what grows with rows and what does not.

That it is exactly what a step takes is tested with the model: tests/engine/model/test_gpt.py.
"""

import pytest

from engine.blocks import EVAL_TOKENS, workspace_floats
from engine.config import Config


def test_a_batch_of_twice_the_rows_takes_at_most_twice_the_memory():
    config = Config()
    rows = EVAL_TOKENS // config.seq_len  # from here on evaluation needs less than the step
    assert workspace_floats(config, rows) < workspace_floats(config, 2 * rows)
    assert workspace_floats(config, 2 * rows) < 2 * workspace_floats(config, rows)


@pytest.mark.parametrize("n_kv_head", [1, 2])
def test_shared_heads_keep_fewer_keys_and_values(n_kv_head):
    plain, grouped = Config(), Config(n_kv_head=n_kv_head)
    saved = 2 * (plain.kv_width - grouped.kv_width) * plain.n_layer * 1024
    assert workspace_floats(plain, 8) - workspace_floats(grouped, 8) >= saved * 0.9


def test_a_config_foresees_what_its_whole_batch_takes():
    config = Config(batch_size=3)
    assert config.workspace_floats == workspace_floats(config, 3)
