"""Where the speed of a run is measured, and what is kept of where that was."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.home import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.night.launch import Desk
from agent.night.measuring import MEASURING, measured
from agent.search.study import open_study
from agent.trial.executor import Here
from engine.errors import UserError
from engine.text.corpus import TokenSet
from tests.agent.night.test_night import tokens as tokens
from tests.support.parts import TINY, FakeTime, Listener


class Elsewhere(Here):
    """A place with workers that need so many seconds a step."""

    def __init__(self, step_s: float, n_here: int = 1) -> None:
        super().__init__()
        self.step_s, self.n_here, self.folders = step_s, n_here, list[RunFolder]()

    def device(self, study: int | None = None) -> str | None:
        return "a board, class 000001"

    def n_beside(self, n_trials: int, look: Callable[[], None]) -> int:
        return min(n_trials, self.n_here)

    def measuring(self, study: int | None, predicted_mb: float) -> Any:
        def start(folder: RunFolder) -> "subprocess.Popen[bytes]":
            self.folders.append(folder)
            folder.events.write_text(json.dumps({
                "kind": "measured", "step_s": self.step_s, "eval_token_s": 1e-6}) + "\n")
            return subprocess.Popen(["true"])
        return start


def a_desk(root: Path, ledger: Ledger, place: Elsewhere, told: list[tuple[Any, ...]]) -> Desk:
    return Desk(Home(root), ledger, Listener(), lambda *how: told.append(how), FakeTime().clock(),
                executor=place)


def test_a_study_s_speed_is_that_of_the_machines_that_compute_it(
        tmp_path: Path, tokens: TokenSet) -> None:
    told = list[tuple[Any, ...]]()
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        at = a_desk(tmp_path, ledger, Elsewhere(0.5), told)
        speed = measured(at, tokens, TINY, 1, n_trials=3)
        assert (speed.tok_per_s, speed.device) == (TINY.tokens_per_step / 0.5,
                                                   "a board, class 000001")
        found = open_study(ledger, at.clock, tokens, TINY, 0, speed, 3200)
        assert (found.device, found.tok_per_s) == ("a board, class 000001", speed.tok_per_s)
        assert at.computes(found)
        at.executor = None
        assert not at.computes(found)
    assert told[-1] == (MEASURING, 1, 1)


def test_workers_that_share_a_machine_are_measured_side_by_side(
        tmp_path: Path, tokens: TokenSet) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        place = Elsewhere(0.25, n_here=4)
        speed = measured(a_desk(tmp_path, ledger, place, []), tokens, TINY, 1, n_trials=3)
        assert len({folder.root for folder in place.folders}) == 3
        assert speed.tok_per_s == pytest.approx(TINY.tokens_per_step / 0.25)


def test_where_no_machine_can_be_had_the_reason_is_told(tmp_path: Path, tokens: TokenSet,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: RunFolder) -> None:
        raise OSError("every machine has as many trials as it takes")

    place = Elsewhere(0.25)
    monkeypatch.setattr(place, "measuring", lambda *_: refuse)
    with Ledger.open(tmp_path / "ledger.db") as ledger, pytest.raises(
            UserError, match="every machine has as many"):
        measured(a_desk(tmp_path, ledger, place, []), tokens, TINY, 1)
