"""What a run that improves another is asked, beside its job: read back as strictly as that."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Self

KINDS = ("given", "made", "spin", "star", "plain")  # where what it learns from comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How a model is improved, from what lies in the run's folder."""

    kind: str
    loss: str
    beta: float = 0.1
    epsilon: float = 0.1
    n: int = 0  # pairs or problems that are made
    exam: dict[str, int] = field(default_factory=dict)  # of the sums task: digits and problems

    @classmethod
    def of(cls, values: Any) -> Self | None:
        """From a job's value; ValueError or TypeError where it is none of ours."""
        if values is None:
            return None
        found = cls(**values)
        if found.kind not in KINDS:
            raise ValueError(f"kind={found.kind!r} of its task is not one of {', '.join(KINDS)}")
        for one in fields(cls):
            value = getattr(found, one.name)
            if one.type is float and not (isinstance(value, int | float) and math.isfinite(value)):
                raise ValueError(f"{one.name}={value!r} of its task is not a finite number")
        return found
