"""The exponential that is fastest here: of e or of 2, which softmax and loss can do with alike.

    POWER(x / NATS) = eˣ        scores and logits are made in units of NATS
"""

import math

import numpy as np


def _fast_base() -> tuple[np.ufunc, float]:
    """(exponential, nats in its unit): 2ˣ where numpy has a vector form of it, with AVX-512."""
    # No key at all where the processor has nothing beyond what numpy was built for.
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", ())
    return (np.exp2, math.log(2.0)) if {"X86_V4", "AVX512_SKX"} & set(found) else (np.exp, 1.0)


POWER, NATS = _fast_base()  # 2ˣ takes half the time of eˣ there, and several times it elsewhere
