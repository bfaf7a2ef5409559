"""The bench of what goes on from a model: what its rows say, and a small real run."""

from pathlib import Path
from typing import Any

import pytest

from engine.alignment import Pair, worked
from tests.bench import improve


def row(seed: int, after: str, **changes: Any) -> improve.Row:
    return {"by": "dpo", "seed": seed, "beta": 0.1, "n_epochs": 3.0, "round": 1, "n_train": 500,
            "right_before": "0011", "right_after": after,
            "measures": [["accuracy", 0, 0.5, 0.1, 0.9, 4], ["accuracy", 9, 0.75, 0.4, 1.0, 4],
                         ["accuracy change", 9, 0.25, 0.0, 0.5, 4],
                         ["loss on the text", 0, 2.0, None, None, None],
                         ["loss on the text", 9, 2.1, None, None, None]]} | changes


def test_pairs_are_followed_over_seeds_and_rounds_apart() -> None:
    found = improve.report([row(0, "0111"), row(1, "1111"), row(0, "0011", round=2)])
    assert [(one["round"], one["n_seeds"]) for one in found] == [(1, 2), (2, 1)]
    mean, low, high = found[0]["accuracy_change"]
    assert mean == pytest.approx(3 / 8)  # of pairs: 1/2, 1, 0, 0
    assert low < mean < high
    assert "| 0.1, 3, 1 | 2 | 500, 500 | 0.500 → 0.750, 0.750 | +0.375" in improve.text_of(found)


def test_seeds_with_pairs_of_their_own_count_alike_however_many_they_have() -> None:
    spin = [row(0, "0111", by="spin"),
            row(1, "111111", by="spin", right_before="001111")]
    (found,) = improve.report(spin)
    mean, low, high = found["accuracy_change"]
    assert mean == pytest.approx((1 / 4 + 2 / 6) / 2)
    assert low < mean < high


def test_examples_with_wrong_steps_are_told_from_sound_ones() -> None:
    (one, *others) = worked.plain_answers(30, 1)
    wrong = Pair(one.prompt, f" nonsense{one.chosen}")
    found = improve.kept([wrong, *others])
    assert sum(n for n, _ in found.values()) == 30
    assert sum(n - sound for n, sound in found.values()) == 1


def test_rounds_are_kept_and_not_run_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(improve, "N_STORIES", 4)
    monkeypatch.setattr(improve.qualities, "TOKENS", 8)
    words = ["spin", "--models", str(tmp_path / "models"), "--out", str(tmp_path / "rows.jsonl"),
             "--tokens", "2k", "--betas", "0.1", "--epochs", "1", "--seeds", "1", "--rounds", "1",
             "--n", "40", "--set", "vocab_size=300", "--set", "n_embd=16", "--set", "n_layer=1",
             "--set", "n_head=1", "--set", "seq_len=32", "--corpus", "builtin", "--stories", "60"]
    assert improve.main(words) == 0
    first = (tmp_path / "rows.jsonl").read_text()
    assert first.count("\n") == 1
    assert "win rate" in capsys.readouterr().out
    assert improve.main(words) == 0
    assert (tmp_path / "rows.jsonl").read_text() == first
