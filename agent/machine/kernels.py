"""By which kernels runs of this machine are computed: asked where it is needed, once a process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import UserError

ASKED = "AGENT_NATIVE"  # of the environment: 0 numpy alone, 1 kernels in C where they can be had
NUMPY = "numpy"  # the name of no kernels
COMPILING = "compiling kernels in C, once on this machine"


def is_asked() -> bool:
    """Whether a person says which."""
    return bool(os.environ.get(ASKED))


def usual() -> str:
    """The name of what computes here where nothing else is said: numpy, or kernels in C.

    The first look compiles them, in a child, where that was not done yet.
    """
    from engine import native  # and with it numpy, which a look at a ledger does without

    return native.usual().kernels.name


def make_ready(progress: Callable[[str, int, int], None]) -> None:
    """Have `usual` known, with a word where that takes the seconds of a compiler."""
    from engine import native

    if not native.is_ready():
        progress(COMPILING, 0, 1)
        usual()
        progress(COMPILING, 1, 1)


def why_numpy() -> str | None:
    """Why numpy alone computes here; None where kernels do."""
    from engine import native

    found = native.usual()
    return None if found.kernels else found.why


@contextmanager
def numpy_unless_asked() -> Iterator[None]:
    """Meanwhile numpy alone computes where a person does not say which, here and in children.

    It is the same on all machines; kernels are of one compiler and one kind of processor.
    """
    if is_asked():
        yield
        return
    os.environ[ASKED] = "0"
    try:
        yield
    finally:
        del os.environ[ASKED]


def why_not(name: str) -> str | None:
    """Why kernels of a name cannot be had here; None where they can."""
    from engine import native

    try:
        native.named(name)
    except UserError as error:
        return str(error)
    return None
