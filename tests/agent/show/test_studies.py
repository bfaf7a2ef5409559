"""The list of studies fits its terminal."""

import pytest

from agent.analysis.studies import StudyFacts
from agent.show.studies import study_list

FACTS = StudyFacts(
    study=3, is_last=True, text="a-text-with-a-long-name.of-many-letters", start="32d/1L AdamW",
    config={}, budget_tokens=20_000, seeds=[0], n_runs=24, n_queued=0, n_confirmed=1,
    confirmed_bpb=0.25, head="E9", head_bpb=1.0, opened_at="2026-03-24T22:00:00Z",
    last_used_at="2026-03-25T06:00:00Z")


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100])
def test_columns_are_dropped_until_the_rest_fits(width: int) -> None:
    lines = study_list([FACTS], width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[1].lstrip().startswith("→ 3  a-text-with-")
    assert "from 32d/1L AdamW" in lines[2]
    times = [line for line in lines if "2026" in line]
    assert all(line.endswith("2026-03-25 06:00") for line in times)  # whole, or not at all


def test_a_wide_terminal_shows_all() -> None:
    assert study_list([FACTS], 100).splitlines()[1].split()[-6:] == [
        "20,000", "24", "+0.2500", "E9", "2026-03-25", "06:00"]
