"""Rounds that went on from a model, as pictures: what each was found to be on what it never saw."""

from agent.analysis import Findings, Improved
from agent.show.page import said
from agent.show.page.blocks import Figure, Section
from agent.show.page.marks import ORANGE, QUIET
from agent.show.page.ranked import Row, Rows

# What tells a round by its way: of STaR, of SPIN and pairs, and of the model's own stories.
TOLD = ("right of", "win rate", "accuracy", "faults a story")
MOST = 12  # rounds, the newest of them


def rounds(found: Findings) -> Section | None:
    """A picture for each thing that was measured, a row a round; None where no run has any."""
    rows: dict[str, list[Row]] = {}
    for one in found.improved[-MOST:]:
        for name in dict.fromkeys(row["name"] for row in one.measures if row["step"]):
            if name.startswith(TOLD) and not name.endswith(" change"):
                rows.setdefault(name, []).append(_row(one, name))
    if not rows:
        return None
    pictures = [Rows(title=name, label=name, rows=its, text="; ".join(
        f"{row.lead} {row.told}" for row in its)) for name, its in rows.items()]
    return Section(name="improved", title="Going on from a model", blocks=[Figure(
        name="improved", finding=f"{said.plural(max(map(len, rows.values())), 'round')} of "
        "`agent improve`, measured on what was not trained on.",
        note="A dot a round, with its 95 % interval; in colour where the change since its start "
        "is beyond the noise.", pictures=pictures)])


def _row(one: Improved, name: str) -> Row:
    """A measure of a round after its last step; where the same was asked before, that, too."""
    *before, last = (row for row in one.measures if row["name"] == name)
    change = [row for row in one.measures if row["name"] == f"{name} change" and row["high"]]
    return Row(lead=one.label, name=f"{before[0]['value']:.3g} before" if before else "",
               value=last["value"], told=f"{last['value']:.3g}", low=last["low"],
               high=last["high"], shape="dot",
               kind=ORANGE if change and change[-1]["low"] * change[-1]["high"] > 0 else QUIET)
