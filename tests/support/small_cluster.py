"""A scheduler, two machines and a home in one process, which compute one run: told as JSON.

    python -m tests.support.small_cluster FOLDER

A process of its own, since Dask leaves threads behind, and the tests' own fork.
"""

import asyncio
import dataclasses
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dask
from distributed import Scheduler, Worker

from agent.home import Home
from agent.ledger.ledger import Ledger
from agent.machine import Limits
from agent.trial.cluster.calls import StationPlugin
from agent.trial.cluster.cluster import Cluster
from agent.trial.cluster.fleet import Fleet
from agent.trial.cluster.likeness import measured
from agent.trial.cluster.opening import At
from agent.trial.cluster.options import Options
from agent.trial.job import Job
from tests.agent.trial.test_worker import CONFIG, N_STEPS
from tests.support.parts import a_run, story_tokens

PATIENCE_S = 120.0


class Machines:
    """A scheduler with a machine like the home, one of other code, and what they are asked."""

    def __init__(self, root: Path) -> None:
        self.root, self.address, self.is_over = root, "", threading.Event()
        self.is_up = threading.Event()
        self.plugins = [StationPlugin(Options(Limits(min_battery=0))) for _ in range(2)]
        like = measured()  # in place of a child: it is the same, and sooner
        self.plugins[0].likeness = like
        self.plugins[1].likeness = dataclasses.replace(like, code="0" * 64, version="0.0.1")
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.thread.start()
        self.is_up.wait(PATIENCE_S)

    async def _serve(self) -> None:
        async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
            self.address = scheduler.address
            workers = [Worker(scheduler.address, nthreads=1, memory_limit=0, host="127.0.0.1",
                              local_directory=str(self.root / f"machine-{n}"), dashboard=False,
                              name=f"machine-{n}", plugins=(plugin,))
                       for n, plugin in enumerate(self.plugins)]
            await asyncio.gather(*workers)
            self.is_up.set()
            while not self.is_over.is_set():
                await asyncio.sleep(0.1)
            for worker in workers:
                await worker.close()


def whole(root: Path) -> dict[str, Any]:
    """What became of one run."""
    tokens = story_tokens(root)
    machines = Machines(root)
    home, said = Home(root / "home"), list[str]()
    home.root.mkdir()
    fleet = Fleet(home, At(machines.address))
    fleet.ours = machines.plugins[0].likeness
    fleet.start()
    try:
        with Ledger.open(home.ledger) as ledger:
            run = a_run(ledger)
            folder = home.run(run.uid)
            folder.root.mkdir(parents=True)
            Job(config=CONFIG, seed=1, budget_tokens=N_STEPS * CONFIG.tokens_per_step,
                train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
                n_valid_bytes=tokens.n_bytes["search"], tokenizer=str(tokens.tokenizer_path),
                checkpoint_every_steps=5, eval_every=16).write(folder.job)
            cluster = Cluster(fleet, ledger, said.append)
            n = cluster.await_machines(lambda: None)
            process = cluster.start(run, folder)
            end_s = time.monotonic() + PATIENCE_S
            while process.poll() is None and time.monotonic() < end_s:
                time.sleep(0.05)
            cluster.close()
    finally:
        machines.is_over.set()
        machines.thread.join(PATIENCE_S)
    events = list(map(json.loads, folder.events.read_bytes().splitlines()))
    station = machines.plugins[0].station
    return {"n": n, "status": process.poll(), "said": said, "last": events[-1],
            "kinds": sorted({one["kind"] for one in events}),
            "files": sorted(path.name for path in folder.root.iterdir()),
            "left": len(station.trials) if station else None,
            "sent": sorted(path.name for path in (
                root / "machine-0" / "dask-scratch-space" / "phi-auto-files").iterdir())}


if __name__ == "__main__":
    with dask.config.set({"distributed.worker.profile.enabled": False}):
        sys.stdout.write(json.dumps(whole(Path(sys.argv[1]))))
