"""Machines of a real cluster, greeted, and a run that came home from one of them."""

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.home import Home
from agent.trial.cluster.follow import Down

dask_only = pytest.mark.skipif(importlib.util.find_spec("distributed") is None,
                               reason="Dask is not installed: pip install -e '.[cluster]'")


def test_a_run_comes_home_whole_from_a_real_cluster(small_cluster: dict[str, Any]) -> None:
    assert small_cluster["status"] == 0
    assert small_cluster["last"]["kind"] == "done"
    assert {"start", "step", "eval", "checkpoint", "done"} <= set(small_cluster["kinds"])
    assert {"checkpoint.npz", "events.jsonl", "machine.json"} <= set(small_cluster["files"])
    assert not any(name.endswith(".coming") for name in small_cluster["files"])


def test_a_machine_of_other_code_is_refused_with_a_sentence(small_cluster: dict[str, Any]) -> None:
    (refusal,) = (line for line in small_cluster["said"] if "refused" in line)
    assert refusal.startswith("machine-1 is refused: it has phi-auto 0.0.1 (code 00000000)")
    assert any(line.startswith("machine-0 joins: ") for line in small_cluster["said"])


def test_so_many_runs_at_once_are_as_many_as_the_machines_take(
        small_cluster: dict[str, Any]) -> None:
    assert small_cluster["n"] == 1  # the refused one takes none


# --- what breaks of Dask -----------------------------------------------------------------------


async def gone() -> None:
    """As Dask does with what waits in a client that is closed."""
    raise asyncio.CancelledError


@dask_only
def test_a_question_that_dask_cancels_has_no_answer_and_its_asker_goes_on() -> None:
    from agent.trial.cluster.fleet import answered

    async def ask() -> str:
        with pytest.raises(Down, match="the connection is gone"):
            await answered(gone())
        with pytest.raises(Down, match="OSError: no way"):
            await answered(refused())
        return "goes on"

    async def refused() -> None:
        raise OSError("no way")

    assert asyncio.run(ask()) == "goes on"


@dask_only
def test_who_is_cancelled_himself_ends() -> None:
    from agent.trial.cluster.fleet import answered

    async def cancelled() -> bool:
        asking = asyncio.ensure_future(answered(asyncio.sleep(60.0)))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        return asking.cancelled()

    assert asyncio.run(cancelled())


@dask_only
@pytest.mark.parametrize("fault", [asyncio.CancelledError, lambda: RuntimeError("closed"),
                                   lambda: ZeroDivisionError("anything")])
def test_whatever_dask_raises_the_scheduler_is_looked_for_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        fault: Callable[[], BaseException]) -> None:
    from agent.trial.cluster import fleet

    class Scheduler:
        n_looks = 0

        def look(self) -> str | None:
            self.n_looks += 1
            found._is_closing = self.n_looks == 3
            return "tcp://127.0.0.1:1"

        def close(self) -> None: ...

    async def serve(address: str) -> None:
        raise fault()

    monkeypatch.setattr(fleet, "ROUND_S", 0.0)
    scheduler = Scheduler()
    found = fleet.Fleet(Home(tmp_path), scheduler)
    found.ours = object()  # type: ignore[assignment]
    monkeypatch.setattr(found, "_serve", serve)
    asyncio.run(found._main())
    found._loop.close()
    assert scheduler.n_looks == 3
    assert len(found.news) == 1  # told once
