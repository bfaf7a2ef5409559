"""A branch is what the run alone would have been, bit for bit, and costs its end alone."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from agent.home import Home, RunFolder
from agent.ledger import GridCell, Run
from agent.ledger.ledger import Ledger
from agent.machine import machine
from agent.trial import trunk
from agent.trial.job import Job
from engine.text.corpus import TokenSet
from strategies.trunk import branch_step, branching
from tests.agent.trial.test_worker import CONFIG, a_job, tokens, told, work  # noqa: F401

SHORT, LONG = (n * CONFIG.tokens_per_step for n in (20, 60))
BRANCHES = branching(CONFIG, (SHORT, LONG))


def job(tokens: TokenSet, budget: int, **changes: Any) -> Job:  # noqa: F811
    return a_job(tokens, config=BRANCHES[budget], budget_tokens=budget, rung_step=None, **changes)


def folder_in(root: Path, name: str) -> RunFolder:
    folder = RunFolder(root / "runs" / name)
    folder.root.mkdir(parents=True)
    return folder


def numbers(folder: RunFolder) -> dict[str, Any]:
    (done,) = told(folder, "done")
    return {name: done[name] for name in ("nats", "bpb", "confirm_bpb", "train_loss", "tokens")}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_branch_ends_as_the_run_alone(tmp_path: Path, tokens: TokenSet,  # noqa: F811
                                        optimizer: str) -> None:
    short, long = (dataclasses.replace(
        one, config=dataclasses.replace(one.config, optimizer=optimizer)) for one in (
            job(tokens, SHORT, trunk_step=branch_step(BRANCHES[SHORT], SHORT)),
            job(tokens, LONG, trunk_step=branch_step(BRANCHES[LONG], LONG))))
    first, alone, branch = (folder_in(tmp_path, name) for name in ("first", "alone", "branch"))
    work(first, short)
    assert first.trunk.is_file()
    work(alone, dataclasses.replace(long, trunk_step=None))
    work(branch, dataclasses.replace(long, trunk=str(first.trunk)))
    assert numbers(branch) == numbers(alone)
    assert [folder.checkpoint.stat().st_size > 0 for folder in (alone, branch)] == [True, True]
    (start,) = told(branch, "start")
    assert start["step"] == branch_step(BRANCHES[SHORT], SHORT) == 16
    assert branch.trunk.is_file()
    assert not first.trunk.exists()  # what the branch kept goes farther
    assert not alone.trunk.exists()


def test_a_state_that_is_gone_torn_or_of_another_run_is_not_taken(
        tmp_path: Path, tokens: TokenSet) -> None:  # noqa: F811
    path = tmp_path / "trunk.npz"
    long = job(tokens, LONG, trunk=str(path))
    n_steps = long.config.steps_for(LONG)
    assert trunk.taken(long, n_steps) is None
    path.write_bytes(b"no state")
    assert trunk.taken(long, n_steps) is None
    first = folder_in(tmp_path, "first")
    work(first, job(tokens, SHORT, trunk_step=16))
    good = dataclasses.replace(long, trunk=str(first.trunk))
    found = trunk.taken(good, n_steps)
    assert found is not None
    assert (found[1]["step"], found[1]["n_steps"]) == (16, n_steps)
    for other in (dataclasses.replace(good, seed=9),
                  dataclasses.replace(good, config=dataclasses.replace(long.config, lr=0.02))):
        assert trunk.taken(other, n_steps) is None


def test_the_longest_shorter_run_of_the_row_is_the_one_to_go_on_from(
        tmp_path: Path, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    home, middle = Home(tmp_path), 30 * CONFIG.tokens_per_step
    branches = branching(CONFIG, (SHORT, middle, LONG))
    cells: dict[int, GridCell] = {}
    runs: list[Run] = []
    for i, (budget, purpose, device) in enumerate((
            (SHORT, "trunk", None), (middle, "trunk", None), (middle, "rate", None),
            (middle, "trunk", "another phone"))):
        run = a_run(i, branches[budget].to_dict(), budget, device or machine.device())
        home.run(run.uid).root.mkdir(parents=True)
        home.run(run.uid).trunk.touch()
        runs.append(run)
        cells[i] = GridCell(family="balanced", size="x", purpose=purpose)  # type: ignore[arg-type]
    cells[9] = GridCell(family="balanced", size="x", purpose="trunk")
    monkeypatch.setattr(trunk, "grid_cells", lambda _: cells)
    asked = dataclasses.replace(a_job(tokens), config=branches[LONG], budget_tokens=LONG,
                                kernels="numpy")  # what rows say that say nothing

    class Known(Ledger):
        def __init__(self) -> None:  # of rows alone
            pass

        def runs(self, *_: Any, **__: Any) -> list[Run]:
            return runs

    new = a_run(9, branches[LONG].to_dict(), LONG, machine.device())
    found = trunk.on_trunk(Known(), home, new, asked)
    assert found.trunk == str(home.run(runs[1].uid).trunk)
    assert found.trunk_step == branch_step(branches[LONG], LONG)
    home.run(runs[1].uid).trunk.unlink()
    assert trunk.on_trunk(Known(), home, new, asked).trunk == str(home.run(runs[0].uid).trunk)
    assert trunk.on_trunk(Known(), home, dataclasses.replace(new, seed=5), asked).trunk is None
    del cells[9]
    assert trunk.on_trunk(Known(), home, new, asked) == asked  # an ordinary cell


def a_run(number: int, config: dict[str, Any], budget: int, device: str) -> Run:
    values: dict[str, Any] = {field.name: None for field in dataclasses.fields(Run)}
    return Run(**values | {
        "id": number, "uid": f"u{number}", "label": f"G{number}", "state": "finished",
        "config": config, "budget_tokens": budget, "seed": 1, "replicas": 1, "corpus_id": 1,
        "device": device})
