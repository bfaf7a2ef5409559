"""The speed of a run, measured where it will be computed, with its progress told."""

import dataclasses
from typing import TYPE_CHECKING

from agent.search import study, throughput
from agent.trial import Here, Progress
from engine.config import Config
from engine.text import TokenSet

if TYPE_CHECKING:
    from agent.night.launch import Desk

MEASURING = "measuring this device, some seconds"


def tell_measuring(progress: Progress, seconds: float) -> None:
    """How far a measurement is that has taken so many seconds."""
    total = round(study.MEASURE_S) + 2  # with its start and its scoring
    progress(MEASURING, min(round(seconds), total - 1), total)


def measured(at: "Desk", tokens: TokenSet, config: Config, n_replicas: int, n_trials: int = 1,
             kernels: str | None = None, of_study: int | None = None) -> study.Speed:
    """What computes runs does with a configuration: this machine, or one of the cluster's of the
    class of a study or of a new one; beside as many others as will run with it there. A stop is
    heard meanwhile.
    """
    place = at.executor or Here()
    n = place.n_beside(n_trials, at.look)
    spawn = place.measuring(of_study, config.predicted_mb(n_replicas))
    if n == 1:
        found = study.measure(at.home, tokens, config, n_replicas, spawn,
                              look=at.look_at_measuring, kernels=kernels)
    else:
        found = throughput.at_once(at.home, tokens, config, n, n_replicas, spawn,
                                   at.look_at_measuring, kernels).speed(config)
    at.progress(MEASURING, 1, 1)
    return dataclasses.replace(found, device=place.device(of_study))
