"""Which optimizers an idea may change to.

One that is newer than the studies by which the search was made is not drawn unasked, so that a
night stays what it was until the newer one has been measured: it joins where the parent, or a
result that is known, already has it. A night that begins with `--set optimizer=muon`, and every
later one of that ledger, thus searches with it.
"""

from collections.abc import Iterable

from engine.config import OPTIMIZERS, Config

ALWAYS = ("adamw", "lion", "schedule_free")


def drawn(known: Iterable[Config]) -> tuple[str, ...]:
    """Those to draw from beside these configurations, in the order of OPTIMIZERS."""
    used = {config.optimizer for config in known}
    return tuple(name for name in OPTIMIZERS if name in ALWAYS or name in used)
