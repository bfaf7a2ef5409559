"""A package's exported names, each loaded with its module at the first look at it (PEP 562).

A wing can so offer what others need of it, and a program that reads one of its names pays for one
module: `agent status` imports no numpy. What is exported is written twice, once for the type
checker; a test compares the two.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Doors = tuple[list[str], Callable[[str], Any]]


def doors(package: str, names: Mapping[str, Sequence[str]],
          modules: Sequence[str] = ()) -> Doors:
    """`__all__` and `__getattr__` of a package.

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
