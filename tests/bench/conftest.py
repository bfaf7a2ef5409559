"""A small text for the tests of the benches, and a course that is run without training."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.config import Config
from engine.text import corpus
from engine.text.corpus import TokenSet
from tests.bench.arms.course import START, Course, Ended, IsHopeless

MODEL = ["vocab_size=300", "n_embd=32", "n_layer=1", "seq_len=32", "batch_size=2"]


@dataclass(frozen=True)
class Stub(Course):
    """A course whose runs take no time: the nearer a learning rate of 2e-3, the better."""

    asked: list[tuple[Config, int, Ended]] = field(default_factory=list)
    rungs: set[int] = field(default_factory=set)  # steps at which an arm looked

    def train(self, config: Config, seed: int, splits: Sequence[str] = ("search",),
              rungs: Sequence[int] = (), is_hopeless: IsHopeless | None = None) -> Ended:
        noise = zlib.crc32(f"{config.hash} {seed}".encode()) / 2**32 / 100
        bpb = 2 + 0.1 * abs(math.log(config.lr / 2e-3)) + noise
        self.rungs.update(rungs)
        tokens = config.steps_for(self.budget_tokens) * config.tokens_per_step
        ended = Ended("finished", tokens, dict.fromkeys(splits, bpb), bpb, bpb if rungs else None)
        for number, step in enumerate(rungs, 1):
            if is_hopeless and is_hopeless(number, bpb):
                ended = Ended("pruned", step * config.tokens_per_step, rung_bpb=bpb)
                break
        self.asked.append((config, seed, ended))
        return ended


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    return corpus.prepare_tokens(corpus.builtin(tmp_path_factory.mktemp("texts"), 100), 300)


@pytest.fixture(scope="session")
def course(tokens: TokenSet) -> Course:
    """Runs of 2,000 tokens, 32 steps, of a model that trains in a blink."""
    return Course(tokens, START.assign(MODEL), 2000, 8, 1)


@pytest.fixture
def stub(tokens: TokenSet, tmp_path: Path) -> Stub:
    """Runs of 60,000 tokens that are not trained: room for most of the space."""
    return Stub(tokens, START.assign(MODEL), 60_000, 16, 1)
