"""The questions that are offered are those of the page, and each is answered."""

import re
from pathlib import Path

from agent.ledger.ledger import Ledger
from agent.ledger.questions import RECIPES, recipes
from tests.support import example_ledger as example

PAGE = Path(__file__).parents[3] / "agent" / "README.md"


def test_they_are_those_of_the_page() -> None:
    (block,) = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(encoding="utf-8"),
                          re.MULTILINE | re.DOTALL)
    assert block == RECIPES


def test_each_has_a_name_of_its_own_and_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    found = recipes()
    assert len({one.name for one in found}) == len(found) == RECIPES.count(";\n")
    with Ledger.open(path) as ledger:
        assert [one.name for one in found if not ledger.rows(one.sql)] == [  # it has none of those
            "the_curve_of_the_newest_finished_run", "each_confirmed_claim_with_its_evidence"]
