"""The live part in words: what runs, or why nothing does."""

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.serve import now
from agent.show.page import html
from tests.support.parts import NOW


def test_a_run_whose_agent_died_says_so_and_shows_its_curve(home: Home) -> None:
    with Reader.open(home.ledger) as ledger:
        scene = now.look(ledger, home)
    assert now.headline(scene) == (
        "E3 learns: step 1,000 of 2,000. Its agent is gone; `agent run` takes it up.")
    assert now.facts(scene)["step"] == 1000
    assert "<svg" in html.section(now.section(scene))


def test_a_night_that_is_over_says_so(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        for run in ledger.runs("running"):
            ledger.finish(run.id, "failed", NOW)
    with Reader.open(home.ledger) as reader:
        scene = now.look(reader, home)
    assert now.headline(scene).startswith("No agent runs;")
    assert now.facts(scene)["step"] is None


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    found = now._thinned([(step, 1.0) for step in range(10_000)])
    assert len(found) <= now.MOST_POINTS
    assert found[-1] == (9999.0, 1.0)


def test_trouble_is_a_sentence_of_which_nothing_acts() -> None:
    told = html.section(now.trouble('no ledger at <script>"'))
    assert "<script" not in told
    assert "looks again every two seconds" in told
