"""Stand-ins for what the agent is handed: a clock, a worker process, a ledger with a study."""

import json
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.home.paths import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.ledger.records import NewCalibration, NewCorpus, Run
from agent.machine.clock import Clock
from agent.search.study import Origin, new_run
from engine.config import Config
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories

TINY = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=16, batch_size=2)
NOW = "2026-11-20T10:00:00Z"
TEXT = "t" * 64  # the hash of a text
# A model that a real night of the tests trains in a second.
MODEL = ["n_embd=16", "n_layer=1", "n_head=1", "vocab_size=300", "seq_len=16", "batch_size=4"]


def story_tokens(root: Path, n_stories: int = 60) -> TokenSet:
    """Built-in stories as a file of the root, cut into 300 tokens."""
    (root / "stories.txt").write_text("<|endoftext|>".join(write_stories(n_stories, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, root / "stories.txt"), 300)


@dataclass
class FakeTime:
    """A clock that moves when a test says so."""

    now_s: float = 1000.0
    slept_s: float = 0.0
    minutes: int = 12 * 60  # since midnight

    def clock(self) -> Clock:
        return Clock(stamp=lambda: NOW, seconds=lambda: self.now_s,
                     boot=lambda: self.now_s + self.slept_s,
                     local_minutes=lambda: self.minutes)


@dataclass
class FakeProcess:
    """A worker that ends when a test says so."""

    pid: int = 2**22 + 1  # above Linux's largest pid: no signal reaches anyone
    status: int | None = None

    def poll(self) -> int | None:
        return self.status


@dataclass
class FakeSpawn:
    """Starts fake workers and remembers them."""

    processes: list[FakeProcess] = field(default_factory=list)

    def __call__(self, folder: RunFolder) -> FakeProcess:
        self.processes.append(FakeProcess())
        return self.processes[-1]


@dataclass
class Listener:
    """An observer that remembers."""

    said: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        self.said.append(message)

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None:
        pass


def settings(assignments: list[str] = MODEL) -> list[str]:
    """Options that set these fields of the configuration."""
    return [word for assignment in assignments for word in ("--set", assignment)]


def new_corpus(**changes: Any) -> NewCorpus:
    """A corpus whose unigram scores 5 nats."""
    values: dict[str, Any] = {
        "name": "tiny", "source": "file", "text_sha256": TEXT, "vocab_size": 300,
        "tokenizer_sha256": "k" * 64, "search_sha256": "s" * 64, "created_at": NOW,
        "uniform_nats": 5.7, "unigram_nats": 5.0, "bigram_nats": 4.0, "trigram_nats": 3.5}
    return NewCorpus(**values | changes)


def a_study(ledger: Ledger, text: str = TEXT, **changes: Any) -> int:
    """The id of a study of that corpus with a budget of 3,200 tokens."""
    corpus_id = ledger.add_corpus(new_corpus(text_sha256=text))
    values: dict[str, Any] = {
        "created_at": NOW, "corpus_id": corpus_id, "text_sha256": text,
        "budget_tokens": 3200, "config": TINY.to_dict(), "seeds": [0, 1, 2], "n": 0,
        "run_s": 10.0, "flops_per_s": 1e9}
    return ledger.add_calibration(NewCalibration(**values | changes))


def a_run(ledger: Ledger, config: Config = TINY, seed: int = 0, strategy: str = "hand",
          study: int | None = None, text: str = TEXT) -> Run:
    """A queued run of the corpus of a_study, and by its kernels: numpy's."""
    corpus_id = ledger.add_corpus(new_corpus(text_sha256=text))
    new = new_run(ledger, config, seed, 3200, corpus_id, NOW,
                  Origin(strategy, "a test asked", calibration_id=study))
    return ledger.queue(replace(new, kernels="numpy"))


def a_folder(home: Home, run: Run) -> RunFolder:
    """The run's folder with a job already in it, so that nothing has to be prepared."""
    folder = home.run(run.uid)
    folder.root.mkdir(parents=True)
    folder.job.write_text("{}")
    return folder


def write_events(folder: RunFolder, *events: dict[str, Any]) -> None:
    """Append whole lines, as a worker does."""
    with open(folder.events, "ab") as file:
        for event in events:
            file.write(json.dumps(event).encode() + b"\n")


def step(number: int, loss: float = 4.0) -> dict[str, Any]:
    return {"kind": "step", "step": number, "tokens": 32 * number, "loss": loss, "lr": 1e-3,
            "grad_norm": 1.0, "tok_per_s": 1000.0}


def done(nats: float = 4.5, bpb: float = 2.0, **more: Any) -> dict[str, Any]:
    return {"kind": "done", "step": 100, "tokens": 3200, "train_loss": 4.4, "nats": nats,
            "bpb": bpb, "tok_per_s": 1000.0, "peak_mb": 50.0, "elapsed_s": 3.0, **more}


def pruned(rung_bpb: float = 2.4) -> dict[str, Any]:
    return {"kind": "pruned", "step": 25, "tokens": 800, "max_bpb": 2.3, "tok_per_s": 1000.0,
            "rung_bpb": rung_bpb, "peak_mb": 50.0, "elapsed_s": 1.0}


KILLED = -signal.SIGKILL
