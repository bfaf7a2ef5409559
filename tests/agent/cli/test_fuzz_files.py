"""Whatever stands in a file that a person can give or change: a sentence, never a traceback."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.home.paths import Home
from agent.ledger.experiments import EXPERIMENT_COLUMNS
from agent.ledger.ledger import Ledger
from agent.night import inbox
from engine.errors import UserError
from engine.text import corpus
from engine.text.stories.write import write_stories
from tests.support.example_home import run_called
from tests.support.fuzz import agent, cases, is_told, without_work, words
from tests.support.parts import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8)
BYTES = st.one_of(
    st.binary(max_size=200), words.map(lambda text: text.encode(errors="surrogatepass")),
    JSON.map(lambda value: json.dumps(value).encode()), st.just(b"[" * 100_000),
    st.just(b"1" * 10_000), st.just(b"\xff\xfea\0"), st.just(b"\xef\xbb\xbf{}\r\n"),
    st.just(b"SQLite format 3\0" + bytes(300)), st.just(b"PK\3\4" + bytes(50)))


@st.composite
def spoiling(draw: st.DrawFn) -> tuple[str, list[tuple[float, int]], bytes]:
    """How a file is spoilt; small, whatever the file, so that a report of it can be read."""
    how = draw(st.sampled_from(["cut", "changed", "longer", "other", "empty"]))
    places = draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)),
                           min_size=1, max_size=8)) if how in ("cut", "changed") else []
    return how, places, draw(BYTES) if how in ("longer", "other") else b""


def spoilt(whole: bytes, spoil: tuple[str, list[tuple[float, int]], bytes]) -> bytes:
    """A file that was whole: cut short, with bytes changed, lengthened, or another altogether."""
    how, places, more = spoil
    if how == "cut":
        return whole[: int(places[0][0] * len(whole))]
    if how == "changed":
        data = bytearray(whole)
        for where, byte in places:
            data[int(where * len(data))] = byte
        return bytes(data)
    return {"longer": whole + more, "other": more, "empty": b""}[how]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Home]]:
    root = tmp_path_factory.mktemp("files")
    (root / "stories.txt").write_text("<|endoftext|>".join(write_stories(40, 0)))
    tokens = corpus.prepare_tokens(corpus.from_file(root / "data", root / "stories.txt"), 300)
    with without_work(root, tokens) as give:
        yield give


def asked(home: Home, *lines: list[str]) -> None:
    for line in lines:
        is_told(agent("--home", str(home.root), *line))


# --- the home --------------------------------------------------------------------------------

READERS = [["status"], ["runs"], ["table"], ["show", "E1"], ["log", "E1"], ["baselines"],
           ["compare", "E1", "E2"], ["lineage"], ["status", "--json"], ["runs", "--json"],
           ["show", "best", "--json"], ["doctor"], ["sample", "E1"], ["trace", "E1"]]
WRITERS = [["run", "--runs", "1"], ["enqueue", "lr=0.002"], ["resume"],
           ["train", "--steps", "9", "--set", "n_embd=64"]]


@cases(100)
@given(spoiling(), st.sampled_from(READERS), st.sampled_from(WRITERS))
def test_no_ledger_ends_in_a_traceback(
        fresh: Callable[[], Home], spoil: tuple[str, list[tuple[float, int]], bytes],
        reads: list[str], writes: list[str]) -> None:
    home = fresh()
    home.ledger.write_bytes(spoilt(home.ledger.read_bytes(), spoil))
    asked(home, reads, writes)


def files_of(home: Home) -> dict[str, Path]:
    folder = home.run(run_called(home, "E1").uid)
    return {"job": folder.job, "events": folder.events, "checkpoint": folder.checkpoint,
            "output": folder.output, "control": home.control, "guard": home.guard,
            "lock": home.lock, "idea": home.inbox / "a.json",
            "tokenizer": folder.root / "tokenizer.json"}


ASKED = {"job": ["show", "path", "sample"], "events": ["log", "show"], "output": ["log", "show"],
         "checkpoint": ["sample", "path", "show"], "tokenizer": ["sample", "path"]}


@pytest.mark.parametrize("name", ["job", "events", "checkpoint", "output", "control", "guard",
                                  "lock", "idea", "tokenizer"])
def test_no_file_of_the_home_ends_in_a_traceback(name: str, fresh: Callable[[], Home]) -> None:
    @cases(60)
    @given(st.data())
    def case(data: st.DataObject) -> None:
        home = fresh()
        path = files_of(home)[name]
        whole = path.read_bytes() if path.is_file() else b'{"command": "stop"}'
        path.parent.mkdir(exist_ok=True)
        content = spoilt(whole, data.draw(spoiling()))
        if data.draw(st.integers(0, 9)) == 0:  # not even a file
            path.unlink(missing_ok=True)
            path.mkdir()
        else:
            path.write_bytes(content)
        lines = [[command, "E1"] for command in ASKED.get(name, [])] or [
            ["status"], ["resume"], ["pause"], ["enqueue", "lr=0.002"], ["run", "--runs", "1"]]
        asked(home, data.draw(st.sampled_from(lines)))
        if name == "idea":
            with Ledger.open(home.ledger) as ledger:
                inbox.take_up(ledger, home, NOW, None)

    case()


# --- what is given by name -------------------------------------------------------------------

HEAD = ",".join(EXPERIMENT_COLUMNS)
ROWS = [HEAD, 'B9,03-24,1.3M,"128d/4L Lion lr=3e-5",2000,~6.5,-1.3%,Done,a note',
        "E9,02-30,9e9,x,1,div,-,Killed,"]


@cases(100)
@given(st.data())
def test_no_table_ends_in_a_traceback(fresh: Callable[[], Home], data: st.DataObject) -> None:
    home = fresh()
    rows = data.draw(st.lists(st.one_of(
        st.sampled_from(ROWS), st.lists(words, min_size=9, max_size=9).map(",".join)), max_size=4))
    text = "\r\n".join([HEAD, *rows])
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"]))
    whole = text.encode(encoding, errors="replace")
    path = home.root / "table.csv"
    path.write_bytes(spoilt(whole, data.draw(spoiling())) if data.draw(st.booleans()) else whole)
    asked(home, ["import", str(path)])


@pytest.mark.parametrize(("content", "told"), [
    (b"SQLite format 3\0" + bytes(900), "is not a SQLite database"),
    ((HEAD + "\n").encode("utf-16"), "is UTF-16 text; save it as CSV in UTF-8"),
    (HEAD.encode() + b"\nB9,03-24,1M,x,2,3,-,Done,caf\xe9\n", "is no UTF-8 text in line 2"),
    (HEAD.encode() + b"\nB9,03-24,1M,\"" + b"x" * 200_000 + b"\",2,3,-,Done,\n",
     "the published table is no CSV: field larger"),
    (b"", "must begin with ID,Date")])
def test_what_is_no_table_is_told_as_what_it_is(fresh: Callable[[], Home], content: bytes,
                                                told: str) -> None:
    home = fresh()
    path = home.root / "table.csv"
    path.write_bytes(content)
    result = agent("--home", str(home.root), "import", str(path))
    assert not is_told(result)
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/proc/self/mem"])
def test_a_device_is_no_table(fresh: Callable[[], Home], path: str) -> None:
    assert not is_told(agent("--home", str(fresh().root), "import", path))


@cases(120)
@given(st.data())
def test_no_text_is_more_than_a_user_error(fresh: Callable[[], Home],
                                           data: st.DataObject) -> None:
    root = fresh().root
    stories = data.draw(st.lists(words, max_size=12))
    kind = data.draw(st.sampled_from(["txt", "jsonl", "json", "csv", "gz"]))
    whole = "<|endoftext|>".join(stories).encode(errors="replace") if kind == "txt" else (
        b"\n".join(json.dumps({"text": one}).encode() for one in stories))
    path = root / f"text.{kind}"
    path.write_bytes(spoilt(whole or b"Once", data.draw(spoiling())) if data.draw(
        st.booleans()) else whole)
    try:
        found = corpus.resolve(root / "data", str(path))
        corpus.prepare_tokens(found, 300)
    except UserError as error:
        told = str(error)
        assert 10 < len(told) < 1_000


@pytest.mark.parametrize("name", ["ledger.db", "runs", "data", "inbox", "agent.lock"])
@pytest.mark.parametrize("line", [*READERS, *WRITERS], ids=" ".join)
def test_a_home_whose_parts_are_of_another_kind_is_told(
        fresh: Callable[[], Home], name: str, line: list[str]) -> None:
    home = fresh()
    path = home.root / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("no folder")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    asked(home, line)


def test_a_checkpoint_that_is_a_foreign_archive_is_told(fresh: Callable[[], Home]) -> None:
    home, data = fresh(), io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("params.npy", b"\x93NUMPY\x01\x00")
        archive.writestr("../../x.npy", os.urandom(10))
    files_of(home)["checkpoint"].write_bytes(data.getvalue())
    assert not is_told(agent("--home", str(home.root), "sample", "E1"))
