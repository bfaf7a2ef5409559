"""The published log beside what was measured, as a table and a line a finding."""

from collections.abc import Sequence
from statistics import fmean

from agent import words
from agent.analysis import Again, PublishedClaim
from agent.show.grid import columns

HEADS = ("row", "recipe", "published", "vs unigram", "measured", "vs unigram", "seeds")
RECIPE = 26  # letters
STANDS = {True: "stands", False: "does not stand", None: "not known yet"}


def lines(found: Sequence[Again], claims: Sequence[PublishedClaim], width: int) -> list[str]:
    """The table, then each published finding with what became of it."""
    rows = [HEADS, *map(_row, found)]
    for left_out in ((), (1,), (1, 3)):  # the recipe, and what was published of the unigram
        table = columns([[cell for i, cell in enumerate(row) if i not in left_out]
                         for row in rows])
        if max(map(len, table)) <= width:
            break
    said = [line for claim in claims for line in words.wrapped(
        f"{claim.name}: {claim.published}. Measured: {claim.measured}. "
        f"It {STANDS[claim.stands]}." if claim.stands is not None else
        f"{claim.name}: {claim.published}. Not known yet: {claim.measured}.", width)]
    return [*table, "", *said]


def _row(one: Again) -> list[str]:
    n = len(one.losses) + one.n_diverged
    published = (one.published_end if one.published_loss is None else f"{one.published_loss:.2f}")
    if one.n_diverged and not one.losses:
        measured = "diverged"
    else:
        measured = words.UNKNOWN if not one.losses else f"{fmean(one.losses):.3f}"
        if len(one.losses) > 1:
            measured += f" ± {(max(one.losses) - min(one.losses)) / 2:.3f}"
    return [one.name, words.cut(one.recipe, RECIPE), published, words.percent(one.published_vs),
            measured, words.percent(fmean(one.versus) if one.versus else None),
            f"{n}" + (f", {one.n_waiting} to go" if one.n_waiting else "")]
