"""The course of a study: what became of each run, and the best so far."""

from agent.analysis.course import course_of, word_of
from agent.analysis.hours import Hours
from agent.ledger.records import Event
from tests.support.run_rows import row

KEPT = {"verdict": "kept", "is_kept": 1}


def test_the_best_so_far_counts_what_stands_and_no_arm_of_a_comparison() -> None:
    rows = [row(1, strategy="baseline", verdict="baseline", val_bpb=1.5),
            row(2, val_bpb=1.1), row(3, val_bpb=1.4, **KEPT),
            row(4, val_bpb=1.0, strategy="confirm", verdict="recorded"),
            row(5, val_bpb=1.2, is_kept=1, is_refuted=1, verdict="refuted"),
            row(6, val_bpb=1.3, is_kept=1, is_confirmed=1, verdict="confirmed"),
            row(7, state="failed", val_bpb=None)]
    course = course_of(rows, [], Hours(rows))
    assert [(lead.label, lead.bpb) for lead in course.leads] == [("E1", 1.5), ("E3", 1.4),
                                                                 ("E6", 1.3)]
    assert [one.word for one in course.scored] == ["baseline", "tried", "kept", "checked",
                                                   "refuted", "confirmed"]
    assert course.hours == 7 / 60


def test_a_confirmed_arm_and_a_step_confirmed_after_a_refusal_are_confirmed() -> None:
    assert word_of(row(1, strategy="confirm", is_confirmed=1)) == "confirmed"
    assert word_of(row(1, is_refuted=1, is_confirmed=1, verdict="confirmed")) == "confirmed"


def test_nights_lie_where_their_first_run_begins() -> None:
    rows = [row(1), row(2)]
    nights = [Event(id=i, at=at, kind="night", run_id=None, label=None, message="", data=None)
              for i, at in enumerate(("2025-12-31T00:00:00Z", "2026-01-01T00:01:30Z"))]
    assert course_of(rows, nights, Hours(rows)).nights == [0.0, 1 / 60]
