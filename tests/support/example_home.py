"""A home with the example night, and the command line as tests call it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.home.paths import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.trial.job import Job
from engine.config import Config
from engine.text.tokenizer import Tokenizer
from engine.training import checkpoint
from engine.training.train import Texts, Trainer
from tests.support import example_ledger as example

TINY = Config(n_embd=16, n_layer=1, n_head=2, vocab_size=257, seq_len=16, batch_size=2, lr=1e-2)
EVENTS = [
    {"kind": "start", "pid": 77, "step": 0, "n_steps": 2000},
    {"kind": "eval", "step": 500, "tokens": 512000, "nats": 2.7, "bpb": 1.25, "eval_s": 0.5},
    {"kind": "sample", "step": 500, "text": "Once upon a time there was a fox."},
    {"kind": "done", "step": 2000, "tokens": 2048000, "train_loss": 2.45, "nats": 2.5,
     "bpb": float("nan"), "tok_per_s": 20000.0, "peak_mb": 91.4, "elapsed_s": 96.0},
]


def trained(config: Config = TINY, n_steps: int = 3) -> Trainer:
    tokens = np.random.default_rng(0).integers(0, 257, 400).astype(np.uint16)
    trainer = Trainer(config, 0, 10, Texts(tokens, tokens, 400))
    for _ in range(n_steps):
        trainer.advance()
    return trainer


def save(folder: RunFolder, trainer: Trainer, config: Config | None = None) -> None:
    """A run's folder as its worker leaves it."""
    folder.root.mkdir(parents=True, exist_ok=True)
    tokenizer = folder.root / "tokenizer.json"
    Tokenizer([]).save(tokenizer)
    checkpoint.save(folder.checkpoint, trainer.arrays(), trainer.scalars())
    Job(config=config or trainer.config, seed=0, budget_tokens=320, train_tokens="-",
        valid_tokens="-", n_valid_bytes=400, tokenizer=str(tokenizer)).write(folder.job)


def a_home(root: Path) -> Home:
    """The example night; E1 left a log, a sample and a checkpoint."""
    home = Home(root)
    home.root.mkdir()
    home.ledger.write_bytes(example.filled())
    folder = home.run(run_called(home, "E1").uid)
    save(folder, trained())
    folder.events.write_text("".join(json.dumps(event) + "\n" for event in EVENTS),
                             encoding="utf-8")
    return home


def run_called(home: Home, label: str) -> Run:
    with Ledger.open(home.ledger, read_only=True) as ledger:
        return ledger.run(label)


def agent(home: Home, *arguments: str, columns: int | None = None) -> Result:
    environment = {"COLUMNS": str(columns) if columns else None}
    return CliRunner().invoke(main, ["--home", str(home.root), *arguments], env=environment)


def printed(home: Home, *arguments: str, columns: int | None = None) -> str:
    result = agent(home, *arguments, columns=columns)
    assert result.exit_code == 0, result.output
    return result.stdout


def value(home: Home, *arguments: str) -> Any:
    """The one JSON value on stdout; NaN and Infinity are no JSON."""
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(printed(home, *arguments, "--json"), parse_constant=refuse)
