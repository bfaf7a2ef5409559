"""The bench of small ideas: pairs, intervals and equal time on known rows, and a real run."""

import math
from pathlib import Path

import pytest

from tests.bench import gains


def row(arm: str, tokens: int, seed: int, bpb: float | None, speed: float = 100.0) -> gains.Row:
    return {"shape": "64d/2L", "tokens": tokens, "seed": seed, "arm": arm, "bpb": bpb,
            "tok_per_s": speed}


def test_gains_are_of_pairs_and_time_is_paid_for() -> None:
    """The default gains 0.1 with e times the tokens, so an idea half as fast owes 0.1 · ln 2."""
    rows = [row("default", n, seed, 2.0 + seed / 10 - drop) for n, drop in
            ((100_000, 0.0), (round(100_000 * math.e), 0.1)) for seed in range(3)]
    rows += [row("muon", 100_000, seed, 1.8 + seed / 10, 50.0) for seed in range(3)]
    rows += [row("muon", 100_000, 3, None)]
    (found,) = gains.report(rows)
    assert found["n"] == 3
    assert found["gain"] == pytest.approx([0.2, 0.2, 0.2])
    assert found["speed"] == 0.5
    assert found["gain_at_equal_time"][0] == pytest.approx(0.2 - 0.1 * math.log(2), abs=1e-4)
    assert "| muon | 3 | 2.1000 | +0.2000 (+0.2000 to +0.2000) | 0.50 × |" in gains.text_of([found])


def test_an_interval_is_students() -> None:
    mean, low, high = gains.interval([0.1, 0.2, 0.3])
    assert mean == pytest.approx(0.2)
    assert high - mean == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=1e-3)
    assert low == pytest.approx(2 * mean - high)
    assert gains.interval([0.1]) == [0.1, None, None]


def test_runs_are_kept_and_not_run_again(tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--shapes", "8d/1L", "--tokens", "3k", "--seeds", "1", "--ideas", "query-key norm",
             "--set", "seq_len=32", "--out", str(tmp_path / "gains.jsonl")]
    assert gains.main(words) == 0
    first = (tmp_path / "gains.jsonl").read_text()
    assert first.count("\n") == 2
    assert "query-key norm" in capsys.readouterr().out
    assert gains.main(words) == 0
    assert (tmp_path / "gains.jsonl").read_text() == first


def test_mixers_are_compared_window_by_window() -> None:
    arms = [name for name, _ in gains._arms(gains.parse(["--windows", "64,512"]))]
    assert arms == ["attention T=64", "rwkv T=64", "attention T=512", "rwkv T=512"]
    (found,) = gains.report([row("attention T=64", 5, 0, 2.0), row("rwkv T=64", 5, 0, 1.9)])
    assert (found["arm"], found["gain"][0]) == ("rwkv T=64", pytest.approx(0.1))
