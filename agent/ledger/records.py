"""Rows of the ledger as plain values; `agent/ledger/migrations.py` says what each column means.

Field names equal column names. JSON columns arrive as lists and dictionaries; None is NULL.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar

from engine.config import Config

State = Literal[
    "queued", "running", "finished", "pruned", "diverged", "killed", "failed", "lost"]
Ending = Literal["finished", "pruned", "diverged", "killed", "failed"]
Verdict = Literal[
    "baseline", "kept", "discarded", "pruned", "recorded", "diverged", "killed", "failed", "lost",
    "confirmed", "refuted", "undecided", "ablated", "withdrawn", "as predicted",
    "not as predicted"]

ENDED: tuple[State, ...] = ("finished", "pruned", "diverged", "killed", "failed", "lost")

# A label is the letter of the run's strategy and the next number; every mutator makes an E.
LABEL_LETTERS = {"baseline": "B", "grid": "G", "hand": "T", "confirm": "C", "ablate": "A",
                 "improve": "I", "harvest": "H"}

# Sources of a corpus that are made or downloaded here; any other is a file.
GENERATED = ("builtin", "sums", "tinystories")

JSON_COLUMNS = {"config", "seeds", "evidence", "data", "sizes", "tokens", "cells"}

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCorpus:
    """One text cut by one tokenizer, with its yardsticks on the search shard."""

    name: str
    source: str
    text_sha256: str
    vocab_size: int
    tokenizer_sha256: str
    search_sha256: str
    created_at: str
    n_stories_train: int | None = None
    n_tokens_train: int | None = None
    n_tokens_search: int | None = None
    n_tokens_confirm: int | None = None
    n_tokens_test: int | None = None
    n_bytes_search: int | None = None
    confirm_sha256: str | None = None
    test_sha256: str | None = None
    uniform_nats: float | None = None
    unigram_nats: float | None = None
    bigram_nats: float | None = None
    trigram_nats: float | None = None
    unigram_bpb: float | None = None
    bigram_bpb: float | None = None
    trigram_bpb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus(NewCorpus):
    """A corpus the ledger holds."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCalibration:
    """A study: a corpus, a token budget and a baseline, so that its runs can be compared."""

    created_at: str
    corpus_id: int
    text_sha256: str
    budget_tokens: int
    config: Mapping[str, Any]
    seeds: list[int] | None = None
    n: int | None = None
    sigma_nats: float | None = None
    sigma_bpb: float | None = None
    mean_bpb: float | None = None
    run_s: float | None = None
    tok_per_s: float | None = None
    flops_per_s: float | None = None
    device: str | None = None
    kernels: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(NewCalibration):
    """A study the ledger holds; the sigmas are None until the baseline's seeds have finished."""

    id: int
    home: str | None = None


class Measured(TypedDict, total=False):
    """What `Ledger.update_calibration` can fill in later."""

    seeds: list[int]
    n: int
    sigma_nats: float
    sigma_bpb: float
    mean_bpb: float
    run_s: float
    tok_per_s: float
    flops_per_s: float
    device: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was expected of a run's score before it ran, bits per byte."""

    mean_bpb: float
    low_bpb: float  # 95 % of such runs between these
    high_bpb: float


Purpose = Literal["rate", "replicate", "trunk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """What a grid asked for in one of its runs; the columns of `grid_cells`."""

    family: str
    size: str
    unique_tokens: int | None = None  # None: all of the text
    unique_asked: str | None = None
    purpose: Purpose | None = None  # None, trunk: a point of the law, alone or a branch of its row
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What must be known to queue a run; the ledger gives it an id and a label."""

    uid: str
    created_at: str
    strategy: str
    config: Config
    seed: int
    budget_tokens: int
    corpus_id: int
    calibration_id: int | None = None
    parent_id: int | None = None
    grid_id: int | None = None
    reason: str | None = None
    predicted_mb: float | None = None
    device: str | None = None
    cores: str | None = None
    replicas: int | None = None
    kernels: str | None = None
    code_version: str | None = None
    notes: str | None = None
    prediction: Prediction | None = None
    recipe: str | None = None  # what else than configuration and seed decides the result
    cell: GridCell | None = None

    def columns(self) -> dict[str, Any]:
        """The row to insert: the fields, and what follows from the configuration."""
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)
                 if f.name not in ("prediction", "recipe", "cell")}
        return given | {
            "config": self.config.to_dict(),
            "config_hash": hash_with(self.config, self.recipe),
            "config_text": self.config.describe(),
            "n_params": self.config.n_params,
            "n_params_embedding": self.config.n_params_embedding,
        }

    def beside(self) -> dict[str, dict[str, Any]]:
        """Rows of other tables that go with it, by the table, without its id."""
        found = {"predictions": self.prediction, "grid_cells": self.cell}
        return {table: dataclasses.asdict(row) for table, row in found.items() if row}


def hash_with(config: Config, recipe: str | None) -> str:
    """The hash of all that decides a result but seed, budget and text."""
    if recipe is None:
        return config.hash
    return hashlib.sha256(f"{config.hash}\n{recipe}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at one configuration with one seed; a published row knows only its cells."""

    id: int
    uid: str
    label: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    heartbeat_at: str | None
    state: State
    strategy: str | None
    parent_id: int | None
    grid_id: int | None
    calibration_id: int | None
    reason: str | None
    config: dict[str, Any]
    config_hash: str | None
    config_text: str
    seed: int | None
    n_params: int | None
    n_params_embedding: int | None
    budget_tokens: int | None
    steps: int | None
    tokens: int | None
    train_loss: float | None
    val_loss: float | None
    val_bpb: float | None
    vs_unigram: float | None
    predicted_mb: float | None
    peak_mb: float | None
    tok_per_s: float | None
    duration_s: float | None
    device: str | None
    cores: str | None
    code_version: str | None
    corpus_id: int | None
    source: Literal["measured", "published"]
    pid: int | None
    events_offset: int
    attempts: int
    error: str | None
    cells: dict[str, str] | None
    notes: str | None
    replicas: int | None
    confirm_bpb: float | None
    test_bpb: float | None
    rung_bpb: float | None
    kernels: str | None
    home: str | None = None


class Outcome(TypedDict, total=False):
    """What `Ledger.finish` can record about a run that ended."""

    steps: int | None
    tokens: int | None
    train_loss: float | None
    val_loss: float | None
    val_bpb: float | None
    confirm_bpb: float | None
    test_bpb: float | None
    rung_bpb: float | None
    vs_unigram: float | None
    peak_mb: float | None
    tok_per_s: float | None
    duration_s: float | None
    device: str | None
    cores: str | None
    code_version: str | None
    error: str | None
    notes: str | None


@dataclass(frozen=True, slots=True)
class Blocks:
    """A score on a shard in blocks of its text: their bits, and the bytes they are of."""

    bits: tuple[float, ...]
    n_bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """One logged step of a run; losses in nats per token."""

    step: int
    tokens: int
    train_loss: float | None = None
    val_loss: float | None = None
    val_bpb: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tok_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """What one block of the network did at a logged step, on the first sequence of its batch."""

    step: int
    block: int
    act_rms: float | None = None
    grad_rms: float | None = None
    max_score: float | None = None
    entropy: float | None = None
    dead_gates: float | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Where the numbers of a run broke, and what most likely broke them."""

    step: int
    direction: str  # the column pass
    block: int | None
    tensor: str
    causes: list[str]
    told: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict on a run and what it rests on; `label` and `against` name the two runs."""

    id: int
    decided_at: str
    run_id: int
    label: str
    against_id: int | None
    against: str | None
    verdict: Verdict
    rule: str
    evidence: dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What the daemon or the guard did; `label` names the run it concerned, if any."""

    id: int
    at: str
    kind: str
    run_id: int | None
    label: str | None
    message: str
    data: dict[str, Any] | None
    home: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A plan of sizes times amounts of data."""

    id: int
    created_at: str
    sizes: list[Any]
    tokens: list[int]
    seed: int
    note: str | None


def to_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as SQLite keeps them: lists and dictionaries as JSON with sorted keys.

    A number that is not finite becomes NULL: it is no measurement, and no JSON either.
    """
    columns = {}
    for name, value in values.items():
        value = finite(value)
        if isinstance(value, dict | list):
            value = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
        columns[name] = value
    return columns


def from_columns(kind: type[Row], columns: Mapping[str, Any]) -> Row:
    """A row as its dataclass; the columns must be exactly its fields."""
    return kind(**{
        name: json.loads(value) if name in JSON_COLUMNS and isinstance(value, str) else value
        for name, value in columns.items()
    })


def finite(value: Any) -> Any:
    """A value with None for each number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What a strategy's ended runs of one study came to."""

    strategy: str
    n_runs: int
    n_kept: int
    n_confirmed: int  # of them, as part of a batch or alone
    n_pruned: int
    gain_bpb: float | None  # of all kept steps together, each on one seed; None without any
    tokens: int
    saved_tokens: int  # that pruned runs did not take
