"""Rounds: from which model each begins, when they end, and which are kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.night import rounds
from agent.night.improve import Improving, Round
from engine.alignment.objective import Recipe
from engine.errors import UserError
from tests.support.parts import NOW, FakeTime, Listener, a_run

ASKED = Improving(recipe=Recipe(), n=50, n_rounds=4)
LOOP = replace(ASKED, loops=True)


@dataclass
class Bench:
    """Makes rounds whose measures a test chooses, and remembers what each was asked."""

    at: Any
    base: Run
    measures: list[dict[str, list[float]]] = field(default_factory=list)
    made: list[tuple[Round, Improving]] = field(default_factory=list)

    def __call__(self, at: Any, asked: Improving, one: Round) -> Run:
        k = len(self.made)
        self.made.append((one, asked))
        run = a_run(at.ledger, seed=100 + k, strategy="improve")
        folder = at.home.run(run.uid)
        folder.root.mkdir(parents=True)
        folder.pairs.write_bytes(b"{}\n" * 7)
        for name, values in self.measures[k].items() if self.measures else ():
            for step, value in enumerate(values):
                at.ledger._db.table("measures").insert({
                    "run_id": run.id, "name": name, "step": step, "value": value,
                    "low": value - 0.1, "high": value + 0.1, "n": 9})
        ended = at.ledger.finish(run.id, "finished", NOW)
        at.ledger.decide(run.id, None, "recorded", "two-tier/3", {}, "as any run", NOW)
        return ended  # type: ignore[no-any-return]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        at = SimpleNamespace(ledger=ledger, home=Home(tmp_path), observer=Listener(),
                             clock=FakeTime().clock())
        found = Bench(at, a_run(ledger))
        monkeypatch.setattr(rounds, "make_round", found)
        monkeypatch.setattr(rounds, "model_of", lambda at, run: run.label)
        yield found


def test_star_trains_from_the_base_on_what_the_last_one_worked_out(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    star = replace(ASKED, by="star")
    with pytest.raises(UserError, match="T1 was not trained on --corpus sums"):
        rounds.improve_in_rounds(bench.at, bench.base, star)
    monkeypatch.setattr(rounds, "corpus_of", lambda *_: SimpleNamespace(name="sums"))
    found = rounds.improve_in_rounds(bench.at, bench.base, star)
    assert [run.label for run in found] == ["I1", "I2", "I3", "I4", "I5"]
    assert [(one.start, one.writer, one.task.kind) for one, _ in bench.made] == [
        ("T1", None, "star"), ("T1", "I1", "star"), ("T1", "I2", "star"), ("T1", "I3", "star"),
        ("T1", None, "plain")]
    plain = bench.made[-1][0]
    assert plain.lines is not None
    assert plain.lines.count(b"\n") == 7  # as many as the last round had


@pytest.mark.parametrize(("wins", "n"), [([0.9, 0.7, 0.6, 0.55], 4), ([0.9, 0.7, 0.7, 0.1], 3),
                                         ([0.9, 0.95, 0.1, 0.1], 2)])
def test_spin_ends_where_the_win_rate_no_longer_falls(
        bench: Bench, wins: list[float], n: int) -> None:
    bench.measures = [{"win rate": [win]} for win in wins]
    assert len(rounds.improve_in_rounds(bench.at, bench.base, replace(ASKED, by="spin"))) == n
    assert [one.start for one, _ in bench.made] == ["T1", "I1", "I2", "I3"][:n]
    told = "it no longer falls" in " ".join(bench.at.observer.said)
    assert told == (n < 4)


def of(change: float, text: float = 2.0, distinct: float = 0.5) -> dict[str, list[float]]:
    """Measures of a round: the interval of the change is ± 0.1."""
    return {"faults a story change": [change], "loss on the text": [2.0, text],
            "distinct-2": [0.5, distinct], "tokens a story": [40.0, 42.0]}


def test_a_loop_goes_on_from_what_was_better_beyond_its_noise(bench: Bench) -> None:
    bench.measures = [of(-0.3), of(-0.05), of(-0.2), of(0.4)]
    rounds.improve_in_rounds(bench.at, bench.base, LOOP)
    assert [one.start for one, _ in bench.made] == ["T1", "I1", "I1", "I3"]
    assert len({asked.seed for _, asked in bench.made}) == 4
    verdicts = [bench.at.ledger.decisions(run.id, limit=1)[0].verdict
                for run in bench.at.ledger.runs() if run.strategy == "improve"]
    assert verdicts == ["kept", "discarded", "kept", "discarded"]
    assert bench.at.observer.said[-1] == "the loop ends with I3"


def test_small_steps_away_from_the_text_add_up_to_a_collapse(bench: Bench) -> None:
    bench.measures = [of(-0.3, text=2.07), of(-0.3, text=2.14) | {"loss on the text": [2.07, 2.14]}]
    rounds.improve_in_rounds(bench.at, bench.base, LOOP)
    assert "loss on the text 2 → 2.14: it collapsed" in bench.at.observer.said[-2]


@pytest.mark.parametrize("collapsed", [of(-0.9, text=2.3), of(-0.9, distinct=0.1)])
def test_a_collapse_ends_the_loop_and_is_rolled_back(
        bench: Bench, collapsed: dict[str, list[float]]) -> None:
    bench.measures = [of(-0.3), collapsed]
    rounds.improve_in_rounds(bench.at, bench.base, LOOP)
    assert len(bench.made) == 2
    assert "it collapsed, and is rolled back" in bench.at.observer.said[-2]
    assert bench.at.observer.said[-1] == "the loop ends with I1"
