"""The network and its gradients: a decoder-only transformer in numpy, forward and backward.

In come token ids and parameters, out come logits, losses and gradients. Parameters are named views
into one flat buffer; no layer keeps state. It uses `config` and `errors`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.model.gpt import GPT as GPT
    from engine.model.gpt import Flat as Flat
    from engine.model.gpt import Past as Past
    from engine.model.gpt import Watch as Watch
    from engine.model.gpt import init_params as init_params
    from engine.model.workspace import Array as Array
    from engine.model.workspace import Workspace as Workspace

__all__, __getattr__ = doors(__name__, {
    "gpt": ("Flat", "GPT", "Past", "Watch", "init_params"),
    "workspace": ("Array", "Workspace"),
})
