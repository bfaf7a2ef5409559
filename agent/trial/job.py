"""job.json: what the daemon asks of a worker, read back as strictly as any foreign file."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from agent.home import RunFolder
from agent.trial.task import Task
from engine.config import Config
from engine.errors import UserError
from engine.files import find_within, name_within, write_atomically

VERSION = 1
STOPPED = 75  # exit status of a worker that saved and may go on: EX_TEMPFAIL
STORAGE = "storage"  # kind of the event of a run for which the disk had no room
UNREADY = "unready"  # kind of the event of a run whose worker found no ground to stand on
NO_GROUND = 71  # exit status of one that the system refused something: EX_OSERR
NO_STORAGE = 74  # of one that could not write and may go on once there is room: EX_IOERR
NUMBERS = "numbers"  # kind of the event of a run whose products come out wrong on this machine
NO_NUMBERS = 70  # exit status of its worker, which has not made a step: EX_SOFTWARE

FILES = ("train_tokens", "valid_tokens", "tokenizer")  # fields that name one
SHARDS = ("confirm", "test")  # beside the one that searches


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A token file that is scored once, after the last step."""

    path: str  # absolute; job.json names it from its own folder on, where the home holds both
    n_bytes: int  # of the text behind all tokens but the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run for one worker process."""

    config: Config
    seed: int
    budget_tokens: int
    train_tokens: str  # paths, absolute; in job.json as those of shards
    valid_tokens: str
    n_valid_bytes: int
    tokenizer: str
    n_replicas: int = 1  # processes that share the training; the result depends on it by rounding
    eval_every: int | None = None  # None: as often as a tenth of the training pays for
    checkpoint_every_steps: int = 500
    checkpoint_every_s: float = 60.0
    orphan_s: float = 60.0  # a worker without a daemon goes on so long, to be adopted
    sample_prompt: str = "Once upon a time"
    measure_s: float | None = None  # only measure speed, for about so many seconds
    shards: dict[str, ShardFile] = field(default_factory=dict)  # by names of SHARDS
    rung_step: int | None = None  # evaluated just there, whatever eval_every says
    rung_max_bpb: float | None = None  # above it the run ends there as pruned
    task: Task | None = None  # of a run that goes on from another's model
    unique_tokens: int | None = None  # train on so many from the beginning of the text's shuffle
    trunk_step: int | None = None  # after it the state is kept, for a longer run to go on from
    trunk: str | None = None  # the state of a shorter run to go on from, where it is still there
    kernels: str = "numpy"  # that compute it, from the first step to the last
    is_measured: bool = False  # at its end, by what it writes

    def write(self, path: Path) -> None:
        def name(file: str) -> str:
            return name_within(RunFolder(path.parent).home.root, path.parent, Path(file))

        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values |= {field: name(values[field]) for field in FILES}
        values["trunk"] = self.trunk and name(self.trunk)
        shards = {shard: {"path": name(one.path), "n_bytes": one.n_bytes}
                  for shard, one in self.shards.items()}
        values |= {"version": VERSION, "config": self.config.to_dict(), "shards": shards,
                   "task": self.task and dataclasses.asdict(self.task)}
        write_atomically(path, json.dumps(values, indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        try:
            values: dict[str, Any] = json.loads(path.read_bytes())
            if values.pop("version") != VERSION:
                raise ValueError(f"version is not {VERSION}")
            _check_rung(values.get("rung_step"), values.get("rung_max_bpb"))
            for count in ("unique_tokens", "trunk_step"):
                if (n := values.get(count)) is not None and not _is_count(n):
                    raise ValueError(f"{count}={n!r} is not a whole number over 0")

            if not isinstance(kernels := values.get("kernels", "numpy"), str):
                raise TypeError(f"kernels={kernels!r} is not a name")
            if not isinstance(is_measured := values.get("is_measured", False), bool):
                raise TypeError(f"is_measured={is_measured!r} is neither true nor false")

            def find(name: str) -> str:
                return str(find_within(RunFolder(path.parent).home.root, path.parent, name))

            shards = {name: ShardFile(find(one.path), one.n_bytes)
                      for name, one in _shards(values.get("shards", {})).items()}
            paths: dict[str, str | None] = {field: find(values[field]) for field in FILES}
            paths["trunk"] = find(trunk) if (trunk := values.get("trunk")) else None
            return cls(**values | paths | {
                "config": Config.from_dict(values["config"]), "shards": shards,
                "task": Task.of(values.get("task"))})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a job this program wrote: {error}") from error


def _shards(values: dict[str, Any]) -> dict[str, ShardFile]:
    found = {}
    for name, value in values.items():
        if name not in SHARDS:
            raise ValueError(f"shard '{name}' is not known; use {', '.join(SHARDS)}")
        one = found[name] = ShardFile(**value)
        if not isinstance(one.path, str):
            raise TypeError(f"path={one.path!r} of shard {name} is not a text")
        if not _is_count(one.n_bytes):
            raise ValueError(f"n_bytes={one.n_bytes!r} of shard {name} is not a whole number over "
                             "0")
    return found


def _check_rung(step: object, max_bpb: object) -> None:
    if step is not None and not _is_count(step):
        raise ValueError(f"rung_step={step!r} is not a whole number over 0")
    if max_bpb is None:
        return
    if isinstance(max_bpb, bool) or not isinstance(max_bpb, int | float) or not math.isfinite(
            max_bpb):
        raise ValueError(f"rung_max_bpb={max_bpb!r} is not a finite number")
    if step is None:
        raise ValueError("rung_max_bpb is given without a rung_step")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
