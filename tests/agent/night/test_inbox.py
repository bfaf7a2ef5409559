"""Ideas between `agent enqueue` and the ledger: read strictly, taken up exactly once."""

import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.night import inbox
from agent.night.inbox import MAX_BYTES, Idea, leave, take_up, waiting
from engine.config import Config
from engine.errors import LedgerBusy, LedgerError, StorageError, TokenizerError, UserError
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from tests.support.parts import NOW, TEXT, TINY, a_run, a_study, new_corpus

IDEA = Idea(uid="a" * 32, created_at=NOW, config=dataclasses.replace(TINY, lr=1e-3), seed=0,
            calibration_id=1, parent_id=None, replicas=2, reason="a person's idea")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with Ledger.open(home.ledger) as opened:
        a_study(opened)
        yield opened


def changed(**values: Any) -> Idea:
    return dataclasses.replace(IDEA, **values)


def taken(ledger: Ledger, home: Home) -> list[str]:
    return list(take_up(ledger, home, NOW, None))


def test_an_idea_becomes_a_queued_run_of_its_study(ledger: Ledger, home: Home) -> None:
    parent = a_run(ledger)
    leave(home, changed(parent_id=parent.id))
    assert taken(ledger, home) == ["T2 on seed 0, queued: a person's idea"]
    run = ledger.run("T2")
    assert (run.uid, run.state, run.strategy, run.calibration_id, run.parent_id, run.replicas,
            run.budget_tokens) == (IDEA.uid, "queued", "hand", 1, parent.id, 2, 3200)
    assert list(home.inbox.iterdir()) == []


def test_an_idea_for_another_study_than_the_last_says_for_which(
        ledger: Ledger, home: Home) -> None:
    a_study(ledger, budget_tokens=6400)  # the last one
    leave(home, IDEA)
    assert " on seed 0, queued for study 1: " in taken(ledger, home)[0]


def test_the_earlier_idea_is_the_earlier_run(ledger: Ledger, home: Home) -> None:
    for uid, seed in (("b" * 32, 2), ("c" * 32, 1)):
        os.utime(leave(home, changed(uid=uid, seed=seed)), (seed, seed))
    assert [idea.seed for idea in waiting(home)] == [1, 2]
    taken(ledger, home)
    assert [run.seed for run in ledger.runs()] == [1, 2]


def test_a_taker_that_dies_between_ledger_and_file_leaves_one_run(
        ledger: Ledger, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(home, IDEA)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            taken(ledger, home)
    assert len(list(home.inbox.iterdir())) == 1
    ledger.finish(1, "failed", NOW, error="no memory")  # so that a twin would be accepted
    assert taken(ledger, home) == []
    assert (len(ledger.runs()), list(home.inbox.iterdir())) == (1, [])


def test_a_twin_of_a_known_run_is_refused_with_its_label(ledger: Ledger, home: Home) -> None:
    a_run(ledger, IDEA.config)
    path = leave(home, IDEA)
    (message,) = taken(ledger, home)
    assert message.startswith(f"{path.name} in the inbox was refused: T1 (queued) has this conf")
    assert (len(ledger.runs()), path.exists()) == (1, False)


@pytest.mark.parametrize(("values", "sentence"), [
    ({"calibration_id": 7}, "has no row 7 in its table calibrations"),
    ({"parent_id": 99}, "there is no run '99'"),
])
def test_an_idea_of_another_ledger_is_refused(
        ledger: Ledger, home: Home, values: dict[str, Any], sentence: str) -> None:
    leave(home, changed(**values))
    (message,) = taken(ledger, home)
    assert sentence in message
    assert ledger.runs() == []


def test_a_ledger_that_is_locked_does_not_cost_the_idea(
        ledger: Ledger, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = leave(home, IDEA)

    def locked(new: Any) -> None:
        raise LedgerError("locked") from sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(ledger, "queue", locked)
    with pytest.raises(LedgerError, match="locked"):
        taken(ledger, home)
    assert path.exists()


@pytest.mark.parametrize("fault", [LedgerBusy("locked"), StorageError("full")])
def test_what_passes_by_itself_does_not_cost_the_idea(
        fault: UserError, ledger: Ledger, home: Home) -> None:
    def prepare(vocab_size: int) -> TokenSet:
        raise fault

    path = leave(home, WIDER)
    with pytest.raises(type(fault)):
        list(take_up(ledger, home, NOW, prepare))
    assert path.exists()


# --- vocabularies ----------------------------------------------------------------------------


WIDER = changed(config=dataclasses.replace(TINY, vocab_size=310))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    path = root / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, path), 310)


def test_a_vocabulary_the_ledger_knows_needs_nothing(ledger: Ledger, home: Home) -> None:
    other = ledger.add_corpus(new_corpus(vocab_size=310))
    ledger.add_corpus(new_corpus(vocab_size=310, text_sha256="u" * 64))
    leave(home, WIDER)
    taken(ledger, home)
    assert ledger.run("T1").corpus_id == other


def test_a_new_vocabulary_waits_for_who_can_prepare_it(
        home: Home, tmp_path: Path, tokens: TokenSet) -> None:
    with Ledger.open(tmp_path / "other.db") as ledger:
        a_study(ledger, tokens.corpus.sha256)
        path = leave(home, WIDER)
        assert list(take_up(ledger, home, NOW, None)) == []
        assert path.exists()
        (message,) = take_up(ledger, home, NOW, lambda vocab_size: tokens)
        assert message.startswith("T1 ")
        assert ledger.corpus(ledger.run("T1").corpus_id or 0).vocab_size == 310


def test_an_idea_for_another_text_than_the_nights_stays(
        ledger: Ledger, home: Home, tokens: TokenSet) -> None:
    assert tokens.corpus.sha256 != TEXT
    path = leave(home, WIDER)
    assert list(take_up(ledger, home, NOW, lambda vocab_size: tokens)) == []
    assert path.exists()


def test_a_vocabulary_the_text_does_not_support_is_refused(ledger: Ledger, home: Home) -> None:
    def prepare(vocab_size: int) -> TokenSet:
        raise TokenizerError(f"vocabulary {vocab_size} is too large")

    path = leave(home, WIDER)
    assert list(take_up(ledger, home, NOW, prepare)) == [
        f"{path.name} in the inbox was refused: vocabulary 310 is too large"]
    assert not path.exists()


# --- files of something else -----------------------------------------------------------------


def text(**values: Any) -> str:
    return json.dumps(json.loads(IDEA.to_json()) | values)


def test_what_was_written_is_what_is_read() -> None:
    assert Idea.from_json(IDEA.to_json()) == IDEA


@pytest.mark.parametrize("words", [
    "", "rubbish", "[]", "null", "7", "{}", "[" * 60_000, text(version=2), text(more=1),
    text(uid="../../x"), text(uid=7), text(seed=-1), text(seed=True), text(seed=1.0),
    text(seed=2**63), text(parent_id=0), text(calibration_id=None), text(replicas="2"),
    text(created_at="yesterday"), text(created_at=None), text(config=[]), text(reason=None),
    text(config={"lr": "fast"}), text(config={"speed": 1}), text(config={"n_head": 3}),
])
def test_anything_else_is_refused_and_removed(ledger: Ledger, home: Home, words: str) -> None:
    with pytest.raises(UserError, match="it is no idea that this program wrote: "):
        Idea.from_json(words)
    home.inbox.mkdir()
    path = home.inbox / "1.json"
    path.write_text(words)
    assert waiting(home) == []
    (message,) = taken(ledger, home)
    assert message.startswith("1.json in the inbox was refused: it is no idea that this program")
    assert (ledger.runs(), path.exists()) == ([], False)


def test_a_file_too_long_for_an_idea_is_refused(ledger: Ledger, home: Home) -> None:
    home.inbox.mkdir()
    (home.inbox / "1.json").write_bytes(b" " * (MAX_BYTES + 1))
    assert taken(ledger, home) == [
        "1.json in the inbox was refused: it has over 65,536 bytes, so it is no idea"]


def test_a_file_that_may_not_be_read_is_refused(
        ledger: Ledger, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(home, IDEA)

    def forbidden(*args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(inbox, "open", forbidden, raising=False)
    (message,) = taken(ledger, home)
    assert message.endswith("in the inbox was refused: it may not be read")


def test_what_is_no_idea_by_its_name_is_left_alone(ledger: Ledger, home: Home) -> None:
    home.inbox.mkdir()
    (home.inbox / "half.json.part").write_text("{")
    (home.inbox / "folder.json").mkdir()
    assert taken(ledger, home) == []
    assert len(list(home.inbox.iterdir())) == 2


def test_no_idea_steers_the_terminal(ledger: Ledger, home: Home) -> None:
    leave(home, changed(reason="\x1b[2J"))
    (message,) = taken(ledger, home)
    assert message.endswith("queued: \ufffd[2J")


def test_configurations_survive_the_way_exactly() -> None:
    odd = changed(config=Config(lr=0.1 + 0.2, n_hidden=72, tied=True, optimizer="lion"))
    assert Idea.from_json(odd.to_json()).config == odd.config
