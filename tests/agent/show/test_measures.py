"""What was measured before and after, as lines that say what each number is."""

import pytest

from agent.ledger import Measures
from agent.show.measures import before_and_after


def row(name: str, step: int, value: float, low: float | None = None,
        high: float | None = None) -> dict[str, object]:
    return {"name": name, "step": step, "value": value, "low": low, "high": high, "n": 90}


ROWS: Measures = [
    row("accuracy", 0, 0.5, 0.4, 0.6), row("accuracy", 9, 0.75, 0.65, 0.85),
    row("accuracy change", 9, 0.25, 0.1, 0.4), row("loss on the text", 0, 2.0),
    row("loss on the text", 9, 2.01), row("margin", 9, 0.3, 0.2, 0.4),
    row("right of 3 digits", 0, 0.25, 0.2, 0.3)]


def test_each_number_is_labelled_and_what_changed_has_its_interval() -> None:
    assert "\n".join(before_and_after(ROWS, 80)) == """\
  held out, not trained on          before   after  95 % interval
  loss on real text, nats a token    2.000   2.010
  pairs: the better one likelier     0.500   0.750  +0.250 (+0.100 to +0.400)
  its gain over the worse, β · nats          0.300  0.200 to 0.400
  right of 3 digits                  0.250"""


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    lines = "\n".join(before_and_after(ROWS, width)).splitlines()
    assert max(map(len, lines[1:])) <= width
    assert any("+0.100 to +0.400" in line for line in lines)
