"""Parameters and an optimizer's slots as they lie there: what among them no training has made."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine.blocks import matrices
from engine.config import Config
from engine.model import Array, Flat
from engine.trace.compare import PART, size
from engine.trace.watch import in_order

ROWS = 1024  # of a table, in double at once
ALONE = 100.0  # times the size of the other rows: one token's embedding, not all of them
HUGE = 1e4  # times the root mean square of the other entries of a matrix
LEAST_HUGE = 100.0  # a single weight below is none, whatever stands beside it
SUBNORMAL = 1e-15  # moments of smaller gradients lose what tells them apart
INIT_STD = 0.02  # of first values of matrices
INITIAL = 1.3  # times another size than the first values should have
LEAST_INITIAL = 64  # of them: fewer say nothing
MOMENTUM = 0.95  # of Muon's matrices
CHANCE = 6.0  # standard deviations: normal values do not stray so far in any number of runs


@dataclass(frozen=True, slots=True)
class Odd:
    """Something in the state that is the cause of what follows from it."""

    kind: str  # infinite weight, huge weight, poisoned token, optimizer moment, initial scale
    block: int | None
    tensor: str  # a parameter's name, or a slot's and the parameter's
    words: str
    token: int | None = None
    index: int | None = None  # of the entry in the flat buffer, where one weight stands for it
    largest: float | None = None  # that entry, without its sign


def odd_weights(params: Flat) -> list[Odd]:
    """Weights that are not finite, or alone in their size; in the order of computation."""
    found = []
    for block, name in in_order(list(params.views)):
        view = params.views[f"block{block}.{name}" if block >= 0 else name]
        place = None if block < 0 else block
        n_bad = int(view.size - np.sum(np.isfinite(view)))
        if n_bad:
            verb = "is" if n_bad == 1 else "are"
            found.append(Odd("infinite weight", place, name, f"{n_bad:,} of its {view.size:,} "
                             f"entries {verb} not finite", _token(view, name, n_bad)))
        elif name in ("embed", "head") and (odd := _odd_row(view, name)):
            found.append(_placed(odd, params, view))
        elif odd := _huge(view, place, name):
            found.append(_placed(odd, params, view))
    return found


def _placed(odd: Odd, params: Flat, view: Array) -> Odd:
    """With the index of the view's largest entry."""
    first = (view.ctypes.data - params.buffer.ctypes.data) // view.itemsize
    largest = np.argmax(view) if np.max(view) > -np.min(view) else np.argmin(view)
    return dataclasses.replace(odd, index=int(first + largest),
                               largest=abs(float(view.flat[largest])))


def _token(view: Array, name: str, n_bad: int) -> int | None:
    """The one row of a table of tokens in which all bad entries stand."""
    if name not in ("embed", "head"):
        return None
    rows = np.flatnonzero(~np.all(np.isfinite(view), axis=1))
    return int(rows[0]) if rows.size == 1 and n_bad else None


def _odd_row(view: Array, name: str) -> Odd | None:
    sizes = np.sqrt(np.concatenate([
        np.mean(np.square(view[i : i + ROWS], dtype=np.float64), axis=1)
        for i in range(0, len(view), ROWS)]))
    row = int(np.argmax(sizes))
    usual = float(np.quantile(sizes, 0.95))
    if sizes[row] <= ALONE * max(usual, 1e-12) or np.sum(sizes > ALONE * usual) > 5:
        return None
    return Odd("poisoned token", None, name, f"id {row} has a row of size {sizes[row]:.3g} beside "
               f"{float(np.median(sizes)):.3g} of the others", row)


def _huge(view: Array, block: int | None, name: str) -> Odd | None:
    largest = float(max(np.max(view), -np.min(view)))
    if largest < LEAST_HUGE:
        return None
    rest = np.sort(np.abs(view), axis=None)[: max(1, int(0.99 * view.size))]
    usual = size(rest) / np.sqrt(rest.size)
    if largest <= HUGE * max(usual, 1e-6):
        return None
    return Odd("huge weight", block, name, f"an entry of {largest:.3g} stands beside others of "
               f"size {usual:.3g}")


class Spread:
    """A slot as if it were as long as the flat buffer, read in pieces or by indices.

    Muon has no squares of the blocks' matrices: they are 0 here.
    """

    def __init__(self, config: Config, slot: Array) -> None:
        self.size, self._slot = config.n_params, slot
        self._is_whole = slot.size == config.n_params
        ends = [0, *(one.stop for one in matrices(config))]
        starts = [*(one.start for one in matrices(config)), config.n_params]
        self._begins = np.array(ends)  # of what lies between two matrices
        self._sizes = np.array(starts) - self._begins
        self._firsts = np.cumsum(self._sizes) - self._sizes  # of it in the slot

    def __getitem__(self, at: slice | Array) -> Array:
        if self._is_whole:
            return self._slot[at]
        where = np.arange(at.start or 0, min(at.stop or self.size, self.size)) if isinstance(
            at, slice) else at
        gap = np.searchsorted(self._begins, where, side="right") - 1
        within = where - self._begins[gap]
        places = np.minimum(self._firsts[gap] + within, self._slot.size - 1)
        return np.asarray(np.where(within < self._sizes[gap], self._slot[places],
                                   self._slot.dtype.type(0)))


def odd_slots(config: Config, slots: Mapping[str, Array], n_updates: int | None) -> list[Odd]:
    """Moments that are not finite, below zero where they are squares, or that none could be.

    In pieces, so that it takes a byte an entry: the run's memory is foreseen without this.
    """
    found = []
    has_v = Spread(config, np.ones(slots["v"].size, bool)) if "v" in slots else None
    spread = {slot: Spread(config, buffer) for slot, buffer in slots.items()}
    for slot, buffer in spread.items():
        found += _named(config, slot, buffer, _marked(buffer.size, partial(
            _is_no_number, buffer, is_square=slot == "v")),
            "a sum of squares below zero" if slot == "v" else "not finite")
    if found:
        return found
    bound = _most(config, n_updates)
    if config.optimizer in ("adamw", "muon") and has_v is not None and bound < math.inf:
        m, v = spread["m"], spread["v"]
        found += _named(config, "m", m, _marked(m.size, lambda at: _over(m[at], v[at], bound)
                                                & has_v[at]),
                        "more than any gradients with such squares sum to")
    for slot, (with_v, without_v) in _largest(config).items():
        if not found:
            buffer = spread[slot]
            found += _named(config, slot, buffer, _marked(buffer.size, partial(
                _is_over, buffer, has_v, with_v, without_v)),
                f"more than gradients of norm {config.clip:g} at most sum to")
    return found


def _marked(n: int, is_odd: Callable[[slice], Array]) -> Array:
    """Which of n entries are odd, asked for in pieces: (n,) bool."""
    found = np.empty(n, bool)
    for i in range(0, n, PART):
        found[i : i + PART] = is_odd(slice(i, i + PART))
    return found


def _is_no_number(buffer: Spread, at: slice, *, is_square: bool) -> Array:
    found = ~np.isfinite(buffer[at])
    return np.asarray(found | ~(buffer[at] >= 0) if is_square else found)


def _is_over(buffer: Spread, has_v: Spread | None, with_v: float, without_v: float,
             at: slice) -> Array:
    """Twice the largest that a moment can be, where there is a second one and where not."""
    most = with_v if has_v is None or with_v == without_v else np.where(
        has_v[at], with_v, without_v)
    return np.asarray(np.abs(buffer[at]) > 2 * most)


def _largest(config: Config) -> Mapping[str, tuple[float, float]]:
    """Of each slot, where there is a second moment and where not: a geometric series, as the whole
    gradient is clipped before a slot sees it.
    """
    m = config.clip / (1 - config.beta1)
    v = config.clip**2 / (1 - config.beta2)
    found: Mapping[str, Mapping[str, tuple[float, float]]] = {
        "adamw": {"m": (m, m), "v": (v, v)},
        "muon": {"m": (m, config.clip / (1 - MOMENTUM)), "v": (v, v)},
        "lion": {"m": (config.clip, config.clip)},
        "schedule_free": {"v": (config.clip**2, config.clip**2)}}
    return found.get(config.optimizer, {})


def _most(config: Config, n_updates: int | None) -> float:
    """Of m²/v, for sums m of gradients and v of their squares: Cauchy and Schwarz, Σ (β₁²/β₂)ᵏ."""
    q, n = config.beta1**2 / max(config.beta2, 1e-12), n_updates or 1 << 16
    if q > 1 and n * math.log(q) > 600:
        return math.inf
    return float(n if abs(q - 1) < 1e-9 else (q**n - 1) / (q - 1))


def _over(m: Array, v: Array, bound: float) -> Array:
    return (np.abs(m) > SUBNORMAL) & (np.square(m, dtype=np.float64) > 2 * bound * v)


def _named(config: Config, slot: str, buffer: Spread, is_odd: Array, why: str) -> list[Odd]:
    if not np.any(is_odd):
        return []
    views = Flat.over(config, is_odd).views
    for block, name in in_order(list(views)):
        odd = views[f"block{block}.{name}" if block >= 0 else name]
        if np.any(odd):
            values = Flat.over(config, buffer[:]).views[
                f"block{block}.{name}" if block >= 0 else name]
            worst = float(values[odd].flat[0])
            why = "not finite" if not np.isfinite(worst) else why
            return [Odd("optimizer moment", None if block < 0 else block,
                        f"optimizer.{slot} of {name}",
                        f"{int(np.sum(odd)):,} of its {odd.size:,} entries, such as {worst:.3g}: "
                        f"{why}")]
    return []


def odd_start(config: Config, start: Flat) -> list[Odd]:
    """Matrices that do not begin as normal(0, 0.02), those into the residual stream over √(2L).

    Each by itself, and where that says nothing, those of a kind in all blocks together: small
    ones stray by chance. Radford et al. 2019 (GPT-2), section 2.3.
    """
    views = {(block, name): start.views[f"block{block}.{name}" if block >= 0 else name]
             for block, name in in_order(list(start.views))}
    kinds: dict[str, list[int]] = {}
    for (block, name), view in views.items():
        if view.ndim == 2 and name != "bigram":  # which begins as nothing
            kinds.setdefault(name, []).append(block)
    odd: dict[tuple[int, str], float] = {}
    for name, blocks in kinds.items():
        wanted = INIT_STD / (np.sqrt(2 * config.n_layer) if _is_into(name) else 1.0)
        sizes = {block: size(views[block, name]) / wanted for block in blocks}
        n = views[blocks[0], name].size
        apart = {(block, name): of / np.sqrt(n) for block, of in sizes.items()
                 if _strays(of / np.sqrt(n), n)}
        ratio = np.sqrt(sum(of * of for of in sizes.values()) / (n * len(blocks)))
        odd |= apart or ({(blocks[0], name): ratio} if _strays(ratio, n * len(blocks)) else {})
    return [_begun(config, *one, odd[one]) for one in views if one in odd]


def _strays(ratio: float, n: int) -> bool:
    """Whether n values have another size than they should, and not by chance.

    Of normal ones the size strays by 1/√(2n) of itself.
    """
    return n >= LEAST_INITIAL and not 1 / INITIAL < ratio < INITIAL and (
        abs(ratio - 1) > CHANCE / math.sqrt(2 * n))


def _is_into(name: str) -> bool:
    """Whether a matrix leads into the residual stream."""
    return name.endswith((".proj", "mlp.down"))


def _begun(config: Config, block: int, name: str, ratio: float) -> Odd:
    is_depth = _is_into(name) and abs(ratio / np.sqrt(2 * config.n_layer) - 1) < 0.1
    return Odd("initial scale", None if block < 0 else block, name,
               f"its first values are {ratio:.3g} times what they should be"
               + (", which 1/√(2L) would make right" if is_depth else ""))
