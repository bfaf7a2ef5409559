"""job.json is read back as it was written, and anything else is refused."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.trial.job import Job, ShardFile
from agent.trial.runner import Runner, job_of
from engine.errors import UserError
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from tests.support.parts import TINY, FakeTime, a_run

PLAIN = Job(config=TINY, seed=3, budget_tokens=320, train_tokens="/t", valid_tokens="/v",
            n_valid_bytes=400, tokenizer="/k")
FULL = Job(config=TINY, seed=3, budget_tokens=320, train_tokens="/t", valid_tokens="/v",
           n_valid_bytes=400, tokenizer="/k", rung_step=5, rung_max_bpb=2.5,
           shards={"confirm": ShardFile("/c", 300), "test": ShardFile("/e", 200)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.json"


def rewrite(path: Path, **changes: Any) -> None:
    FULL.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("job", [PLAIN, FULL], ids=["plain", "full"])
def test_a_job_is_read_as_it_was_written(path: Path, job: Job) -> None:
    job.write(path)
    assert Job.read(path) == job


def test_a_job_written_before_there_were_shards_is_still_one(path: Path) -> None:
    PLAIN.write(path)
    values = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in values.items()
                                if name not in ("shards", "rung_step", "rung_max_bpb")}))
    assert Job.read(path) == PLAIN


def test_a_job_written_before_there_was_an_order_of_the_text_keeps_the_linear_one(
        path: Path) -> None:
    PLAIN.write(path)
    values = json.loads(path.read_text())
    fields = {name: value for name, value in values["config"].items()
              if name not in ("data_order", "shuffle_stories")}
    path.write_text(json.dumps(values | {"config": fields}))
    assert Job.read(path).config == dataclasses.replace(PLAIN.config, data_order="linear")


@pytest.mark.parametrize(("changes", "words"), [
    ({"version": 2}, "version is not 1"),
    ({"shards": {"train": {"path": "/c", "n_bytes": 3}}},
     "shard 'train' is not known; use confirm, test"),
    ({"shards": {"test": {"path": "/c", "n_bytes": 0}}},
     "n_bytes=0 of shard test is not a whole number over 0"),
    ({"shards": {"test": {"path": "/c", "n_bytes": True}}},
     "n_bytes=True of shard test is not a whole number over 0"),
    ({"shards": {"test": {"path": "/c", "n_bytes": 2.5}}},
     "n_bytes=2.5 of shard test is not a whole number over 0"),
    ({"shards": {"test": {"path": 7, "n_bytes": 3}}}, "path=7 of shard test is not a text"),
    ({"shards": {"test": {"path": "/c"}}}, "missing 1 required positional argument: 'n_bytes'"),
    ({"shards": {"test": {"path": "/c", "n_bytes": 3, "n": 1}}}, "unexpected keyword argument 'n'"),
    ({"shards": {"test": "/c"}}, "must be a mapping"),
    ({"shards": ["test"]}, "'list' object has no attribute 'items'"),
    ({"is_measured": "no"}, "is_measured='no' is neither true nor false"),
    ({"rung_step": 0}, "rung_step=0 is not a whole number over 0"),
    ({"rung_step": "5"}, "rung_step='5' is not a whole number over 0"),
    ({"rung_max_bpb": float("nan")}, "rung_max_bpb=nan is not a finite number"),
    ({"rung_max_bpb": "2"}, "rung_max_bpb='2' is not a finite number"),
    ({"rung_max_bpb": True}, "rung_max_bpb=True is not a finite number"),
    ({"unique_tokens": 0}, "unique_tokens=0 is not a whole number over 0"),
    ({"rung_step": None}, "rung_max_bpb is given without a rung_step"),
    ({"kernels": None}, "kernels=None is not a name"),
])
def test_what_is_no_job_of_ours_is_refused(
        path: Path, changes: dict[str, Any], words: str) -> None:
    rewrite(path, **changes)
    with pytest.raises(UserError) as caught:
        Job.read(path)
    assert str(caught.value).startswith(f"{path} is not a job this program wrote: ")
    assert words in str(caught.value)


# --- what a run's job is ---------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with Ledger.open(home.ledger) as opened:
        yield opened


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    (root / "stories.txt").write_text("<|endoftext|>".join(write_stories(40, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, root / "stories.txt"), 300)


@pytest.mark.parametrize("strategy", ["baseline", "confirm", "ablate"])
def test_runs_that_confirm_are_scored_on_all_shards(
        ledger: Ledger, tokens: TokenSet, strategy: str) -> None:
    run = a_run(ledger, seed=5, strategy=strategy)
    assert job_of(run, tokens, None).shards == {
        "confirm": ShardFile(str(tokens.paths["confirm"]), tokens.n_bytes["confirm"]),
        "test": ShardFile(str(tokens.paths["test"]), tokens.n_bytes["test"])}


@pytest.mark.parametrize("strategy", ["hand", "grid", "random", "learning_rate"])
def test_other_runs_see_the_shard_that_searches_alone(
        ledger: Ledger, tokens: TokenSet, strategy: str) -> None:
    assert job_of(a_run(ledger, seed=5, strategy=strategy), tokens, None).shards == {}


@pytest.mark.parametrize(("warmup_frac", "rung"), [(0.03, (25, 2.5)), (0.3, (None, None))])
def test_a_job_has_its_rung_at_a_quarter_where_the_schedule_compares(
        ledger: Ledger, home: Home, tokens: TokenSet, warmup_frac: float,
        rung: tuple[int | None, float | None]) -> None:
    config = dataclasses.replace(TINY, warmup_frac=warmup_frac)  # 100 steps
    run = a_run(ledger, config, seed=5)
    job = job_of(run, tokens, None, rung_max_bpb=2.5)
    assert (job.rung_step, job.rung_max_bpb) == rung
    assert job_of(run, tokens, None).rung_max_bpb is None
    runner, folder = Runner(ledger, home, FakeTime().clock(), 100.0), home.run(run.uid)
    runner.write_job(run, tokens, rung_max_bpb=2.5)
    assert Job.read(folder.job) == job
    runner.write_job(run, tokens)
    assert Job.read(folder.job) == job  # a run taken up keeps its own


# --- where its files are ---------------------------------------------------------------------


def in_a_home(home: Home) -> Job:
    files = {name: home.data / "text" / name for name in ("train", "search", "test", "tokenizer")}
    home.data.joinpath("text").mkdir(parents=True)
    for path in files.values():
        path.touch()
    return dataclasses.replace(
        PLAIN, train_tokens=str(files["train"]), valid_tokens=str(files["search"]),
        tokenizer=str(files["tokenizer"]), shards={"test": ShardFile(str(files["test"]), 200)})


def moved(job: Job, before: Home, after: Home) -> Job:
    def name(path: str) -> str:
        return path.replace(str(before.root), str(after.root))

    return dataclasses.replace(
        job, train_tokens=name(job.train_tokens), valid_tokens=name(job.valid_tokens),
        tokenizer=name(job.tokenizer), shards={"test": ShardFile(name(job.shards["test"].path),
                                                                 200)})


@pytest.mark.parametrize("version", ["this", "before"])
def test_the_job_of_a_home_that_moved_finds_its_files(tmp_path: Path, version: str) -> None:
    here, there = Home(tmp_path / "here"), Home(tmp_path / "there")
    job, folder = in_a_home(here), here.run("u")
    folder.root.mkdir(parents=True)
    job.write(folder.job)
    if version == "before":  # which wrote whole paths
        values = json.loads(folder.job.read_text())
        values |= {name: getattr(job, name) for name in ("train_tokens", "valid_tokens",
                                                         "tokenizer")}
        values["shards"]["test"]["path"] = job.shards["test"].path
        folder.job.write_text(json.dumps(values))
    assert Job.read(folder.job) == job
    here.root.rename(there.root)
    assert Job.read(there.run("u").job) == moved(job, here, there)


def test_a_job_says_nothing_of_where_its_home_is(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    folder = home.run("u")
    folder.root.mkdir(parents=True)
    in_a_home(home).write(folder.job)
    assert str(tmp_path) not in folder.job.read_text()
