"""A small numpy GPT library: from text to a trained, measured model. It knows no experiments.

    import engine
    model = engine.load("nights/runs/…")            # the folder that `agent path RUN` prints
    model.generate("Once upon a time", n_tokens=60, seed=1)
    model.loss("The cat sat.")                      # nats a token, bits a byte
    model.logits([0, 72, 105])                      # (T, V) float32

    for event in engine.train(engine.Config(n_embd=32), text, steps=200): ...

engine/README.md has the mathematics and the examples, which the tests run. Names are loaded at the
first look, so that a Config can be read without numpy.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.config import Config as Config
    from engine.door.model import Model as Model
    from engine.door.model import load as load
    from engine.door.train import Training as Training
    from engine.door.train import train as train
    from engine.errors import UserError as UserError
    from engine.text.tokenizer import Tokenizer as Tokenizer
    from engine.training.evaluate import Score as Score
    from engine.training.train import Done as Done
    from engine.training.train import Eval as Eval
    from engine.training.train import Step as Step

Doors = tuple[list[str], Callable[[str], Any]]


def doors(package: str, names: Mapping[str, Sequence[str]],
          modules: Sequence[str] = ()) -> Doors:
    """`__all__` and `__getattr__` of a package, each name loaded with its module at the first look
    (PEP 562).

    A wing can so offer what others need of it, and a program that reads one of its names pays for
    one module: `agent status` imports no numpy. What is exported is written twice, once for the
    type checker; a test compares the two.

    names    what each of its modules exports; a name like a module's would hide behind that
    modules  of it that are exported whole
    """
    homes = {name: module for module, exported in names.items() for name in exported}

    def look(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return sorted([*homes, *modules]), look


__all__, __getattr__ = doors(__name__, {
    "config": ("Config",),
    "door.model": ("Model", "load"),
    "door.train": ("Training", "train"),
    "errors": ("UserError",),
    "text.tokenizer": ("Tokenizer",),
    "training.evaluate": ("Score",),
    "training.train": ("Done", "Eval", "Step"),
})
