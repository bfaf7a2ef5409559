"""One sequence forward and backward with every intermediate looked at, in order of computation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.config import Config
from engine.model import GPT, Array, Flat
from engine.native import exponential
from engine.trace import kept as rules
from engine.trace import plain
from engine.trace.compare import LARGEST, Deviation, compare, named, size
from engine.trace.kept import Kept

FORWARD, BACKWARD = "forward", "backward"
CHANNEL_MAJOR = ("attn.qkv", "attn.normed", "attn.mixed", "mlp.gate_up", "mlp.swiglu", "logits")
SLOPE = 1e-5  # of an operation's input: how far it is moved to see its slope
ROUNDING = 1e-6  # of what a gradient is the difference or the sum of
CALM = 0.4  # of the matrices' root mean square: above, RWKV is too bent for float32's slopes
ABOUT = 0.1  # how far a gradient may be from a slope so found
BLUNT = 1e5  # scores and logits above are rounded by more than the softmax bears

# Fields that change what a tensor follows from; a value this program knows no rule for makes those
# tensors be looked at by their size alone.
KNOWN = ("n_embd", "n_layer", "n_head", "n_hidden", "vocab_size", "seq_len", "tied", "rope_base",
         "batch_size", "grad_accum", "optimizer", "lr", "schedule", "warmup_frac", "decay_frac",
         "min_lr_frac", "weight_decay", "beta1", "beta2", "clip", "n_kv_head", "mixer",
         "cautious_decay", "scheduled_decay", "data_order", "shuffle_stories", "residual_scalars",
         "bigram_buckets", "qk_norm")


@dataclass(frozen=True, slots=True)
class Seen:
    """One tensor of a watched pass."""

    direction: str  # forward or backward
    block: int | None
    tensor: str
    rms: float  # of its finite entries
    largest: float  # of them, without sign
    n_bad: int  # entries that are not finite
    row: int | None  # the time at which the largest or the first bad one stands
    deviation: Deviation | None

    @property
    def is_finite(self) -> bool:
        return self.n_bad == 0


def strange(config: Config) -> list[str]:
    """Fields younger than these rules that are not at their default."""
    plainly = Config().to_dict()
    return [name for name, value in config.to_dict().items()
            if name not in KNOWN and value != plainly[name]]


class Watched:
    """What a model tells of one sequence, each tensor beside what its inputs make of it."""

    def __init__(self, config: Config, params: Flat, ids: Array, targets: Array, *,
                 compares: bool = True) -> None:
        self.seen: list[Seen] = []
        self._compares = compares and not strange(config)
        self._kept = Kept(config, params, ids, targets)
        self._known = rules.factors(config, ids.size)
        self._is_calm = size(params.buffer[: params.n_decay]) < CALM * np.sqrt(params.n_decay)

    def __call__(self, place: str, tensor: str, values: Array) -> None:
        block = int(place.removeprefix("block")) if place else -1
        if tensor.startswith("rwkv.") and tensor != "rwkv.state":  # filled up to whole chunks
            values = values[..., : self._kept.ids.size, :]
        self._kept.tensors[block, tensor] = values.copy()
        if tensor == "attn.q":
            return
        if tensor == "attn.k":
            q, k = (self._kept.of(block, name)[0] for name in ("attn.q", "attn.k"))
            tensor = "attn.scores"
            with np.errstate(all="ignore"):
                values = plain.products(q, k) * exponential.NATS
            self._kept.tensors[block, tensor] = values
        self._look(block, tensor, values)

    def _look(self, block: int, tensor: str, values: Array) -> None:
        with np.errstate(all="ignore"):
            deviation = self._deviation(block, tensor, values) if self._compares else None
            self.seen.append(seen(block, tensor, values, deviation))

    def _deviation(self, block: int, tensor: str, values: Array) -> Deviation | None:
        rule, mixer = rules.EXPECTED.get(tensor), self._kept.config.mixer
        if tensor == "dnorm1" and mixer == "rwkv":
            return self._mixer_back(block, values)
        if rule is None:
            return None
        if self._tolerance(block, tensor) == np.inf:
            return None if np.all(np.isfinite(values)) else Deviation(
                "overflow", "scores or logits are so large that float32 tells them no more apart")
        try:
            return self._told(lambda: self._beside(block, tensor, values, rule))
        except KeyError:  # a tensor it follows from was not told
            return None

    def _beside(self, block: int, tensor: str, values: Array,
                rule: rules.Rule) -> Deviation | None:
        expected = rule(self._kept, block)
        tolerance = self._tolerance(block, tensor)
        if tensor in ("dattn.qkv", "dattn.normed"):  # one by one, as values may be far larger
            c, e = self._kept.config.n_embd, self._kept.config.kv_width
            noise = ROUNDING * rules.rounded(self._kept, block)
            return next((found for part in (slice(c), slice(c, c + e), slice(c + e, None)) if (
                found := compare(values[part], expected[part], {}, self._known, tolerance,
                                 noise))), None)
        found = compare(values, expected, rules.others(self._kept, block, tensor), self._known,
                        tolerance, ROUNDING * rules.squashed(self._kept, block, tensor))
        if tensor == "attn.mixed" and found and found.kind == "not finite" and np.all(
                rules.undivided(self._kept, block)[~np.isfinite(values)] >= LARGEST):
            return Deviation("overflow", "before it is divided by the sum of powers it is over the "
                             "largest number of float32")
        return found

    def _told(self, find: Callable[[], Deviation | None]) -> Deviation | None:
        """What is found, unless the plain form gives the same, or no finite numbers, in float32."""
        found = find()
        if found is None or found.kind == "overflow":
            return found
        self._kept.dtype = np.float32
        try:
            is_rounding = find() is None
        finally:
            self._kept.dtype = np.float64
        return Deviation("overflow", "float32 cannot hold what its inputs give") if (
            is_rounding) else found

    def _tolerance(self, block: int, tensor: str) -> float:
        """A softmax rounds by the size of what it is given; what float32 cannot tell is no fault.
        """
        of = "attn.scores" if "attn" in tensor else "logits"
        given = self._kept.tensors.get((block, of))
        # What is no number says nothing of the size of the others.
        largest = 0.0 if given is None else float(
            np.fmax.reduce(np.abs(given), axis=None, initial=0.0))
        return 0.01 if largest < 1e3 else 0.01 * largest / 1e3 if largest < BLUNT else np.inf

    def _mixer_back(self, block: int, dy: Array) -> Deviation | None:
        """The gradient through RWKV beside the slope of its plain form, in two directions."""
        y, dout = self._kept.of(block, "norm1"), self._kept.of(block, "dresidual1")
        p, n_head = self._kept.mixer(block), self._kept.config.n_head
        if not np.all(np.isfinite(dy)):
            return compare(dy, dy * 0 if np.any(~np.isfinite(dout)) else np.zeros_like(y), {}, {})
        return self._along(lambda moved: plain.rwkv(moved, p, n_head), y, dout, dy)

    def _along(self, f: Callable[[Array], Array], x: Array, dout: Array,
               dx: Array) -> Deviation | None:
        """dx (of x) beside ⟨dout, f(x + hv) − f(x − hv)⟩ / 2h for v along dx and by chance."""
        dx = dx.astype(np.float64)
        if not self._is_calm:
            return None
        length, h = size(dx), SLOPE * (size(x) or 1.0)
        if not length:
            return None

        def slope(v: Array, h: float = h) -> float:
            return float(np.vdot(dout, f(x + h * v) - f(x - h * v)) / (2 * h))

        by_chance = np.random.default_rng(0).standard_normal(x.shape)
        along, across = slope(dx / length), slope(by_chance / size(by_chance))
        gap = abs(float(np.vdot(dx, by_chance)) / size(by_chance) - across)
        # What is left across must be small beside what a random direction has of the whole.
        if abs(along / length - 1) < ABOUT and gap < 2 * ABOUT * length / np.sqrt(x.size):
            return None
        if abs(slope(dx / length, h / 8) - along) > 0.01 * abs(along):
            return None  # so bent that no slope tells
        factor = length / along if along else np.inf
        # Of a wrong factor nothing is left across once it is taken out.
        gap = abs(float(np.vdot(dx, by_chance)) / size(by_chance) / factor - across)
        if np.isfinite(factor) and gap < 2 * ABOUT * abs(along) / np.sqrt(x.size):
            return Deviation("scale", f"it is {named(factor, self._known)} times what its inputs "
                             "give", factor)
        return Deviation("wrong", "it does not follow from its inputs")

    def gradients(self, grads: Flat) -> None:
        """Look at the gradients of all parameters, in the order in which they were computed."""
        for block, name in reversed(in_order(list(grads.views))):
            view = grads.views[f"block{block}.{name}" if block >= 0 else name]
            with np.errstate(all="ignore"):
                deviation = self._of_gradient(block, name, view) if self._compares else None
                self.seen.append(seen(block, f"gradient of {name}", view, deviation))

    def _of_gradient(self, block: int, name: str, values: Array) -> Deviation | None:
        rule = rules.GRADIENTS.get(name)
        if rule:
            values = values[rules.rows_of(self._kept, name)]
            noise = ROUNDING * rules.cancelled(self._kept, block, name)
            return self._told(lambda: compare(values, rule(self._kept, block), {}, self._known,
                                              noise=noise))
        kept, own = self._kept, name.removeprefix("rwkv.")
        if own == name or not np.all(np.isfinite(values)):
            return None
        y, p, n_head = kept.of(block, "norm1"), kept.mixer(block), kept.config.n_head
        return self._along(lambda moved: plain.rwkv(y, p | {own: moved}, n_head), p[own],
                           kept.of(block, "dresidual1"), values)


def seen(block: int, tensor: str, values: Array, deviation: Deviation | None) -> Seen:
    """The sizes of a tensor."""
    is_bad = ~np.isfinite(values)
    n_bad = int(np.sum(is_bad))
    finite = np.where(is_bad, 0, values) if n_bad else values
    largest = float(max(np.max(finite, initial=0.0), -np.min(finite, initial=0.0)))
    rms = size(finite) / max(1.0, float(values.size - n_bad)) ** 0.5
    is_back = tensor.startswith(("d", "gradient"))
    row = None
    if values.ndim == 2 and not tensor.startswith("gradient"):
        worst = is_bad if n_bad else np.abs(finite)
        name = tensor.removeprefix("d") if is_back else tensor
        row = int(np.argmax(np.max(worst, axis=0 if name in CHANNEL_MAJOR else 1)))
    return Seen(BACKWARD if is_back else FORWARD, None if block < 0 else block, tensor, rms,
                largest, n_bad, row, deviation)


def in_order(names: Sequence[str]) -> list[tuple[int, str]]:
    """(block or −1, name within it) of parameters in the order in which a pass meets them."""
    parts = ("norm1", "attn.qkv", "attn.proj", "rwkv", "norm2", "mlp.gate_up", "mlp.down")

    def key(name: str) -> tuple[int, int]:
        block, own = split(name)
        if block < 0:
            return (-1, 0) if own not in ("head", "norm.gain") else (1 << 30, own == "head")
        return block, next((i for i, part in enumerate(parts) if own.startswith(part)), 3)

    return [split(name) for name in sorted(names, key=key)]


def split(name: str) -> tuple[int, str]:
    """block3.attn.qkv → (3, attn.qkv); embed → (−1, embed)."""
    block, dot, own = name.partition(".")
    return (int(block[5:]), own) if dot and block.startswith("block") else (-1, name)


def look(model: GPT, params: Flat, scratch: Flat, ids: Array, targets: Array, *,
         compares: bool = True) -> list[Seen]:
    """Watch one sequence of ids (T,) forward and backward; scratch becomes its gradient.

    compares  whether each tensor is put beside what its inputs give, and not its size alone noted
    """
    watched = Watched(model.config, params, ids, targets, compares=compares)
    model.watch = watched
    try:
        with np.errstate(all="ignore"):
            _, cache = model.loss(params, ids[None], targets[None])
            model.backward(params, scratch, cache)
    finally:
        model.watch = None
    watched.gradients(scratch)
    return watched.seen
