"""From parameters to better ones: batches, optimizers, replicas, checkpoints, scores.

In come a configuration, a seed and token ids, out come events (a step, an evaluation, the end) and
a trainer that can be saved anywhere and goes on to the same bits. It uses `model`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.training.data import open_tokens as open_tokens
    from engine.training.evaluate import Score as Score
    from engine.training.evaluate import score_model as score_model
    from engine.training.optim import make_optimizer as make_optimizer
    from engine.training.pace import default_eval_every as default_eval_every
    from engine.training.parallel import Team as Team
    from engine.training.parallel import parts as parts
    from engine.training.parallel import shared_zeros as shared_zeros
    from engine.training.train import RECENT as RECENT
    from engine.training.train import Done as Done
    from engine.training.train import Eval as Eval
    from engine.training.train import Shard as Shard
    from engine.training.train import Step as Step
    from engine.training.train import Texts as Texts
    from engine.training.train import Trainer as Trainer
    from engine.training.train import seeded as seeded
    from engine.training.train import training as training
    from engine.training.unique import beginning as beginning
    from engine.training.unique import n_tokens_of as n_tokens_of

__all__, __getattr__ = doors(__name__, {
    "data": ("open_tokens",),
    "evaluate": ("Score", "score_model"),
    "optim": ("make_optimizer",),
    "pace": ("default_eval_every",),
    "parallel": ("Team", "parts", "shared_zeros"),
    "train": ("Done", "Eval", "RECENT", "Shard", "Step", "Texts", "Trainer", "seeded",
              "training"),
    "unique": ("beginning", "n_tokens_of"),
}, modules=("checkpoint",))
