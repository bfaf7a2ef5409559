"""What a trace found, as plain values and in words."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

# What the buffers of a pass hold, by the end of a buffer's name; engine/model/gpt.py.
TENSORS = {"norm1.y": "norm1", "qkv": "attn.qkv", "attn.o": "attn.mixed", "rwkv.mixed": "rwkv.mix",
           "rwkv.rkvg": "rwkv.r", "rwkv.w": "rwkv.decay", "rwkv.wkv.states": "rwkv.state",
           "rwkv.wkv.y": "rwkv.norm", "rwkv.o": "rwkv.out", "norm2.y": "norm2",
           "gate_up": "mlp.gate_up"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a run's numbers broke, and what most likely broke them."""

    step: int  # the update that was under way, 1 for the first
    direction: str  # the pass: forward, backward, or update, of the optimizer
    block: int | None  # None: of no block, as embedding and head are
    tensor: str
    causes: tuple[str, ...]  # likeliest first, each begins with its name and a colon
    what: str  # became of the tensor, in words that follow its name
    growth: tuple[tuple[int, float], ...] = ()  # root mean square of the tensor before some steps
    began_at: int | None = None  # the step whose state was repeated from; 0: the very start
    is_repeated: bool = True  # whether the step broke again when it was done again
    notes: tuple[str, ...] = field(default=())

    @property
    def place(self) -> str:
        return self.tensor if self.block is None else f"block {self.block} {self.tensor}"

    @property
    def told(self) -> str:
        """One line."""
        return (f"{self.place} {self.what}, in the {self.direction} pass of step {self.step:,}; "
                f"{self.causes[0]}")

    def values(self) -> dict[str, Any]:
        """As JSON has it; what is not finite is null."""
        found = asdict(self)
        found["pass"] = found.pop("direction")
        found["growth"] = [[step, rms if math.isfinite(rms) else None]
                           for step, rms in self.growth]
        return found | {"told": self.told}
