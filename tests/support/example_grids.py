"""A ledger whose grids have run: losses follow a known law with some noise."""

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np

from agent.analysis.scaling.forms import REPETITION, foretold
from agent.analysis.scaling.rates import RateCheck, rate_checks
from agent.analysis.scaling.rows import Ground, observed_of
from agent.analysis.scaling.study import Study, study_of
from agent.ledger.cells import part_sha256
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.ledger.records import GridCell, Run
from agent.search.study import Origin, new_run
from engine.config import Config
from tests.support.parts import NOW, TEXT, new_corpus

ALPHA, BETA, FLOOR, NOISE = 0.35, 0.37, 1.2, 0.01
LAW = np.array([[np.log(60.0), np.log(300.0), ALPHA, BETA, np.log(FLOOR), np.log(5.0)]])
BASE = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=16, batch_size=4)
SHAPES = ((8, 1), (16, 2), (32, 2), (64, 3), (128, 3))
TOKENS = (50_000, 200_000, 800_000, 3_000_000, 8_000_000)
N_TOKENS, PART = 10_000_000, 40_000  # of the text, and of 200 stories of it
YARDSTICKS = {"uniform_nats": 5.7, "unigram_nats": 4.6, "bigram_nats": 3.6, "trigram_nats": 2.6}


def matrices(config: Config) -> int:
    return config.matrix_weights


def sized(width: int, layers: int, **changes: object) -> Config:
    return dataclasses.replace(BASE, n_embd=width, n_layer=layers, lr=0.048 / width, **changes)


class Filler:
    """Queues and finishes cells in a ledger that has the text and a part of it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.rng = ledger, np.random.default_rng(3)
        self.text = ledger.add_corpus(new_corpus(
            name="tales", n_tokens_train=N_TOKENS, n_stories_train=50_000, **YARDSTICKS))
        self.part = ledger.add_corpus(new_corpus(
            name="tales, 200 stories", text_sha256=part_sha256(TEXT, PART), n_tokens_train=PART,
            n_stories_train=200, **YARDSTICKS))
        self.grid = ledger.add_grid(["any"], list(TOKENS), 0, None, NOW)

    def cell(self, config: Config, tokens: int, seed: int = 0, loss: float | None = None,
             **cell: object) -> Run:
        """A finished run; its loss is the law's unless it is given."""
        is_part = cell.get("unique_tokens") is not None
        seen = min(tokens, PART if is_part else N_TOKENS)
        if loss is None:
            law = foretold(REPETITION, LAW, matrices(config), tokens, seen)[0, 0]
            loss = float(law * np.exp(self.rng.normal(0, NOISE)))
        new = new_run(self.ledger, config, seed, tokens, self.part if is_part else self.text, NOW,
                      Origin("grid", "a test asked", grid_id=self.grid))
        values = {"family": "balanced", "size": f"{config.n_embd}d/{config.n_layer}L"}
        run = self.ledger.queue(dataclasses.replace(new, cell=GridCell(**values | cell)))
        self.ledger.claim(NOW, run_id=run.id)
        return self.ledger.finish(run.id, "finished", NOW, tokens=tokens, val_loss=loss,
                                  train_loss=loss, val_bpb=loss / 2, duration_s=60.0,
                                  vs_unigram=loss / YARDSTICKS["unigram_nats"] - 1)


def fill(path: Path) -> None:
    """Five sizes on five amounts of text, two seeds at the ends, parts, another family, rates."""
    with Ledger.open(path) as ledger, ledger.deciding():
        filler = Filler(ledger)
        for width, layers in SHAPES:
            config = sized(width, layers)
            for tokens in TOKENS:
                for seed in (0, 1) if (width, tokens) in ((8, TOKENS[0]), (128, TOKENS[-1]),
                                                          (32, TOKENS[2])) else (0,):
                    filler.cell(config, tokens, seed)
            for tokens in TOKENS[2:]:
                filler.cell(config, tokens, unique_tokens=PART, unique_asked="200s")
        for width in (16, 48):
            filler.cell(sized(width, 4, tied=True), TOKENS[2], family="deep")
        for (width, layers), loss in zip((SHAPES[0], SHAPES[-1]), (9.0, 1.0), strict=True):
            for rate in (0.5, 2.0):
                config = dataclasses.replace(sized(width, layers), lr=0.048 * rate / width)
                filler.cell(config, TOKENS[2], loss=loss, purpose="rate", rate=rate)


@functools.cache
def filled() -> bytes:
    """The file of that ledger."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        fill(path)
        with Ledger.open(path) as ledger:
            ledger.settle()
        return path.read_bytes()


@functools.cache
def studied() -> tuple[Study, Ground, list[RateCheck]]:
    """What is fitted to it, once for all tests of a process: it takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        path.write_bytes(filled())
        with Reader.open(path) as ledger:
            ground = observed_of(ledger)
            checks = rate_checks(ledger, ground.corpora)
    return study_of(ground.runs, ground.yardsticks, n_draws=40), ground, checks
