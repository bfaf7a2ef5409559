"""Findings in sentences: the headline, what stands under it, and the numbers at the top."""

from agent import words
from agent.analysis import Chain, Findings, Winner
from agent.show.page.blocks import Fact
from agent.words import cut

MOST, LARGE = 0.5, 0.3  # parts of the whole gain, from which on a field is named for it
FEW = 2  # fields that are named
NAME = 60  # letters of a text's name


def bits(value: float | None) -> str:
    """0.542, or a dash."""
    return words.decimal(value, 3)


def signed(value: float | None) -> str:
    """+0.0293; a minus is a minus."""
    return words.UNKNOWN if value is None else f"{value:+.4f}".replace("-", "−")


def span(low: float | None, high: float | None) -> str:
    """An interval in words, empty where there is none."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def hours(found: float) -> str:
    return words.duration(3600 * found)


def tokens(n: int | None) -> str:
    return words.UNKNOWN if n is None else words.amount(n)


def plural(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def times(n: int) -> str:
    return "once" if n == 1 else f"{n:,} times"


def headline(found: Findings) -> str:
    """What the study came to, in one sentence."""
    winner = found.winner
    if winner is None:
        return _without_winner(found)
    if winner.is_baseline:
        n = found.tally.n_tried
        tried = f" in {plural(n, 'try', 'tries')}" if n else ""
        return (f"The baseline stands at {bits(winner.val_bpb)} bits/byte; nothing beat it{tried} "
                "yet")
    gain = gained(found)
    if gain is None or gain <= 0:
        return f"{winner.label} is the run to beat, at {bits(winner.val_bpb)} bits/byte"
    sure = "confirmed on fresh seeds" if winner.claims else "not confirmed yet"
    return (f"{winner.label} is {bits(gain)} bits/byte better than the baseline, {sure}"
            f"{_most(found)}")


def _without_winner(found: Findings) -> str:
    tally = found.tally
    if tally.running:
        return f"{cut(tally.running[0], NAME)} is running; nothing has finished yet"
    if tally.n_runs:
        return f"{plural(tally.n_runs, 'run')} ended, and no baseline has finished yet"
    if tally.n_queued:
        return f"{plural(tally.n_queued, 'run')} wait; none has begun"
    if found.published:
        return f"{plural(len(found.published), 'published run')}, and none of this ledger's own yet"
    return "Nothing has run here yet"


def gained(found: Findings) -> float | None:
    """What is claimed of the winner over the baseline; before any claim, what the search saw."""
    winner = found.winner
    if winner and winner.claimed_bpb is not None:
        return winner.claimed_bpb
    return found.chain.total.bpb if found.chain and found.chain.total else None


def largest(chain: Chain | None) -> tuple[str, float] | None:
    """The fields whose steps gained most, in words, and which part of all gains that is."""
    gains: dict[str, float] = {}
    for link in chain.links if chain else ():
        if link.gain and link.gain.bpb > 0 and link.fields:
            n = len(link.fields)
            name = (f"the {_titles(link.changes)}" if n <= FEW
                    else f"{link.label}, which changed {n} fields")
            gains[name] = gains.get(name, 0.0) + link.gain.bpb
    if not gains:
        return None
    name = max(gains, key=lambda one: gains[one])
    return name, gains[name] / sum(gains.values())


def _titles(changes: str) -> str:
    """What was changed, without the values: 'width 128 → 192, heads 4 → 6' is width and heads."""
    names = [change.partition(" → ")[0].rpartition(" ")[0] for change in changes.split(", ")
             if " → " in change]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _most(found: Findings) -> str:
    known = largest(found.chain)
    if known is None or found.chain is None or len(found.chain.links) < 2 or known[1] < LARGE:
        return ""
    part = "most" if known[1] >= MOST else "the largest part"
    return f"; {part} came from {known[0]}"


def lede(found: Findings) -> str:
    """What it took, and what to know of the number in the headline."""
    tally = found.tally
    if not tally.n_runs:
        begins = ("This page shows what it finds." if tally.running else
                  "`agent run --for 8h` begins one, and this page shows what it found.")
        return ("A night trains small models, tries ideas on them and keeps what fresh seeds "
                f"confirm. {begins}")
    parts = [f"{plural(tally.n_runs, 'run')} in {hours(tally.hours)} of computing"
             + (f" over {plural(tally.n_nights, 'night')}" if tally.n_nights > 1 else "")
             + f": {plural(tally.n_tried, 'idea')} tried, {tally.n_kept} kept, "
               f"{tally.n_confirmed} confirmed"
             + (f", {tally.n_refuted} refuted" if tally.n_refuted else "") + "."]
    if found.winner:
        parts += _silent(found.winner)
    if found.lead:
        parts.append(f"{found.lead} was kept since: a lead, not confirmed yet.")
    if tally.running:
        is_one = len(tally.running) == 1
        parts.append(f"{cut(', '.join(tally.running[:3]), NAME)} {'is' if is_one else 'are'} "
                     "running now.")
    if tally.n_broken:
        parts.append(f"{plural(tally.n_broken, 'run')} broke or got lost.")
    return " ".join(parts)


def _silent(winner: Winner) -> list[str]:
    if winner.silent is None or not isinstance(winner.silent.get("silent_bpb"), int | float):
        return []
    within = span(winner.silent.get("low_bpb"), winner.silent.get("high_bpb"))
    return [f"On text that decided nothing the gain is {bits(winner.silent['silent_bpb'])} "
            f"bits/byte{f' (95 %: {within})' if within else ''}."]


def facts(found: Findings) -> list[Fact]:
    """The numbers at the top."""
    tally, winner, told = found.tally, found.winner, list[Fact]()
    if winner and not winner.is_baseline and (gain := gained(found)) is not None:
        n = len(winner.claims)
        last = winner.claims[-1] if n else None
        more = (f"95 %: {span(last.low_bpb, last.high_bpb)}"
                if last and n == 1 and last.low_bpb is not None
                else f"in {plural(n, 'claim')}" if n else "not confirmed yet")
        told.append(Fact(name="gain, bits/byte", value=f"{gain:+.3f}".replace("-", "−"), more=more))
    if winner and winner.val_bpb is not None:
        told.append(Fact(name=f"{winner.label}, bits/byte", value=bits(winner.val_bpb),
                         more="" if found.baseline_bpb is None
                         else f"baseline {bits(found.baseline_bpb)}"))
    if tally.n_runs:
        told += [Fact(name="runs", value=f"{tally.n_runs:,}",
                      more=f"{tokens(tally.tokens)} tokens"),
                 Fact(name="training", value=hours(tally.hours),
                      more=words.clock(tally.last_at)[:10] if tally.last_at else "")]
    return told


def eyebrow(found: Findings) -> str:
    """Which study this is."""
    if found.study is None:
        return "phi-auto"
    which = f"study {found.study}" + (f" of {len(found.studies)}" if len(found.studies) > 1 else "")
    text = f" · {cut(found.text, NAME)}" if found.text else ""
    return f"{which}{text} · {tokens(found.budget_tokens)} tokens a run"


def passed(found: Findings, bpb: float) -> str:
    """Which n-gram yardsticks a score has passed, and which is ahead."""
    behind = [one for one in found.yardsticks if bpb < one.bpb]
    ahead = [one for one in found.yardsticks if bpb >= one.bpb]
    if behind and ahead:
        return f"past the {behind[-1].name}; the {ahead[0].name}'s {bits(ahead[0].bpb)} is ahead"
    if behind:
        return f"past the {behind[-1].name}'s {bits(behind[-1].bpb)}"
    return f"the {ahead[0].name}'s {bits(ahead[0].bpb)} is ahead" if ahead else ""
