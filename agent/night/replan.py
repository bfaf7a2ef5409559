"""A night whose study has the wrong budget: the baseline that told it is saved, and begins anew.

The correction waits until nothing of the study runs, so it is due again after any kill before it;
after it only a folder may be left, which the next night clears away.
"""

import shutil
from typing import TYPE_CHECKING

from agent.search import budget
from agent.trial import end_orphan, living_worker

if TYPE_CHECKING:
    from agent.night.night import Night


def is_due(night: "Night") -> bool:
    """Whether a run under way has told that it should be another one."""
    study = night.study
    if study is None or all(trial.run.calibration_id != study.id for trial in night.slots.trials):
        return False
    return night.campaign.correction() is not None


def correct_budget(night: "Night") -> None:
    """Give the night's study the budget its first baseline asks for, where that is due."""
    message = night.campaign.correct()
    if message:
        night.observer.say(message)
        sweep(night)


def sweep(night: "Night") -> None:
    """Clear away what baselines of the old budget have left."""
    for uid in budget.left_behind(night.ledger):
        folder = night.home.run(uid)
        if not folder.root.exists():
            continue
        if worker := living_worker(folder):
            end_orphan(worker.pid, folder.root)
        shutil.rmtree(folder.root, ignore_errors=True)
