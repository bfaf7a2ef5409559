"""From history to the next experiment: eight mutators, and the size × data grid beside them.

Pure functions: history comes in as values, a Proposal or NoProposal goes out. Other packages bring
more of them (README.md); the agent finds those.
"""

from strategies import (
    efficiency,
    explore,
    learning_rate,
    random,
    scale_down,
    scale_up,
    sequence_length,
    tpe,
)
from strategies.base import Mutator

STRATEGIES: dict[str, Mutator] = {
    "random": random.propose,
    "scale_up": scale_up.propose,
    "scale_down": scale_down.propose,
    "learning_rate": learning_rate.propose,
    "sequence_length": sequence_length.propose,
    "efficiency": efficiency.propose,
    "explore": explore.propose,
    "tpe": tpe.propose,
}
