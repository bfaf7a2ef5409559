"""By which kernels runs of this machine are computed: asked where it is needed, once a process."""

import os

from engine.errors import UserError

ASKED = "AGENT_NATIVE"  # of the environment: 0 numpy alone, 1 kernels in C where they can be had


def is_asked() -> bool:
    """Whether a person says which."""
    return bool(os.environ.get(ASKED))


def usual() -> str:
    """The name of what computes here where nothing else is said: numpy, or kernels in C.

    The first look compiles them, in a child, where that was not done yet.
    """
    from engine import native  # and with it numpy, which a look at a ledger does without

    return native.usual().kernels.name


def why_not(name: str) -> str | None:
    """Why kernels of a name cannot be had here; None where they can."""
    from engine import native

    try:
        native.named(name)
    except UserError as error:
        return str(error)
    return None
