"""The door for Python: a model to load, to train, to ask; what `import engine` offers.

In come a path, or a configuration and a text; out come a `Model` that writes and scores, and a
`Training` that yields events. It uses all wings of the engine but the benchmark.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.door.model import Model as Model
    from engine.door.model import load as load
    from engine.door.train import Training as Training

__all__, __getattr__ = doors(__name__, {
    "model": ("Model", "load"),
    "train": ("Training",),
})
