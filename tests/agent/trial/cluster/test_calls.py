"""What a home has run on a machine of a real cluster."""

import re
from typing import Any


def test_a_machine_keeps_the_files_by_their_hash_and_forgets_the_trial(
        small_cluster: dict[str, Any]) -> None:
    assert small_cluster["left"] == 0
    assert len(small_cluster["sent"]) == 3  # two token files and the tokenizer
    assert all(re.fullmatch("[0-9a-f]{64}", name) for name in small_cluster["sent"])
