"""What is put to the proof: the operations of numpy that the engine trains with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.native import exponential


@dataclass(frozen=True, slots=True)
class Operations:
    """Each as the engine calls it; a test hands in a broken one."""

    matmul: Callable[..., Any] = np.matmul
    power: Callable[..., Any] = exponential.POWER  # of e or 2
    nats: float = exponential.NATS  # in its unit
    exp: Callable[..., Any] = np.exp  # of float64, where a token is drawn
    tanh: Callable[..., Any] = np.tanh
    log: Callable[..., Any] = np.log
    sqrt: Callable[..., Any] = np.sqrt
    dot: Callable[..., Any] = np.dot
    vecdot: Callable[..., Any] = np.vecdot
    sum: Callable[..., Any] = np.sum
    cumsum: Callable[..., Any] = np.cumsum
    reduceat: Callable[..., Any] = np.add.reduceat
    largest: Callable[..., Any] = np.max
    smallest: Callable[..., Any] = np.min


NUMPY = Operations()
