"""The machine over a study."""

from typing import Any

from agent.analysis.hours import Hours
from agent.analysis.machine_course import MOST_WORDS, machine_course
from agent.ledger.records import Event
from tests.support.run_rows import row


def word(number: int, data: Any = None) -> Event:
    return Event(id=number, at="2026-01-01T00:01:30Z", kind="guard", run_id=None, label=None,
                 message=f"word {number}", data=data)


def test_runs_and_words_lie_on_the_clock_of_training_with_what_was_read() -> None:
    rows = [row(1), row(2, device=None), row(3, tok_per_s=None, peak_mb=None)]
    found = machine_course(rows, [
        word(2, {"battery_percent": 55, "battery_c": 31.0, "thermal_c": 60.0}),
        word(1, {"thermal_c": 44.5, "free_mb": 150.0}), word(3, {"battery_percent": "unknown"})],
        Hours(rows))
    assert found.devices == ["a board"]
    assert [load.label for load in found.loads] == ["E1", "E2"]
    assert [(one.message, one.battery_pct, one.heat_c, one.free_mb) for one in found.words] == [
        ("word 1", None, 44.5, 150.0), ("word 2", 55.0, 31.0, None), ("word 3", None, None, None)]
    assert {one.hours for one in found.words} == {1 / 60}


def test_of_many_words_the_newest_are_kept_and_all_counted() -> None:
    found = machine_course([row(1)], [word(i) for i in range(1000)], Hours([row(1)]))
    assert (found.n_words, len(found.words)) == (1000, MOST_WORDS)
    assert found.words[-1].message == "word 999"
