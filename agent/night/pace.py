"""How long a run takes, said again where that is no longer what was said."""

import math
from typing import TYPE_CHECKING

from agent import words
from agent.ledger import Calibration, Queries, pace_s

if TYPE_CHECKING:
    from agent.night.night import Night

OFF = 1.3  # times what was said, either way, are worth a word
LEAST_S = 2.0  # of difference


def run_s(ledger: Queries, study: Calibration) -> float | None:
    """Seconds of a run by the last that ended, before one has by what was measured at first."""
    measured = pace_s(ledger, study)
    return study.run_s if measured is None else measured


class Pace:
    """What was last said of a study's runs."""

    def __init__(self) -> None:
        self._of: tuple[int, int] | None = None  # study and budget
        self._said_s: float | None = None

    def said(self, study: Calibration, seconds: float | None) -> None:
        """Note what was said of a study's runs."""
        self._of, self._said_s = (study.id, study.budget_tokens), seconds

    def news(self, night: "Night") -> str | None:
        """That runs take longer or shorter than was said, and how many more the night has time
        for; None where they do not, or nothing was said.
        """
        study = night.study
        if study is None or study.run_s is None:
            return None
        if self._of != (study.id, study.budget_tokens):  # corrected, which told its own
            self.said(study, study.run_s)
        now_s, said_s = pace_s(night.ledger, study), self._said_s
        if now_s is None or said_s is None or not _is_off(now_s, said_s):
            return None
        self.said(study, now_s)
        text = f"runs take about {words.duration(now_s)} now, not {words.duration(said_s)}"
        left_s = night.campaign.left_s()
        if left_s is None:
            return text
        n = math.floor(max(0.0, left_s) * night.plan.n_trials / max(1.0, now_s))
        return f"{text}: time for about {n} more" if n else text


def _is_off(now_s: float, said_s: float) -> bool:
    return abs(now_s - said_s) >= LEAST_S and not 1 / OFF <= now_s / max(1e-9, said_s) <= OFF
