"""Whether this machine computes what it should: numpy and its BLAS against slow, plain arithmetic.

In come a Config and the passes it will make, out come sentences on what is wrong, none where all
is well. It uses `model` and `training`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.proof.check import faults as faults
    from engine.proof.check import faults_of_products as faults_of_products
    from engine.proof.operations import Operations as Operations
    from engine.proof.passes import Pass as Pass
    from engine.proof.passes import passes_of as passes_of

__all__, __getattr__ = doors(__name__, {
    "check": ("faults", "faults_of_products"),
    "operations": ("Operations",),
    "passes": ("Pass", "passes_of"),
})
