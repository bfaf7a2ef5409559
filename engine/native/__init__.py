"""Kernels in C for what numpy computes in many passes over memory; nobody needs them.

In come layers and updates of `model` and `training`, and a C compiler where there is one; out come
the same numbers but for rounding, sooner. Without a compiler, or with AGENT_NATIVE=0, numpy
computes what it always did. It uses no other wing.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.native.choice import Choice as Choice
    from engine.native.choice import choose as choose
    from engine.native.choice import is_ready as is_ready
    from engine.native.choice import named as named
    from engine.native.choice import present as present
    from engine.native.choice import usual as usual
    from engine.native.dispatch import kernel as kernel
    from engine.native.library import NUMPY as NUMPY
    from engine.native.library import Kernels as Kernels

__all__, __getattr__ = doors(__name__, {
    "choice": ("Choice", "choose", "is_ready", "named", "present", "usual"),
    "dispatch": ("kernel",),
    "library": ("Kernels", "NUMPY"),
}, modules=("exponential", "updates"))
