"""With which score at a quarter of its budget a run of a study is given up, from the ledger."""

import random

from agent.ledger import Queries, Run, at_rung
from agent.trial import rung
from engine.config import Config

ARMS = ("confirm", "ablate")  # repeats of a good head would fill the better part of a rung


class Rungs:
    """What the runs of a night's studies scored there; kinds of schedules are read once a run."""

    def __init__(self, ledger: Queries) -> None:
        self._ledger = ledger
        self._kinds: dict[int, str | None] = {}

    def limit(self, run: Run, seed: int, window: int) -> float | None:
        """The loss over which a challenger is given up; None is never.

        window  of several runs at once: what counts had ended when this one was asked for, whoever
                was quick
        """
        kind = rung.kind(Config.from_dict(run.config))
        if kind is None or run.calibration_id is None:
            return None
        rows = (at_rung(self._ledger, run.calibration_id) if window == 1 else
                at_rung(self._ledger, run.calibration_id, run.id, window - 1))
        known = [row for row in rows if row.strategy not in ARMS
                 and self._kind(row.run_id) == kind]
        draw = random.Random(f"{seed} rung {run.id}").random()
        return rung.limit([row.rung_bpb for row in known], [row.val_bpb for row in known], draw)

    def _kind(self, run_id: int) -> str | None:
        if run_id not in self._kinds:
            self._kinds[run_id] = rung.kind(Config.from_dict(self._ledger.run(run_id).config))
        return self._kinds[run_id]
