"""From what a person typed to a cluster: an address, local:N or the file of a scheduler."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agent.home import Home
from agent.ledger import Queries
from agent.trial.cluster.options import Options
from engine.errors import UserError

if TYPE_CHECKING:
    from agent.trial.cluster.cluster import Cluster

LOCAL = re.compile(r"local:(\d{1,4})")
ADDRESS = re.compile(r"(?:(?:tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d{1,5}")
MAX_LOCAL = 256
EXTRA = ("a cluster needs Dask, which is not installed: python -m pip install "
         "'phi-auto[cluster]'")


def require_dask() -> None:
    """UserError where Dask is not installed."""
    if find_spec("distributed") is None:
        raise UserError(EXTRA)


def parsed(text: str) -> int | str | Path:
    """How many workers here, where a scheduler listens, or the file it wrote. UserError else."""
    if found := LOCAL.fullmatch(text):
        if not 1 <= int(found[1]) <= MAX_LOCAL:
            raise UserError(f"--cluster {text} is no number of workers; use local:1 to "
                            f"local:{MAX_LOCAL}")
        return int(found[1])
    if ADDRESS.fullmatch(text):
        return text
    with suppress(OSError, RuntimeError, ValueError):  # no name of a file
        path = Path(text).expanduser()
        if path.is_file():
            return path
    raise UserError(f"--cluster {text[:200]!r} is neither an address, such as "
                    "tcp://10.0.0.5:8786, nor local:4, nor a scheduler file that is there")


def n_local(text: str) -> int | None:
    """How many workers of this machine alone a cluster is; None where it is another. UserError
    where it is none.
    """
    place = parsed(text)
    return place if isinstance(place, int) else None


class At:
    """A scheduler that somebody else runs."""

    def __init__(self, place: str | Path) -> None:
        self._place = place

    def look(self) -> str:
        """Its address. UserError where its file is not one."""
        if isinstance(self._place, str):
            return self._place
        try:
            found = json.loads(self._place.read_bytes())["address"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._place} is no file of a Dask scheduler ({error}); `dask "
                            "scheduler --scheduler-file` writes one") from error
        if not isinstance(found, str) or not ADDRESS.fullmatch(found):
            raise UserError(f"{self._place} names no address of a scheduler")
        return found

    def close(self) -> None:
        """It is not ours to end."""


def at_cluster(text: str, home: Home, ledger: Queries, say: Callable[[str], None],
               max_ram_mb: float) -> "Cluster":
    """The cluster a person named, connected to in the background. UserError where it is none.

    max_ram_mb  of a run on this machine, where it is the cluster
    """
    place = parsed(text)
    require_dask()
    from agent.trial.cluster.cluster import Cluster
    from agent.trial.cluster.fleet import Fleet
    from agent.trial.cluster.local import Local

    fleet = Fleet(home, Local(home, place, max_ram_mb) if isinstance(place, int) else At(place))
    fleet.start()
    return Cluster(fleet, ledger, say, n_local=place if isinstance(place, int) else None)


def join_cluster(text: str, options: Options, folder: Path, *, name: str | None = None,
                 n_trials: int = 1, say: Callable[[str], None] = lambda text: None) -> None:
    """Compute for a cluster until Ctrl-C; what is under way then is saved and goes on elsewhere."""
    place = parsed(text)
    if isinstance(place, int):
        raise UserError(f"{text} is a cluster of one machine; give the address of a scheduler, "
                        "which `dask scheduler` prints")
    require_dask()
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "error")  # what matters is said in words
    import dask

    from agent.trial.cluster.member import SETTINGS, Member, Over, join

    over = Over()
    over.listen()
    folder.mkdir(parents=True, exist_ok=True)
    with dask.config.set(SETTINGS):
        asyncio.run(join(At(place).look(), Member(options, folder, name, n_trials), over, say))
