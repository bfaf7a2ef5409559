"""Which runs are looked for: all words, any case, anywhere in what is told of a run."""


import pytest

from agent.cli.sought import Sought, sought
from agent.ledger.ledger import Ledger
from agent.ledger.notes import Remark
from agent.ledger.records import Run
from tests.support import example_ledger as example


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("sought") / "ledger.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        return ledger.run("E1")


@pytest.mark.parametrize(("text", "is_found"), [
    ("e1", True), ("KEPT", True), ("kept ADAMW", True), ("kept nowhere", False), ("straße", True),
    ("STRASSE", True), ("", True), (None, True)])
def test_words_are_sought_in_all_of_it(run: Run, text: str | None, is_found: bool) -> None:
    wanted = sought({run.id: Remark("Die Straße")}, {run.id: "kept"}, state=None, limit=None,
                    text=text, starred=False)
    assert wanted.has(run) is is_found


def test_a_star_is_asked_for_alone_or_with_words(run: Run) -> None:
    assert not Sought({}, {}, is_starred=True).has(run)
    assert Sought({run.id: Remark(None, True)}, {}, is_starred=True).has(run)
    assert Sought({}, {}).is_narrow is False
