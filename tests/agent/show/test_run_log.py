"""A run's log: whole lines, in words, until it ends."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import RunFolder
from agent.show import run_log
from engine.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def append(folder: RunFolder, *events: dict[str, Any]) -> None:
    with open(folder.events, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_a_line_being_written_waits_for_its_end(folder: RunFolder) -> None:
    folder.events.write_text('{"kind": "start"}\n{"kind": "st', encoding="utf-8")
    events, offset = run_log.read(folder)
    assert events == [{"kind": "start"}]
    with open(folder.events, "a", encoding="utf-8") as file:
        file.write('ep"}\n')
    assert run_log.read(folder, offset)[0] == [{"kind": "step"}]


def test_a_run_without_a_log_has_no_events(folder: RunFolder) -> None:
    assert run_log.read(folder) == ([], 0)
    assert run_log.last_sample(folder) is None
    assert run_log.output(folder) == ""


def test_numbers_that_are_not_finite_are_unknown(folder: RunFolder) -> None:
    append(folder, {"kind": "eval", "step": 3, "nats": float("nan"), "bpb": float("inf")})
    assert run_log.read(folder)[0] == [{"kind": "eval", "step": 3, "nats": None, "bpb": None}]


def test_a_spoilt_line_is_passed_over(folder: RunFolder) -> None:
    folder.events.write_bytes(b'{"kind": "start"}\n\0\0\0\n{"kind": "sample"}\n')
    assert [event["kind"] for event in run_log.read(folder)[0]] == ["start", "sample"]


def test_a_log_that_cannot_be_read_is_named(folder: RunFolder) -> None:
    folder.events.mkdir()
    with pytest.raises(UserError, match=r"events\.jsonl cannot be read: Is a directory$"):
        run_log.read(folder)


def test_output_that_cannot_be_read_is_named(folder: RunFolder) -> None:
    folder.output.mkdir()
    with pytest.raises(UserError, match=r"output\.log cannot be read: Is a directory$"):
        run_log.output(folder)


def test_the_last_sample_is_the_newest(folder: RunFolder) -> None:
    append(folder, {"kind": "sample", "text": "one"}, {"kind": "sample", "text": "two"},
           {"kind": "done"})
    assert run_log.last_sample(folder) == "two"


def test_following_gives_every_event_once_and_ends_with_the_run(folder: RunFolder) -> None:
    states = iter([False, False, True])
    append(folder, {"kind": "start"})
    later = iter([[], [{"kind": "step"}, {"kind": "done"}]])

    def sleep(seconds: float) -> None:
        assert seconds == run_log.POLL_S
        append(folder, *next(later))

    followed = run_log.follow(folder, lambda: next(states), sleep)
    assert [event["kind"] for event in followed] == ["start", "step", "done"]


def test_what_is_written_just_before_the_end_is_not_missed(folder: RunFolder) -> None:
    def ends_while_writing() -> bool:
        append(folder, {"kind": "done"})
        return True

    def never(_seconds: float) -> None:
        raise AssertionError("the run has ended")

    assert list(run_log.follow(folder, ends_while_writing, never)) == [{"kind": "done"}]


@pytest.mark.parametrize(("event", "text"), [
    ({"kind": "start", "pid": 77, "step": 0, "n_steps": 2000},
     "start      worker 77 at step 0 of 2,000"),
    ({"kind": "step", "step": 1200, "tokens": 1, "loss": 3.44121, "lr": 2.9e-3, "grad_norm": 0.812,
      "tok_per_s": 21400.4},
     "step        1,200  loss 3.4412, norm 0.81, 21,400 tok/s"),
    ({"kind": "eval", "step": 500, "tokens": 1, "nats": 3.412, "bpb": 1.5818, "eval_s": 1.0},
     "eval          500  3.4120 nats/token, 1.5818 bits/byte"),
    ({"kind": "checkpoint", "step": 500}, "checkpoint    500"),
    ({"kind": "done", "step": 2000, "nats": 2.55, "bpb": 1.18, "elapsed_s": 96.0,
      "peak_mb": 91.4},
     "done        2,000  in 2 min, 91 MB"),
    ({"kind": "rung", "step": 500, "tokens": 1, "bpb": 1.5818},
     "rung          500  1.5818 bits/byte at the rung"),
    ({"kind": "pruned", "step": 500, "rung_bpb": 1.5818, "max_bpb": 1.5},
     "pruned        500  1.5818 bits/byte is over 1.5000, so the run ends here"),
    ({"kind": "diverged", "step": 31, "message": "loss nan at step 32"},
     "diverged       31  loss nan at step 32"),
    ({"kind": "measured", "step_s": 0.05, "n_steps": 40}, "measured   step_s 0.05  n_steps 40"),
    ({"kind": "step"}, "step            -  loss -, norm -, - tok/s"),
])
def test_events_read_as_lines(event: dict[str, Any], text: str) -> None:
    assert run_log.line(event, 80) == text


def test_a_sample_is_wrapped_below_its_step_and_cannot_steer_the_terminal() -> None:
    text = run_log.line({"kind": "sample", "step": 500, "text": "Once upon\na \x1b[2J" * 8}, 30)
    head, *rest = text.split("\n")
    assert head == "sample        500"
    assert rest[0] == "  Once upon"
    assert all(line.startswith("  ") and len(line) <= 30 for line in rest)
    assert "\x1b" not in text
