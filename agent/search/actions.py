"""What passes between a search and who runs for it: ended runs go in, what to run comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.ledger import Blocks, State
from agent.search.verdict import Decision

Kind = Literal["baseline", "search", "confirm", "ablate"]


@dataclass(frozen=True, slots=True)
class Trial:
    """A run that has ended, as the search sees it; scores in bits per byte."""

    run_id: int
    key: str  # canonical hash of the configuration
    seed: int
    kind: Kind
    state: State
    bpb: float | None = None  # on the search shard
    confirm_bpb: float | None = None  # on the shard that only confirms
    strategy: str = ""
    parent_id: int | None = None  # ablate: the run whose step is left out
    cost: float = 1.0  # in runs of the baseline
    error: str = ""  # why it did not finish
    confirm_blocks: Blocks | None = None  # that score in blocks of the shard's text


@dataclass(frozen=True, slots=True)
class Node:
    """A configuration with a run of it that can be compared with."""

    key: str
    run_id: int
    seed: int
    bpb: float


@dataclass(frozen=True, slots=True)
class Step:
    """A kept run, and what it gained over its head."""

    node: Node
    gain: float
    on: str | None = None  # the configuration that it was made on


def made(steps: Sequence[Step]) -> list[Step]:
    """The steps that the last one holds: one made on an earlier head lacks those between."""
    found: list[Step] = []
    for step in reversed(steps):
        if not found or step.node.key == found[-1].on:
            found.append(step)
    return found[::-1]


@dataclass(slots=True)
class Batch:
    """Head against the confirmed configuration on fresh seeds."""

    head: Node
    base: Node
    steps: list[Step]
    seeds: list[int] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)  # seeds on which the system killed a run


@dataclass(frozen=True, slots=True)
class Repeat:
    """Run a known configuration on a seed."""

    kind: Kind
    node: Node
    seed: int
    why: str


@dataclass(frozen=True, slots=True)
class Without:
    """Run the confirmed configuration without one of its steps."""

    base: Node  # what the steps were made on
    steps: tuple[Step, ...]  # all that remain, this one included
    step: Step
    seed: int
    why: str


@dataclass(frozen=True, slots=True)
class Propose:
    """Ask the strategies for a challenger of the head, on the head's seed."""

    head: Node
    names: tuple[str, ...] | None  # None: all of them


@dataclass(frozen=True, slots=True)
class Stop:
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again when one of those that run has ended."""

    reason: str


Action = Repeat | Without | Propose | Stop | Wait


@dataclass(frozen=True, slots=True)
class Pending:
    """A run that was asked for and has not ended."""

    kind: Kind
    key: str
    seed: int
    parent_id: int | None = None  # ablate: the run whose step is left out


@dataclass(frozen=True, slots=True)
class Due:
    """A decision on an earlier run that follows from what is known now."""

    run_id: int
    against_id: int | None
    decision: Decision
    echoes: tuple[tuple[int, Decision], ...] = ()  # what it means for other runs
