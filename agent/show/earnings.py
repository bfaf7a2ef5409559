"""How the search is doing, in a few lines: ideas, what each strategy earned, what it all took."""

from collections.abc import Sequence

from agent import words
from agent.analysis import Predicted
from agent.ledger import Earned

CHECKING = {"baseline": "calibrating", "confirm": "confirming", "ablate": "trying without"}
N_NAMED = 3  # strategies that are told by name


def lines(earned: Sequence[Earned], predicted: Predicted | None = None) -> list[str]:
    """Lines for people; none before an idea has ended."""
    ideas = [one for one in earned if one.strategy not in CHECKING]
    if not ideas:
        return []
    n_runs, n_kept, n_confirmed, n_pruned = (
        sum(getattr(one, name) for one in ideas)
        for name in ("n_runs", "n_kept", "n_confirmed", "n_pruned"))
    found = [f"{n_runs} tried in all, {n_kept} kept, {n_confirmed} confirmed"
             + (f": one in {n_runs / n_confirmed:.0f}" if n_confirmed else "")]
    found += [f"{one.strategy} {one.gain_bpb:+.4f} by {one.n_kept} of {one.n_runs}"
              for one in ideas if one.gain_bpb is not None][:N_NAMED]
    if n_pruned:
        saved = sum(one.saved_tokens for one in ideas)
        found.append(f"{n_pruned} given up at a quarter: {words.count(saved)} tokens saved")
    if predicted:
        found.append(f"half of the scores foretold within {100 * predicted.median_error:.1f} %; "
                     f"{predicted.n_inside} of {predicted.n} in the range expected")
    return [*found, _shares(earned)]


def _shares(earned: Sequence[Earned]) -> str:
    """What the tokens went into, the largest part first."""
    spent: dict[str, int] = {}
    for one in earned:
        name = CHECKING.get(one.strategy, "ideas")
        spent[name] = spent.get(name, 0) + one.tokens
    total = sum(spent.values()) or 1
    parts = sorted(spent.items(), key=lambda part: -part[1])
    return "tokens: " + ", ".join(f"{100 * n / total:.0f} % {name}" for name, n in parts)
