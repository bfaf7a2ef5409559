"""A trial elsewhere, followed over a line that breaks: nothing is lost, doubled or different."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.home import RunFolder
from agent.machine import machine
from agent.trial import STOPPED
from agent.trial.cluster.follow import LOST_S, Down, Follower, Refused
from agent.trial.cluster.parcel import Digests
from agent.trial.cluster.remote import Berth, Remote, settle
from agent.trial.cluster.station import Station
from agent.trial.cluster.store import Store
from agent.trial.job import Job
from engine.errors import UserError
from engine.text import corpus
from engine.text.stories.write import write_stories
from engine.training import checkpoint
from tests.agent.trial.cluster.test_likeness import OURS
from tests.agent.trial.cluster.test_station import Silent, Stage
from tests.agent.trial.test_worker import CONFIG, N_STEPS
from tests.support.parts import FakeTime

LINE = b'{"kind": "step", "step": 1}\n'
DONE = b'{"kind": "done", "step": 2}\n'


class FakeLine:
    """The way to a station in this process; `before` may break it at each question."""

    def __init__(self, station: Station, before: Callable[[str], None] = lambda name: None) -> None:
        self.station, self.before, self.asked = station, before, list[str]()

    async def ask(self, name: str, *arguments: Any) -> Any:
        self.asked.append(name)
        self.before(name)
        try:
            return getattr(self.station, name)(*arguments)
        except (UserError, OSError) as error:
            raise Refused(str(error)) from error

    async def begin(self, attempt: str) -> None:
        self.station.begin(attempt)

    async def fault(self, attempt: str) -> str | None:
        return None

    async def forget(self, attempt: str) -> None:
        self.asked.append("forget")


class Followed(Stage):
    """That stage, with a follower at home."""

    def remote(self, attempt: str = "E1-a") -> Remote:
        return Remote("E1", self.folder, Berth(attempt, "there", settle(self.folder), OURS))

    def follow(self, remote: Remote, line: FakeLine, *, is_new: bool = True) -> None:
        follower = Follower(remote, line, Digests(), is_new=is_new, pause=0.0,
                            now=lambda: self.time.now_s)
        asyncio.run(asyncio.wait_for(follower.run(), 30))


@pytest.fixture
def stage(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def script(stage: Followed, *steps: Callable[[], None]) -> Callable[[str], None]:
    """Does a step at each look at a trial."""
    left = iter(steps)

    def before(name: str) -> None:
        if name == "look":
            next(left, lambda: None)()

    return before


def wrote(stage: Followed, attempt: str = "E1-a", *, events: bytes = b"", saved: bytes = b"",
          status: int | None = None) -> Callable[[], None]:
    """What its worker does meanwhile."""
    def do() -> None:
        folder = stage.there(attempt)
        with open(folder.events, "ab") as file:
            file.write(events)
        if saved:
            folder.checkpoint.write_bytes(saved)
        stage.spawn.processes[-1].status = status

    return do


def broken() -> None:
    raise Down("no answer")


def test_what_a_worker_leaves_there_lies_here_and_nothing_stays_there(stage: Followed) -> None:
    remote = stage.remote()
    line = FakeLine(stage.station, script(
        stage, wrote(stage, events=LINE, saved=b"one"),
        wrote(stage, events=LINE, saved=b"other"),
        wrote(stage, events=DONE, saved=b"last", status=0)))
    stage.follow(remote, line)
    assert remote.poll() == 0
    assert stage.folder.events.read_bytes() == LINE + LINE + DONE
    assert stage.folder.checkpoint.read_bytes() == b"last"
    assert checkpoint.previous(stage.folder.checkpoint).exists()
    assert stage.station.trials == {}
    assert line.asked[-1] == "forget"


def test_a_line_that_breaks_for_a_while_takes_and_doubles_nothing(stage: Followed) -> None:
    remote = stage.remote()
    stage.follow(remote, FakeLine(stage.station, script(
        stage, wrote(stage, events=LINE), broken, broken,
        wrote(stage, events=LINE, saved=b"one"), broken,
        wrote(stage, events=DONE, status=0), broken)))
    assert remote.poll() == 0
    assert stage.folder.events.read_bytes() == LINE + LINE + DONE


def test_a_machine_that_is_silent_for_long_is_left_and_never_listened_to_again(
        stage: Followed) -> None:
    def silent() -> None:
        stage.time.now_s += LOST_S / 2
        raise Down("no answer")

    remote = stage.remote()
    stage.follow(remote, FakeLine(stage.station, script(
        stage, wrote(stage, events=LINE, saved=b"one"), lambda: None, lambda: None,
        silent, silent, silent, silent)))
    assert remote.poll() == STOPPED  # nobody is blamed
    assert "does not answer" in (remote.why or "")
    wrote(stage, events=LINE + DONE, saved=b"late", status=0)()  # it goes on meanwhile
    again = stage.remote("E1-b")
    stage.follow(again, FakeLine(stage.station, script(
        stage, wrote(stage, "E1-b", events=DONE, saved=b"new", status=0))))
    assert stage.folder.events.read_bytes() == LINE + DONE
    assert stage.folder.checkpoint.read_bytes() == b"new"


def test_the_word_on_its_end_waits_for_the_model_behind_it(stage: Followed) -> None:
    def look_before_fetching(name: str) -> None:
        if name == "fetch":
            seen.append(stage.folder.events.read_bytes())
            raise Down("no answer") if len(seen) == 1 else Refused("it is gone")

    seen: list[bytes] = []
    remote = stage.remote()
    line = FakeLine(stage.station, look_before_fetching)
    begin = stage.station.begin

    def begin_and_end(attempt: str) -> None:
        begin(attempt)
        wrote(stage, events=LINE + DONE, saved=b"last", status=0)()

    stage.station.begin = begin_and_end  # type: ignore[method-assign]
    stage.follow(remote, line)
    assert seen == [LINE, LINE]
    assert remote.poll() == STOPPED
    assert stage.folder.events.read_bytes() == LINE  # it goes on elsewhere, and is not over


def test_a_home_that_was_killed_goes_on_behind_what_it_has(stage: Followed) -> None:
    remote = stage.remote()
    remote.berth.write(stage.folder)
    stage.begin()
    stage.folder.events.write_bytes(LINE + LINE[:9])  # killed while it wrote
    berth = Berth.read(stage.folder)
    assert berth == remote.berth
    wrote(stage, events=LINE + LINE + DONE, status=0)()
    stage.follow(Remote("E1", stage.folder, berth), FakeLine(stage.station), is_new=False)
    assert stage.folder.events.read_bytes() == LINE + LINE + DONE


def test_a_trial_that_is_not_known_there_any_more_waits_again(stage: Followed) -> None:
    remote = stage.remote()
    stage.follow(remote, FakeLine(stage.station), is_new=False)
    assert remote.poll() == STOPPED
    assert "no trial E1-a is computed here" in (remote.why or "")


def test_a_machine_whose_numbers_are_wrong_ends_no_night(stage: Followed) -> None:
    remote = stage.remote()
    stage.follow(remote, FakeLine(stage.station, script(
        stage, wrote(stage, events=b'{"kind": "numbers", "message": "numpy is wrong"}\n',
                     status=70))))
    assert remote.poll() == STOPPED
    assert remote.why == "numpy is wrong"
    assert not stage.folder.events.exists()


def test_a_trial_asked_to_stop_is_asked_there_and_its_save_comes_back(
        stage: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(pid: int, number: int) -> None:
        wrote(stage, saved=b"saved", status=STOPPED)()

    monkeypatch.setattr(os, "killpg", save)
    remote = stage.remote()
    stage.follow(remote, FakeLine(stage.station, script(
        stage, wrote(stage, events=LINE), lambda: remote.signal(15))))
    assert remote.poll() == STOPPED
    assert remote.why is None
    assert stage.folder.checkpoint.read_bytes() == b"saved"


def test_a_file_that_arrives_spoilt_is_not_put_in_place(stage: Followed) -> None:
    fetch, n = stage.station.fetch, iter(range(9))

    def spoil(attempt: str, name: str, offset: int) -> tuple[bytes, str]:
        piece, sha256 = fetch(attempt, name, offset)
        return (b"X" + piece[1:], sha256) if next(n) == 0 else (piece, sha256)

    stage.station.fetch = spoil  # type: ignore[method-assign]
    remote = stage.remote()
    stage.follow(remote, FakeLine(stage.station, script(
        stage, wrote(stage, events=DONE, saved=b"last", status=0))))
    assert stage.folder.checkpoint.read_bytes() == b"last"


# --- with real workers -----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of a second, which saves often."""
    (tmp_path / "stories.txt").write_text("<|endoftext|>".join(write_stories(60, 0)))
    tokens = corpus.prepare_tokens(corpus.from_file(tmp_path, tmp_path / "stories.txt"), 300)
    found = RunFolder(tmp_path / "home" / "runs" / "uid1")
    found.root.mkdir(parents=True)
    Job(config=CONFIG, seed=1, budget_tokens=N_STEPS * CONFIG.tokens_per_step,
        train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
        n_valid_bytes=tokens.n_bytes["search"], tokenizer=str(tokens.tokenizer_path),
        checkpoint_every_steps=5, eval_every=16).write(found.job)
    return found


def test_a_run_that_lost_its_machine_ends_elsewhere_with_the_same_bits(
        folder: RunFolder, tmp_path: Path) -> None:
    time = FakeTime()

    def follow(name: str, before: Callable[[str], None]) -> tuple[Remote, Station]:
        station = Station(tmp_path / name / "trials", Store(tmp_path / name / "files"), 1,
                          sensors=Silent())
        station.tick()
        remote = Remote("E1", folder, Berth(f"E1-{name}", name, settle(folder), OURS))
        follower = Follower(remote, FakeLine(station, before), Digests(), is_new=True,
                            now=lambda: time.now_s, pause=0.01)
        asyncio.run(asyncio.wait_for(follower.run(), 100))
        return remote, station

    def leave(name: str) -> None:
        if folder.checkpoint.exists():
            time.now_s += LOST_S
            raise Down("it is out of reach")

    lost, station = follow("one", leave)
    station.close()
    assert lost.poll() == STOPPED
    came_back = checkpoint.load(folder.checkpoint)[1]["step"]
    assert 0 < came_back < N_STEPS
    remote, _ = follow("other", lambda name: None)
    assert remote.poll() == 0
    events = list(map(json.loads, folder.events.read_bytes().splitlines()))
    assert [one["step"] for one in events if one["kind"] == "start"] == [0, came_back]
    calm = RunFolder(tmp_path / "calm" / "runs" / "uid1")
    calm.root.mkdir(parents=True)
    Job.read(folder.job).write(calm.job)
    subprocess.run([sys.executable, "-m", "agent.trial.worker", str(calm.root), str(os.getpid())],
                   env=machine.worker_environment(), check=True, timeout=100)
    undisturbed = json.loads(calm.events.read_bytes().splitlines()[-1])
    for name in ("nats", "bpb", "train_loss", "step", "tokens"):
        assert events[-1][name] == undisturbed[name]
    assert _params(folder) == _params(calm)


def _params(folder: RunFolder) -> str:
    return hashlib.sha256(checkpoint.load(folder.checkpoint)[0]["params"].tobytes()).hexdigest()
