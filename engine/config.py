"""Config: one frozen description of a model and how it is trained, with its size and cost.

A Config holds everything that decides the result except the seed, the token budget and the text.
Every default of the project lives here and nowhere else.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from engine.blocks import EVAL_LOGITS as EVAL_LOGITS
from engine.blocks import EVAL_TOKENS as EVAL_TOKENS
from engine.blocks import (
    matrices,
    muon_floats,
    muon_shares,
    rwkv_ranks,
    time_chunk,
    workspace_floats,
)
from engine.errors import ConfigError
from engine.fields import BOUNDS as BOUNDS
from engine.fields import CHOICES as CHOICES
from engine.fields import MIXERS as MIXERS
from engine.fields import OPTIMIZERS as OPTIMIZERS
from engine.fields import SCHEDULES as SCHEDULES
from engine.fields import TITLES as TITLES
from engine.fields import checked, known_name, parsed, short

OPTIMIZER_TITLES = {"adamw": "AdamW", "lion": "Lion", "schedule_free": "SF-AdamW",
                    "muon": "Muon"}
# Fields younger than the first ledgers: in a hash once they are used, so that older hashes stay.
LATER = ("n_kv_head", "mixer", "cautious_decay", "scheduled_decay", "data_order",
         "shuffle_stories", "residual_scalars", "bigram_buckets", "qk_norm")
# What runs older than a field had in its place, where that is not the default.
EARLIER: dict[str, Any] = {"data_order": "linear"}
# Arrays of one parameter each that an optimizer keeps beside the parameters and their gradient.
# Muon has one less of the matrices of blocks: Config.slot_floats.
OPTIMIZER_SLOTS = {"adamw": 2, "lion": 1, "schedule_free": 2, "muon": 2}

PROCESS_MB = 51.0  # interpreter, numpy and BLAS buffers before the model, and their proof
SAVE_MB = 16.8  # a checkpoint is written in copied pieces of at most 16 MiB of an array
FORK_MB = 13.0  # what a replica changes of them, and its own BLAS buffers: measured 12 to 16


@dataclass(frozen=True, slots=True)
class Config:
    """Shape of the GPT and recipe of its training; checked on construction (ConfigError)."""

    n_embd: int = 128
    n_layer: int = 4
    n_head: int = 4
    n_hidden: int | None = None  # SwiGLU width; None follows the model: 4 · n_embd
    vocab_size: int = 1024
    seq_len: int = 128
    tied: bool = False  # one matrix serves as embedding and as head
    rope_base: float = 10000.0
    batch_size: int = 8  # windows in one forward and backward pass
    grad_accum: int = 1  # passes summed into one update
    optimizer: str = "adamw"
    lr: float = 3e-3
    schedule: str = "cosine"  # schedule_free always runs constant after its warm-up
    warmup_frac: float = 0.03  # of all steps
    decay_frac: float = 0.2  # of all steps; wsd only
    min_lr_frac: float = 0.1  # of lr, where cosine and wsd end
    weight_decay: float = 0.1  # matrices only, never norm gains
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # largest global gradient norm
    n_kv_head: int | None = None  # heads of keys and values, each for a group; None: n_head
    mixer: str = "attention"  # what takes from earlier tokens; rwkv has heads, but no key heads
    cautious_decay: bool = False  # weight decay only where the update goes towards zero, too
    scheduled_decay: bool = False  # weight decay times lr / peak lr: it falls as the square of lr
    # How windows lie in a pass of the text: engine/training/data.py. No idea of a search; a study
    # that began with one order keeps it.
    data_order: str = "circular"
    shuffle_stories: bool = False  # whole stories, each pass anew, under windows of either order
    residual_scalars: bool = False  # two a block: on the residual stream, on the embedded input
    bigram_buckets: int = 0  # of a table of hashed pairs of tokens, added to the input; 0: none
    qk_norm: bool = False  # RMS norm of every head's queries and keys; attention only

    def __post_init__(self) -> None:
        for name, default in _defaults().items():
            value = getattr(self, name)
            if value is default:
                continue
            checked(name, value, default)
            kind = float if isinstance(default, float) else int
            if name in BOUNDS and value is not None and type(value) is not kind:
                object.__setattr__(self, name, kind(value))  # 1 and 1.0 are one
        if self.n_embd % (2 * self.n_head):
            fits = [h for h in range(1, 65) if self.n_embd % (2 * h) == 0]
            near = sorted(sorted(fits, key=lambda h: abs(h - self.n_head))[:2])
            allowed = " or ".join(map(str, near)) or "an even n_embd"
            raise ConfigError(
                f"n_head={self.n_head} does not divide n_embd={self.n_embd}; use {allowed}"
                if self.n_embd % self.n_head else
                f"n_embd={self.n_embd} over n_head={self.n_head} gives heads of "
                f"{self.head_size}, and they need an even size; use "
                + (f"n_head {allowed}" if near else allowed))
        if self.mixer == "attention" and self.n_head % self.kv_heads:
            fits = [h for h in range(1, self.n_head + 1) if self.n_head % h == 0]
            near = sorted(sorted(fits, key=lambda h: abs(h - self.kv_heads))[:2])
            raise ConfigError(f"n_kv_head={self.kv_heads} does not divide n_head={self.n_head}; "
                              f"use {' or '.join(map(str, near))}")

    # --- the model's shape -------------------------------------------------------------------

    @property
    def head_size(self) -> int:
        return self.n_embd // self.n_head

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values; n_head / kv_heads heads of queries share each."""
        return self.n_head if self.n_kv_head is None else self.n_kv_head

    @property
    def kv_width(self) -> int:
        """Channels of all keys of a token, and of all its values."""
        return self.head_size * self.kv_heads

    @property
    def hidden(self) -> int:
        return 4 * self.n_embd if self.n_hidden is None else self.n_hidden

    @property
    def effective_schedule(self) -> str:
        """Schedule-Free averages instead of decaying (Defazio et al. 2024, arXiv:2405.15682)."""
        return "constant" if self.optimizer == "schedule_free" else self.schedule

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, in the order they lie in the flat buffer.

        The gains come last, so that weight decay covers one contiguous head of the buffer.
        """
        c, f, v = self.n_embd, self.hidden, self.vocab_size
        shapes: dict[str, tuple[int, ...]] = {"embed": (v, c)}
        if not self.tied:
            shapes["head"] = (v, c)
        if self.bigram_buckets:  # decays, as the embedding does
            shapes["bigram"] = (self.bigram_buckets, c)
        mixer = self._mixer_shapes()
        for i in range(self.n_layer):
            shapes |= {f"block{i}.{name}": shape for name, shape in mixer.items()
                       if len(shape) == 2}
            shapes |= {f"block{i}.mlp.gate_up": (2 * f, c), f"block{i}.mlp.down": (f, c)}
        for i in range(self.n_layer):
            shapes |= {f"block{i}.norm1.gain": (c,), f"block{i}.norm2.gain": (c,)}
            shapes |= {f"block{i}.{name}": shape for name, shape in mixer.items()
                       if len(shape) == 1}
            if self.residual_scalars:
                shapes[f"block{i}.residual"] = (2,)
        return shapes | {"norm.gain": (c,)}

    def _mixer_shapes(self) -> dict[str, tuple[int, ...]]:
        """What a block takes from earlier tokens with."""
        c, (mixed, decays) = self.n_embd, rwkv_ranks(self.n_embd)
        if self.mixer == "attention":
            gains = dict.fromkeys(("attn.q_gain", "attn.k_gain"), (self.head_size,))
            return {"attn.qkv": (c + 2 * self.kv_width, c), "attn.proj": (c, c),
                    **(gains if self.qk_norm else {})}
        return {"rwkv.rkvg": (4 * c, c), "rwkv.proj": (c, c),
                "rwkv.mix_in": (5 * mixed, c), "rwkv.mix_out": (5 * mixed, c),
                "rwkv.decay_in": (decays, c), "rwkv.decay_out": (decays, c),
                "rwkv.mix": (6 * c,), "rwkv.decay": (c,), "rwkv.bonus": (c,), "rwkv.gain": (c,)}

    # --- what it costs -----------------------------------------------------------------------

    @property
    def n_params(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes().values())

    @property
    def n_params_embedding(self) -> int:
        """Parameters of embedding and head, and of the table of pairs."""
        rows = self.vocab_size * (1 if self.tied else 2) + self.bigram_buckets
        return rows * self.n_embd

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.seq_len * self.grad_accum

    def steps_for(self, budget_tokens: int) -> int:
        """Optimizer steps that spend a token budget; the last step is never cut short."""
        return max(1, math.ceil(budget_tokens / self.tokens_per_step))

    @property
    def flops_per_token(self) -> float:
        """Floating-point operations of the matrix products of one training token.

        6 a weight that multiplies and 6 a multiply-add of the mixer, 2 forward and 4 backward:
        Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
        """
        weights = self.matrix_weights + self.vocab_size * self.n_embd
        return 6.0 * weights + 6.0 * self.n_layer * self.mixer_products

    @property
    def update_flops(self) -> float:
        """Floating-point operations of the matrix products of one update: Muon alone has any.

        5 (4 m n² + 2 n³) for each m × n matrix, m ≥ n: what is not a square counts by both sides.
        """
        if self.optimizer != "muon":
            return 0.0
        return 2.0 * sum(one.products for one in matrices(self))

    @property
    def slot_floats(self) -> int:
        """Entries of what the optimizer keeps beside the parameters and their gradient."""
        known = OPTIMIZER_SLOTS[self.optimizer] * self.n_params
        if self.optimizer != "muon":
            return known
        return known - sum(one.size for one in matrices(self))

    @property
    def matrix_weights(self) -> int:
        """Entries of all blocks' matrices: a model's size as laws of scale count it."""
        return self.n_layer * self.block_weights

    @property
    def block_weights(self) -> int:
        """Entries of a block's matrices, each of which multiplies every token."""
        mixer = sum(math.prod(shape) for shape in self._mixer_shapes().values() if len(shape) == 2)
        return mixer + 3 * self.n_embd * self.hidden

    @property
    def mixer_products(self) -> int:
        """Multiply-adds a token with what its block has of others.

        T · C of the causal half of attention; of RWKV reading and writing the state and the
        causal half of a chunk.
        """
        if self.mixer == "rwkv":
            return (2 * self.head_size + time_chunk(self.seq_len)) * self.n_embd
        return self.seq_len * self.n_embd

    @property
    def workspace_floats(self) -> int:
        """Entries of every buffer in which one process trains on whole batches and evaluates."""
        return workspace_floats(self, self.batch_size)

    @property
    def peak_mb(self) -> float:
        """Predicted peak resident memory of training in one process, in MB (10⁶ bytes)."""
        return self.predicted_mb()

    def predicted_mb(self, n_replicas: int = 1) -> float:
        """Predicted peak resident memory of training, MB, pages that replicas share counted once.

        Without the text, and what it takes to shuffle its stories: agent/search/footprint.py.
        Parameters and optimizer are shared; every replica has its own gradient, and a workspace
        for its rows of the batch.
        """
        n = min(n_replicas, self.batch_size)
        copies = (1 + n) * self.n_params + self.slot_floats
        workspaces = sum(workspace_floats(self, (self.batch_size + rank) // n) for rank in range(n))
        fixed = PROCESS_MB + (n - 1) * FORK_MB + min(4e-6 * self.n_params, SAVE_MB)
        if self.optimizer == "muon":
            workspaces += sum(muon_floats(self, share) for share in muon_shares(self, n))
        return fixed + 4e-6 * (copies + workspaces)

    # --- text forms --------------------------------------------------------------------------

    def describe(self) -> str:
        """The table's Config cell: shape, optimizer, learning rate, then what is not default."""
        text = (f"{self.n_embd}d/{self.n_layer}L {OPTIMIZER_TITLES[self.optimizer]} "
                f"lr={short(self.lr)}")
        named = {"n_embd", "n_layer", "optimizer", "lr"}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in named and value != field.default:
                text += f" {field.name}={short(value)}"
        return text

    def difference(self, other: "Config") -> dict[str, tuple[Any, Any]]:
        """Fields where the two differ: name → (own value, the other's value)."""
        return {
            f.name: (getattr(self, f.name), getattr(other, f.name))
            for f in dataclasses.fields(self)
            if getattr(self, f.name) != getattr(other, f.name)
        }

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def canonical(self) -> dict[str, Any]:
        """to_dict with derived values resolved and fields without effect set to one value.

        Two configurations that train the same way have the same canonical form.
        """
        inert: dict[str, Any] = {"n_hidden": self.hidden, "n_kv_head": self.kv_heads,
                                 "schedule": self.effective_schedule}
        if self.effective_schedule != "wsd":
            inert["decay_frac"] = None
        if self.effective_schedule == "constant":
            inert["min_lr_frac"] = None
        if self.mixer == "rwkv":
            inert |= {"n_kv_head": None, "rope_base": None, "qk_norm": None}
        if self.weight_decay == 0:
            inert["cautious_decay"] = None
        if self.weight_decay == 0 or self.effective_schedule == "constant":
            inert["scheduled_decay"] = None  # warm-up alone is no fall
        return self.to_dict() | inert

    @property
    def unused(self) -> set[str]:
        """Fields of LATER that change nothing here: as if they had never been added."""
        plain = {"n_kv_head": self.n_head, **EARLIER}
        known = self.canonical()
        return {name for name in LATER if known[name] in (None, plain.get(name, _defaults()[name]))}

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON form."""
        return _hash_of(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Config from plain values, such as a ledger's; unknown fields are refused.

        Absent fields take the default; of EARLIER what runs had that were written without them.
        """
        for name in values:
            known_name(name, cls.__dataclass_fields__)
        return cls(**{**EARLIER, **values})

    def assign(self, assignments: Iterable[str]) -> Self:
        """A copy with `key=value` texts applied, as `--set` on the command line takes them."""
        changes: dict[str, Any] = {}
        for text in assignments:
            name, equals, value = text.partition("=")
            if not equals:
                raise ConfigError(f"'{text}' is not of the form key=value, such as lr=3e-3")
            known = known_name(name.strip(), self.__dataclass_fields__)
            changes[known] = parsed(known, value.strip(), _defaults()[known])
        return dataclasses.replace(self, **changes)


@functools.lru_cache(maxsize=1 << 14)  # a search asks for that of every known run, every time
def _hash_of(config: Config) -> str:
    unused = config.unused
    used = {name: value for name, value in config.canonical().items() if name not in unused}
    text = json.dumps(used, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache  # a search makes thousands of configurations for an idea
def _defaults() -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(Config)}
