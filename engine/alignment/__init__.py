"""From preferences, or from examples that are right, to a model that follows them.

In come a trained model and pairs of answers to prompts, out come a trainer that goes on from that
model, and what held-out pairs say of it before and after. It uses `model`, `training`, `sampling`
and `text`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.alignment.measure import Measure as Measure
    from engine.alignment.measure import mean_of as mean_of
    from engine.alignment.objective import NATS as NATS
    from engine.alignment.objective import PAIRWISE as PAIRWISE
    from engine.alignment.objective import Recipe as Recipe
    from engine.alignment.pairs import Pair as Pair
    from engine.alignment.pairs import read_pairs as read_pairs
    from engine.alignment.pairs import split as split
    from engine.alignment.train import AlignedTrainer as AlignedTrainer
    from engine.alignment.train import Lesson as Lesson
    from engine.alignment.writer import Writer as Writer

__all__, __getattr__ = doors(__name__, {
    "measure": ("Measure", "mean_of"),
    "objective": ("NATS", "PAIRWISE", "Recipe"),
    "pairs": ("Pair", "read_pairs", "split"),
    "train": ("AlignedTrainer", "Lesson"),
    "writer": ("Writer",),
}, modules=("qualities", "worked"))
