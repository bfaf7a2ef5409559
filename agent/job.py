"""job.json: what the daemon asks of a worker, read back as strictly as any foreign file."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from engine.config import Config
from engine.errors import UserError
from engine.files import write_atomically

VERSION = 1
STOPPED = 75  # exit status of a worker that saved and may go on: EX_TEMPFAIL
STORAGE = "storage"  # kind of the event of a run for which the disk had no room
NO_STORAGE = 74  # of one that could not write and may go on once there is room: EX_IOERR


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run for one worker process."""

    config: Config
    seed: int
    budget_tokens: int
    train_tokens: str  # paths, absolute
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

    def write(self, path: Path) -> None:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values |= {"version": VERSION, "config": self.config.to_dict()}
        write_atomically(path, json.dumps(values, indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        try:
            values: dict[str, Any] = json.loads(path.read_bytes())
            if values.pop("version") != VERSION:
                raise ValueError(f"version is not {VERSION}")
            return cls(**values | {"config": Config.from_dict(values["config"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a job this program wrote: {error}") from error
