"""What a machine gives to a cluster: what its owner said, else what a night here would take."""

from dataclasses import dataclass

from agent.machine import Limits


@dataclass(frozen=True, slots=True)
class Options:
    """The limits of one machine; None: those of a night here."""

    limits: Limits | None = None
    max_ram_mb: float | None = None
    is_watched: bool = True  # by its station; False: the home's daemon does, on the same machine
