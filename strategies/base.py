"""What every strategy takes and gives, and the one door through which a proposal leaves.

A mutator yields `Change`s, likeliest first; `fresh` makes the first one that fits a Proposal.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from numpy.random import Generator

from engine.config import BOUNDS, OPTIMIZER_TITLES, Config
from engine.config import TITLES as TITLES
from engine.errors import NoProposal
from strategies.legal import legal_heads as legal_heads
from strategies.legal import legal_hidden as legal_hidden
from strategies.legal import legal_kv_heads as legal_kv_heads
from strategies.legal import legal_width as legal_width

MAX_CANDIDATES = 500  # where fresh gives up on a stream
OVERFLOW = "predicted at the memory of a run that ran out of it, or above"
NEAR = 1.25  # fields within this factor of a diverged run count as the same recipe
ENDS = ("finished", "diverged", "killed", "failed")  # states that judge a configuration
# Lion's sign step is larger than Adam's: a rate 3 to 10 times smaller, a weight decay that much
# larger so that their product stays: Chen et al. 2023, arXiv:2302.06675.
LION_FACTOR = 10.0
# The power of its width by which a model's learning rate falls: 1 where matrices are under Adam and
# its kin (Yang and Hu 2022, arXiv:2203.03466). A step of Muon suits matrices of every width, but
# embedding and head stay AdamW's, and there is one rate: measured between them (DEVLOG).
WIDTH_POWERS = {"muon": 0.5}
# What no idea changes: runs of one study are pairs on the same batches.
HELD = ("data_order",)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the ledger knows of one trial; a failed or pruned one has no score."""

    config: Config
    seed: int
    budget_tokens: int
    state: str  # finished, diverged, killed, failed, lost
    val_bpb: float | None = None
    val_loss: float | None = None  # nats per token
    verdict: str | None = None  # baseline, kept, discarded
    strategy: str | None = None
    is_pruned: bool = False  # ended at the rung; val_bpb, if any, is not final
    rung_bpb: float | None = None  # at a quarter of the budget
    is_out_of_memory: bool = False  # killed, or failed, because memory ran out


@dataclass(frozen=True, slots=True)
class Proposal:
    """The next configuration to try, and why in words."""

    config: Config
    reason: str
    strategy: str
    expected: tuple[float, float] | None = None  # log bits a byte: mean, standard deviation


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may cost; its time is checked where both max_s and run_s are known."""

    budget_tokens: int = 2_000_000
    n_replicas: int = 1  # processes that will share the training
    max_params: int = 10_000_000
    max_mb: float = 3000.0
    shuffle_mb: float = 0.0  # that shuffled stories take of it beside all else
    min_vocab: int = 257  # the vocabularies this corpus supports
    max_vocab: int = 32768
    max_seq_len: int = 2048
    min_steps: int = 50  # optimizer steps a budget must leave
    max_s: float | None = None
    run_s: Callable[[Config, int], float] | None = None  # of a configuration and a budget
    is_inside: Callable[[Config], bool] | None = None  # the space to search, where that is smaller


DEFAULT_LIMITS = Limits()


class Change(NamedTuple):
    """One idea: the fields it sets and the reason behind it."""

    fields: dict[str, Any]
    why: str


class Scored(NamedTuple):
    """A configuration, its mean bits per byte over seeds, and whether any seed got to the end."""

    config: Config
    bpb: float
    has_finished: bool


class Mutator(Protocol):
    """A pure function from history to the next proposal; raises NoProposal."""

    def __call__(self, parent: Config, history: Sequence[Outcome], rng: Generator,
                 limits: Limits = ...) -> Proposal: ...


# --- what is known ---------------------------------------------------------------------------


def scores(history: Sequence[Outcome], budget_tokens: int) -> list[Scored]:
    """Every configuration judged at this budget, best first; those that never finished come last.

    A failure counts as the 90th percentile (nearest rank) of the finite losses, a pruned trial as
    that or its rung, whichever is worse. Trials that wait, run or were lost say nothing of their
    configuration. Empty while no trial has finished.
    """
    judged = [o for o in history if o.budget_tokens == budget_tokens
              and (o.is_pruned or o.state in ENDS)]
    finite = sorted(v for v in map(_final_bpb, judged) if v is not None)
    if not finite:
        return []
    bad = finite[-(-9 * len(finite) // 10) - 1]
    trials: dict[tuple[Any, ...], list[Outcome]] = {}
    for outcome in judged:
        if outcome.state != "finished" or outcome.val_bpb is not None or outcome.is_pruned:
            trials.setdefault(tuple(outcome.config.canonical().values()), []).append(outcome)
    found = []
    for seeds in trials.values():
        finals = [_final_bpb(o) for o in seeds]
        values = [max(bad, _finite(o.rung_bpb) or bad) if final is None else final
                  for o, final in zip(seeds, finals, strict=True)]
        has_finished = any(final is not None for final in finals)
        found.append(Scored(seeds[0].config, sum(values) / len(values), has_finished))
    return sorted(found, key=lambda s: (not s.has_finished, s.bpb))


def _final_bpb(outcome: Outcome) -> float | None:
    is_final = outcome.state == "finished" and not outcome.is_pruned
    return _finite(outcome.val_bpb) if is_final else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# --- what fits -------------------------------------------------------------------------------


def why_not(config: Config, limits: Limits) -> str | None:
    """What keeps a configuration from being run, in words with the numbers; None if it fits."""
    found = _obstacle(config, limits)
    return ", ".join(found) if found else None


def _obstacle(config: Config, limits: Limits) -> tuple[str, str] | None:
    """(what the configuration has, the barrier it meets); barriers are equal for equal limits."""
    steps = config.steps_for(limits.budget_tokens)
    if config.n_params > limits.max_params:
        return (f"{config.n_params:,} parameters",
                f"over the limit of {limits.max_params:,} parameters")
    predicted_mb = config.predicted_mb(limits.n_replicas) + (
        limits.shuffle_mb if config.shuffle_stories else 0.0)
    if predicted_mb > limits.max_mb:
        return f"{predicted_mb:,.0f} MB predicted", f"over the limit of {limits.max_mb:,.0f} MB"
    if steps < limits.min_steps:
        return (f"{steps:,} steps", f"under the {limits.min_steps:,} steps that "
                f"{limits.budget_tokens:,} tokens must leave")
    if limits.max_s is not None and limits.run_s is not None:
        run_s = limits.run_s(config, limits.budget_tokens)
        if run_s > limits.max_s:
            return f"{run_s:,.0f} s predicted", f"over the limit of {limits.max_s:,.0f} s"
    if not limits.min_vocab <= config.vocab_size <= limits.max_vocab:
        return (f"vocabulary {config.vocab_size:,}", f"outside the {limits.min_vocab:,} to "
                f"{limits.max_vocab:,} this corpus supports")
    if limits.is_inside is not None and not limits.is_inside(config):
        return config.describe(), "outside of the space that is searched"
    if config.seq_len > limits.max_seq_len:
        return (f"windows of {config.seq_len:,}",
                f"over the limit of {limits.max_seq_len:,} tokens a window")
    return None


def fresh(candidates: Iterable[Change], parent: Config, history: Sequence[Outcome],
          limits: Limits, strategy: str) -> Proposal:
    """The first candidate that may pass the door.

    Raises NoProposal with a count of what stood in the way when the stream ends first.
    """
    barrier_to = door(parent, history, limits)
    refused: Counter[str] = Counter()
    for change in itertools.islice(candidates, MAX_CANDIDATES):
        config = repaired(parent, change.fields)
        barrier = barrier_to(config)
        if barrier is None:
            reason = f"{describe_changes(parent, config)}: {change.why}"
            return Proposal(config, reason, strategy)
        refused[barrier] += 1
    counts = "; ".join(f"{n} {barrier}" for barrier, n in refused.most_common())
    raise NoProposal(f"{strategy} has nothing to try from {parent.describe()}: "
                     f"{counts or 'it has no step to take from there'}")


def door(parent: Config, history: Sequence[Outcome],
         limits: Limits) -> Callable[[Config], str | None]:
    """What keeps a configuration from being proposed, in words; None lets it pass.

    It passes where it is new, within limits and not like what diverged or overflowed. New means
    that no trial of it, whatever became of it, is known at this budget.
    """
    tried = {o.config.hash for o in history if o.budget_tokens == limits.budget_tokens}
    diverged = [o.config.canonical() for o in history if o.state == "diverged"]
    too_large_mb = _too_large_mb(history, limits.n_replicas)

    def barrier_to(config: Config) -> str | None:
        if config.hash == parent.hash:
            return "the same as the parent"
        if any(getattr(config, name) != getattr(parent, name) for name in HELD):
            return "on the text in another order than the parent's"
        if config.hash in tried:
            return "already tried"
        if obstacle := _obstacle(config, limits):
            return obstacle[1]
        own = config.canonical() if diverged else {}
        if any(_is_near(own, failed) for failed in diverged):
            return "too near a run that diverged"
        if config.predicted_mb(limits.n_replicas) >= too_large_mb:
            return OVERFLOW
        return None

    return barrier_to


def _too_large_mb(history: Sequence[Outcome], n_replicas: int) -> float:
    """Least predicted memory at which a run ran out of it and no larger run finished, MB."""
    overflowed = [o for o in history if o.is_out_of_memory]
    if not overflowed:
        return math.inf
    held = max((o.config.predicted_mb(n_replicas) for o in history if o.state == "finished"),
               default=0.0)
    return min((mb for o in overflowed if (mb := o.config.predicted_mb(n_replicas)) > held),
               default=math.inf)


def _is_near(config: dict[str, Any], diverged: dict[str, Any]) -> bool:
    """Whether the recipe is that of a diverged run at about its learning rate or above."""
    return config["lr"] * NEAR >= diverged["lr"] and all(
        _is_close(config[name], value) for name, value in diverged.items() if name != "lr")


def _is_close(a: Any, b: Any) -> bool:
    if a == b:
        return True
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers and min(a, b) > 0 and max(a, b) <= NEAR * min(a, b)


# --- keeping a change legal ------------------------------------------------------------------


def repaired(parent: Config, fields: dict[str, Any]) -> Config:
    """The parent with fields set, each inside BOUNDS, fractions at two significant digits.

    Where heads are shared and their number changes, about as many go on sharing one. What is HELD
    stays the parent's.
    """
    own = {k: _clamped(k, v) for k, v in fields.items() if k not in HELD}
    n_head, n_kv_head = own.get("n_head", parent.n_head), own.get("n_kv_head", parent.n_kv_head)
    if n_kv_head is not None and n_head != parent.n_head:
        grown = 1.0 if "n_kv_head" in own else n_head / parent.n_head
        own["n_kv_head"] = legal_kv_heads(n_head, n_kv_head * grown)
    return dataclasses.replace(parent, **own)


def _clamped(name: str, value: Any) -> Any:
    if name not in BOUNDS or value is None:
        return value
    low, high = BOUNDS[name]
    if isinstance(value, int):
        return min(max(value, int(low)), int(high))
    return min(max(round_2(value), low), high)


def round_2(value: float) -> float:
    """Two significant digits, so that the table reads well."""
    return float(f"{value:.1e}")


def resized(parent: Config, n_embd: int, n_layer: int) -> dict[str, Any]:
    """Fields that give the parent another size, its recipe transferred; only those that change.

    Heads keep their size where that is legal, an explicit hidden width its ratio, and the
    learning rate goes by the optimizer's width rule. Embedding and gains would keep theirs; there
    is one rate, so this errs low when widening.
    """
    fields: dict[str, Any] = {}
    if n_layer != parent.n_layer:
        fields["n_layer"] = n_layer
    if n_embd != parent.n_embd:
        ratio = n_embd / parent.n_embd
        fields |= {"n_embd": n_embd, "n_head": legal_heads(n_embd, n_embd / parent.head_size),
                   "lr": rate_at(parent.lr, parent.optimizer, ratio)}
        if parent.n_hidden is not None:
            fields["n_hidden"] = legal_hidden(parent.n_hidden * ratio)
    return fields


def resizes(parent: Config, sizes: Iterable[tuple[int, int]], why: str) -> Iterator[Change]:
    """A change to each (width, layers), its reason and the parameters before and after."""
    for n_embd, n_layer in sizes:
        fields = resized(parent, n_embd, n_layer)
        n_params = repaired(parent, fields).n_params
        reason = f"{why}, {shown_size(parent.n_params)} → {shown_size(n_params)} parameters"
        rule = f"; learning rate {width_rule(parent.optimizer)}" if "lr" in fields else ""
        yield Change(fields, reason + rule)


def rate_at(lr: float, optimizer: str, ratio: float) -> float:
    """The learning rate that suits a model `ratio` times as wide as the one that lr suits."""
    return float(lr * ratio ** -WIDTH_POWERS.get(optimizer, 1))


def width_rule(optimizer: str) -> str:
    """How an optimizer's learning rate goes with the width, in words."""
    return "by 1/√width" if optimizer in WIDTH_POWERS else "by 1/width"


def rebatched(parent: Config, factor: float) -> dict[str, Any]:
    """Fields for a larger or smaller batch, the learning rate following its square root.

    Source: Malladi et al. 2022, arXiv:2205.10287, for Adam and its kin.
    """
    batch_size: int = _clamped("batch_size", round(parent.batch_size * factor))
    if batch_size == parent.batch_size:
        return {}
    return {"batch_size": batch_size,
            "lr": parent.lr * math.sqrt(batch_size / parent.batch_size)}


# --- order and words -------------------------------------------------------------------------


def shuffled(items: Sequence[T], rng: Generator) -> list[T]:
    """The items in an order drawn from rng; never turned into numpy values."""
    return [items[int(i)] for i in rng.permutation(len(items))]


def changed_fields(parent: Config, config: Config) -> list[str]:
    """Names of the fields that change the training, as they stand in Config."""
    old, new = parent.canonical(), config.canonical()
    return [name for name in parent.difference(config)
            if old[name] != new[name] and new[name] is not None]


def describe_changes(parent: Config, config: Config) -> str:
    """'width 128 → 192, heads 4 → 6': every field that changes the training."""
    old, new = parent.canonical(), config.canonical()
    return ", ".join(f"{TITLES[name]} {shown(old[name])} → {shown(new[name])}"
                     for name in changed_fields(parent, config))


def shown(value: Any) -> str:
    """A field's value as a person writes it: 1,024, 3e-3, yes, AdamW."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return OPTIMIZER_TITLES.get(value, str(value))


def shown_size(n_params: int) -> str:
    """1.31M, 262k."""
    return f"{n_params / 1e6:.2f}M" if n_params >= 1e6 else f"{n_params / 1e3:.0f}k"
