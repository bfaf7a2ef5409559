"""Silent trouble of a run by what its blocks did: named before it is fatal.

A trouble holds where it does at each of the last looks; since when is the first look from which it
always did. Bounds are of the thing itself, and no noise: half of all gates, a thousandth of the
others' gradient, a twentieth of the entropy that could be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.ledger import Layer

N_LAST = 3  # looks in a row; one may be an odd text's
COLLAPSED = 0.05  # of the entropy that could be. Zhai et al. 2023, arXiv:2303.06296, section 3
DEAD = 0.5  # of all gates
THOUSANDTH = 1e-3
RUNAWAY = 100.0  # a score, of which e^−100 is left for the next
SWOLLEN = 1000.0  # times the size of activations at the first look


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong with one block."""

    name: str
    block: int
    since_step: int
    words: str


Look = Mapping[int, Layer]  # blocks at one step


def troubles(layers: Sequence[Layer], mixer: str) -> list[Trouble]:
    """What is wrong at the end of what is known of a run, block by block."""
    looks = looks_of(layers)
    steps = list(looks)
    found = []
    for block in sorted({layer.block for layer in layers}):
        for name, test in _TESTS.items():
            if name == "attention scores" and mixer == "rwkv":
                continue  # a state's entries, which have no such bound
            said = [test(looks, step, block) for step in steps]
            n = _n_at_end(said)
            if n >= min(N_LAST, len(steps)):
                found.append(Trouble(name, block, steps[len(steps) - n], said[-1] or ""))
    return found


def looks_of(layers: Sequence[Layer]) -> dict[int, Look]:
    """Blocks by step."""
    looks: dict[int, dict[int, Layer]] = {}
    for layer in layers:
        looks.setdefault(layer.step, {})[layer.block] = layer
    return dict(looks)


def _n_at_end(said: Sequence[str | None]) -> int:
    n = 0
    for one in reversed(said):
        if one is None:
            break
        n += 1
    return n


def _entropy(looks: Mapping[int, Look], step: int, block: int) -> str | None:
    value = _of(looks, step, block).entropy
    return None if value is None or value >= COLLAPSED else (
        f"its queries see one token almost alone: {100 * value:.2g} % of the entropy that could "
        "be; a lower learning rate, or a norm of queries and keys")


def _gates(looks: Mapping[int, Look], step: int, block: int) -> str | None:
    value = _of(looks, step, block).dead_gates
    return None if value is None or value <= DEAD else (
        f"{100 * value:.0f} % of its gates open for no token; a lower learning rate, or a "
        "narrower n_hidden")


def _gradient(looks: Mapping[int, Look], step: int, block: int) -> str | None:
    own = _of(looks, step, block).grad_rms
    others = [one.grad_rms for i, one in looks[step].items()
              if i != block and one.grad_rms is not None]
    if own is None or not others or own >= THOUSANDTH * (usual := _middle(others)):
        return None
    return (f"its gradient is {own:.2g} beside {usual:.2g} of the other blocks, so that it learns "
            "nothing")


def _score(looks: Mapping[int, Look], step: int, block: int) -> str | None:
    value = _of(looks, step, block).max_score
    return None if value is None or value <= RUNAWAY else (
        f"its largest score is {value:.3g}, on the way to an entropy of nothing; a lower learning "
        "rate, or a norm of queries and keys")


def _activations(looks: Mapping[int, Look], step: int, block: int) -> str | None:
    first, now = _of(looks, next(iter(looks)), block).act_rms, _of(looks, step, block).act_rms
    if not first or now is None or now <= SWOLLEN * first:
        return None
    return f"its activations are {now / first:.3g} times what they were at the first look"


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]


def _of(looks: Mapping[int, Look], step: int, block: int) -> Layer:
    return looks[step].get(block) or Layer(step, block)


_TESTS: dict[str, Callable[[Mapping[int, Look], int, int], str | None]] = {
    "entropy collapse": _entropy, "dead gates": _gates, "vanishing gradient": _gradient,
    "attention scores": _score, "swollen activations": _activations,
}
