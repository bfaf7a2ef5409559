"""Several trials at once: who has room, and whose memory is too much together."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.machine.guard import Reading
from agent.trial.runner import Runner
from agent.trial.slots import Slots, turn
from tests.support.parts import NOW, FakeProcess, FakeSpawn, FakeTime, a_folder, a_run


class Row:
    """Slots with trials under way, each with the memory that a test says."""

    def __init__(self, root: Path, ledger: Ledger, n: int, strategies: tuple[str, ...]) -> None:
        self.ledger, self.time, self.spawn = ledger, FakeTime(), FakeSpawn()
        self.group_mb, self.free_mb = 30.0, 8000.0
        home = Home(root)
        first = Runner(ledger, home, self.time.clock(), 100.0, spawn=self.spawn,
                       read=lambda pid: Reading(self.group_mb, self.free_mb))
        self.slots = Slots(first, n)
        for seed, strategy in enumerate(strategies):
            a_folder(home, a_run(ledger, seed=seed, strategy=strategy))
        for _ in range(min(n, len(strategies))):
            runner, run = self.slots.free(), ledger.claim(NOW)
            assert runner is not None
            assert run is not None
            runner.start(run)

    def poll(self) -> None:
        self.slots.look_around()
        for runner in self.slots.busy:
            runner.poll()
        self.slots.watch_sum()

    def leaving(self) -> list[str]:
        return [trial.run.label for trial in self.slots.trials if trial.ending]

    def end(self, label: str) -> None:
        process = next(trial.process for trial in self.slots.trials if trial.run.label == label)
        assert isinstance(process, FakeProcess)
        process.status = -9
        self.poll()


@pytest.fixture
def row(tmp_path: Path) -> Iterator[Row]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield Row(tmp_path, ledger, 3, ("hand", "hand", "baseline"))


def test_there_is_room_for_so_many_and_no_more(row: Row) -> None:
    assert len(row.slots.trials) == 3
    assert row.slots.free() is None
    row.slots.n = 4
    assert row.slots.free() is not None


def test_a_place_that_has_less_room_begins_less(row: Row) -> None:
    row.slots.n = 9
    row.slots.busy[0].executor.n_at_once = 3  # type: ignore[misc]
    assert row.slots.free() is None


def test_they_stand_in_the_order_of_their_turn_the_noise_first(row: Row) -> None:
    assert [trial.run.label for trial in row.slots.trials] == ["B1", "T1", "T2"]
    assert turn(row.slots.trials[0].run) == (False, 3)


def test_what_is_too_much_together_costs_the_last_one_its_place_and_blames_it_not(
        row: Row) -> None:
    row.group_mb = 40.0  # of 100 each alone is within
    row.poll()
    assert row.leaving() == ["T2"]
    row.poll()
    assert row.leaving() == ["T2"]  # what it gives back is waited for
    row.end("T2")
    assert row.ledger.run("T2").state == "queued"
    newest = row.ledger.events(limit=1)[0]
    assert newest.kind == "crowded"
    assert newest.message.startswith("3 runs took 120 MB together, over --max-ram 100 MB")
    row.poll()
    assert row.leaving() == []


def test_one_that_is_too_much_alone_is_killed_for_it(row: Row) -> None:
    row.group_mb = 101.0
    row.poll()
    assert {trial.killed_why for trial in row.slots.trials} == {
        "the run took 101 MB, over --max-ram 100 MB"}


def test_where_the_machine_is_short_one_leaves_at_a_time_and_none_is_blamed(row: Row) -> None:
    row.free_mb = 100.0
    row.poll()
    assert row.leaving() == ["T2"]
    row.end("T2")
    assert (row.ledger.run("T2").state, row.ledger.events(limit=1)[0].kind) == (
        "queued", "crowded")
    row.poll()
    assert row.leaving() == ["T1"]
    row.end("T1")
    row.poll()
    assert row.slots.trials[0].stalled_why is not None  # alone it is as ever


def test_they_owe_what_they_have_not_taken_yet(row: Row) -> None:
    row.poll()
    promised = sum(trial.run.predicted_mb or 0.0 for trial in row.slots.trials)
    assert row.slots.promised_mb() == pytest.approx(max(promised, 90.0), rel=0.5)
    row.group_mb = 1000.0
    row.poll()
    assert row.slots.owed_mb() == 0.0
    assert row.slots.promised_mb() == pytest.approx(3000.0)


def test_what_runs_elsewhere_takes_nothing_of_this_machine(row: Row) -> None:
    row.slots.busy[0].executor.read = lambda process: None  # type: ignore[method-assign]
    row.poll()
    assert (row.slots.owed_mb(), row.slots.promised_mb(), row.leaving()) == (0.0, 0.0, [])
