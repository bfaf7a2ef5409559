"""What a run that improves another is asked, beside its job: read back as strictly as that."""

import math
from dataclasses import dataclass
from typing import Any, Self

KINDS = ("given", "made", "spin", "star", "plain")  # where what it learns from comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How a model is improved, from what lies in the run's folder."""

    kind: str
    loss: str
    beta: float = 0.1
    n: int = 0  # pairs or problems that are made
    n_asked: int = 0  # texts, or problems of each number of digits, before and after

    @classmethod
    def of(cls, values: Any) -> Self | None:
        """From a job's value; ValueError or TypeError where it is none of ours."""
        if values is None:
            return None
        found = cls(**values)
        if found.kind not in KINDS:
            raise ValueError(f"kind={found.kind!r} of its task is not one of {', '.join(KINDS)}")
        if not (isinstance(found.beta, int | float) and math.isfinite(found.beta)):
            raise ValueError(f"beta={found.beta!r} of its task is not a finite number")
        return found
