"""`agent trace`: what broke a run, how a sound one fares, and what it says where nothing is known.
"""

from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import Layer, Trace
from agent.show import traced
from tests.support.example_home import a_home, agent, printed, value

TOLD = ("block 1 mlp.down is not finite, in the forward pass of step 12; infinite weight: 1 of "
        "its 9 entries")
TRACE = Trace(12, "forward", 1, "mlp.down", ["infinite weight: 1 of its 9 entries", "other: b"],
              TOLD, {"growth": [[4, 0.5], [8, None], [11, 0.75]], "began_at": 4,
                     "is_repeated": True, "what": "is not finite", "notes": ["a note"]})
KEYS = ["run", "state", "told", "step", "pass", "block", "tensor", "causes", "what", "growth",
        "began_at", "is_repeated", "notes", "health", "layers"]


def layers(n: int, **bad: float) -> list[Layer]:
    return [Layer(step, block, 1.0 + step, 1e-3, 2.0, 0.8, 0.1) if block == 0 or not bad
            else Layer(step, block, **bad) for step in range(1, n + 1) for block in (0, 1)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """E3 runs with shut gates; E4 broke."""
    home = a_home(tmp_path / "home")
    with Ledger.open(home.ledger) as ledger:
        ledger.ingest(ledger.run("E3").id, [], 0, "2026-03-24T22:30:00Z", layers(9, dead_gates=0.9))
        broken = ledger.claim("2026-03-24T22:30:00Z", run_id=ledger.run("E4").id)
        assert broken is not None
        ledger.ingest(broken.id, [], 0, "2026-03-24T22:30:00Z", [*layers(11), TRACE])
        ledger.finish(broken.id, "diverged", "2026-03-24T22:30:10Z",
                      error=f"loss nan at step 12; {TOLD}")
    return home


def test_what_broke_a_run_is_a_json_value(home: Home) -> None:
    found = value(home, "trace", "E4")
    assert list(found) == KEYS
    assert [found[key] for key in ("run", "state", "step", "pass", "block", "tensor")] == [
        "E4", "diverged", 12, "forward", 1, "mlp.down"]
    assert found["causes"] == TRACE.causes
    assert (found["growth"], found["health"]) == ([[4, 0.5], [8, None], [11, 0.75]], [])
    assert len(found["layers"]) == 22


@pytest.mark.parametrize("columns", [60, 100])
def test_what_broke_a_run_is_a_page(home: Home, columns: int) -> None:
    page = printed(home, "trace", "e4", columns=columns)
    assert max(map(len, page.splitlines())) <= columns
    said = " ".join(page.split())
    assert "where block 1, mlp.down: forward pass of step 12" in said
    assert "likeliest infinite weight: 1 of its 9 entries or 1 other: b" in said
    assert "its size 0.5 after 4 steps, 0.75 after 11 steps" in said
    assert "repeated from the checkpoint of step 4; a note" in said


def test_silent_trouble_is_named_with_its_block_and_since_when(home: Home) -> None:
    (trouble,) = value(home, "trace", "E3")["health"]
    assert (trouble["name"], trouble["block"], trouble["since_step"]) == ("dead gates", 1, 1)
    found = value(home, "trace", "E3")
    assert [found[key] for key in ("step", "pass", "block", "tensor", "causes")] == [
        None, None, None, None, []]
    assert "trouble dead gates in block 1 since step 1: 90 % of its gates" in " ".join(
        printed(home, "trace", "E3").split())


def test_status_and_show_carry_the_line(home: Home) -> None:
    assert value(home, "status")["trouble"].startswith("dead gates in block 1 since step 1: ")
    assert "dead gates in block 1" in printed(home, "status")
    assert value(home, "show", "E4")["trace"]["told"] == TOLD
    said = " ".join(printed(home, "show", "E4").split())
    assert said.count("in the forward pass of step 12") == 1  # the error ends with it
    with Ledger.open(home.ledger) as ledger:
        ledger.ingest(ledger.run("E3").id, [], 0, "2026-03-24T22:31:00Z", [TRACE])
        assert traced(ledger, ledger.run("E3")).told == TOLD
    assert f"trouble {TOLD}" in " ".join(printed(home, "show", "E3", columns=200).split())


def test_a_sound_run_is_told_so_and_an_unknown_one_in_a_sentence(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        ledger.ingest(ledger.run("E3").id, [], 0, "2026-03-24T22:31:00Z", layers(9))
    assert value(home, "trace", "E3")["told"] == "nothing is wrong: 9 looks, the last at step 9"
    assert "found nothing is wrong: 9 looks" in " ".join(printed(home, "trace", "E3").split())
    for label, said in (("E1", "E1 (finished) has no trace; runs keep one from version 0.4 on, "
                               "once they have made a step"),
                        ("E9", "there is no run 'E9'; near it: ")):
        result = agent(home, "trace", label)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"agent: {said}")
