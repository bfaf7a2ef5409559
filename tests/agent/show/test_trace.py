"""What is said of a run whose trace was not made, and of blocks that share a trouble."""

import dataclasses
from pathlib import Path

from agent.ledger import Layer
from agent.ledger.ledger import Ledger
from agent.show.trace import Traced, trace_page, traced, trouble_of
from tests.support.parts import NOW, a_run, a_study


def test_a_run_that_was_not_traced_says_its_error_and_shared_troubles_stand_together(
        tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        a_study(ledger)
        run = a_run(ledger)
        ledger.claim(NOW)
        ledger.ingest(run.id, [], 0, NOW, [Layer(step, block, dead_gates=0.8)
                                           for step in (1, 2, 3) for block in (0, 1)])
        run = ledger.finish(run.id, "diverged", NOW, error="loss nan")
        found = traced(ledger, run)
        assert trouble_of(ledger, run) == found.told
    assert found.told.endswith("; and 1 more")
    page = trace_page(found, 100)
    assert "found     dead gates" in page
    assert "trouble   dead gates in blocks 0, 1 since step 1: " in page
    assert page.count("dead gates in blocks") == 1
    alone = Traced(run=run, trace=None, troubles=[], layers=found.layers)
    assert alone.told == "not traced; loss nan"
    fine = dataclasses.replace(run, state="finished")
    assert Traced(run=fine, trace=None, troubles=[], layers=found.layers).told == (
        "nothing is wrong: 3 looks, the last at step 3")
