"""What is proved is what the engine calls."""

import numpy as np

from engine.native import exponential
from engine.proof.operations import NUMPY


def test_the_exponential_is_that_of_the_model() -> None:
    assert (NUMPY.power, NUMPY.nats) == (exponential.POWER, exponential.NATS)
    assert NUMPY.matmul is np.matmul
