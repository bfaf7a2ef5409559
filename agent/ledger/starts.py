"""A study whose starting point diverges: nothing can be improved on, and another start helps."""

import dataclasses
from dataclasses import dataclass

from agent.ledger.queries import Queries
from agent.ledger.records import Calibration
from engine.config import Config
from engine.fields import short

FEW = 2  # of its seeds diverge, and none has finished: the others would, too
SLOWER = 10.0  # times lower is the rate that is advised


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a study cannot begin, and the command that begins another."""

    told: str  # in words
    command: str

    @property
    def in_words(self) -> str:
        return f"{self.told}; `{self.command}` begins a study with a lower rate"


def broken_start(ledger: Queries, study: Calibration) -> Broken | None:
    """None where a seed of the baseline has finished, or too few have diverged to tell."""
    runs = ledger.baselines(study)
    diverged = [run.label for run in runs if run.state == "diverged"]
    if len(diverged) < FEW or any(run.state == "finished" for run in runs):
        return None
    start = Config.from_dict(study.config)
    lower = dataclasses.replace(start, lr=float(f"{start.lr / SLOWER:.2g}"))
    settings = " ".join(f"--set {name}={short(value)}"
                        for name, (_, value) in Config().difference(lower).items())
    which = " and ".join(diverged) if len(diverged) == FEW else ", ".join(diverged)
    return Broken(f"the start of study {study.id} diverges ({which}), and its learning rate "
                  f"{start.lr:g} is the likeliest cause, as `agent trace {diverged[-1]}` tells",
                  f"agent run {settings}")
