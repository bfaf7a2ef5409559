"""The morning as blocks: what was confirmed, what it took, how it stands, what to do next."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from agent import words
from agent.ledger import Claim
from agent.show import rows
from agent.show.curve import course
from agent.show.morning import Morning
from agent.show.status import Rung, Status

N_TEXT = 4  # lines of the winner's text
CHART_ROWS = 5
MOST_NAME = 60  # letters of a text's name
N_NOTE = 200  # letters of a person's words on the winner
N_CLAIMS = 3  # the newest are told


def blocks(status: Status, found: Morning, width: int, *,
           is_short: bool = False) -> dict[str, RenderableType]:
    """By name, in the order in which they are read."""
    page: dict[str, RenderableType] = {
        "confirmed": rows.facts({"confirmed": _confirmed(found)}, width, rows.WIDE),
        "spent": rows.facts({"ideas": _ideas(found), "spent": _spent(found)}, width, rows.WIDE)}
    if status.best:
        page["best"] = rows.facts({"best": best(status, is_short=is_short)}, width, rows.WIDE)
    if found.sample and found.sample.strip():
        room = width - rows.WIDE - 1
        text = words.wrapped(words.printable(" ".join(found.sample.split())), room,
                             2 if is_short else N_TEXT)
        page["text"] = rows.facts({"its text": "\n".join(text)}, width, rows.WIDE)
    points = [(point.at_s, point.bpb) for point in found.course]
    if lines := course(points, found.lasted_s, width, 3 if is_short else CHART_ROWS):
        page["course"] = Text("\n".join(lines), no_wrap=True, overflow="crop")
    if found.next:
        told = (", ".join(hint.command for hint in found.next) if is_short
                else _next(found, width - rows.WIDE - 1))
        page["next"] = rows.facts({"next": told}, width, rows.WIDE)
    return page


def _confirmed(found: Morning) -> str:
    if not found.claims:
        before = (f"nothing new; {found.n_claims_before} of this study before this night"
                  if found.n_claims_before else
                  f"nothing yet: {words.runs(found.n_kept)} kept, on one seed alone"
                  if found.n_kept else "nothing")
        lines = [before]
    else:
        lines = [_claim(claim) for claim in found.claims[-N_CLAIMS:]]
        if found.n_claims_before or len(found.claims) > N_CLAIMS:
            n = found.n_claims_before + max(0, len(found.claims) - N_CLAIMS)
            lines.append(f"and {n} before")
    if found.silent and found.silent.get("silent_bpb") is not None:
        lines.append(_silent(found.silent))
    return "\n".join(lines)


def _claim(claim: Claim) -> str:
    than = f" than {claim.against}" if claim.against else ""
    how = "better" if claim.gain_bpb > 0 else "worse"
    seeds = "" if claim.n_seeds is None else f" on {claim.n_seeds} fresh seeds"
    over = "" if claim.is_over_texts else " over seeds alone"
    return (f"{claim.label} {abs(claim.gain_bpb):.4f} bits/byte {how}{than}{seeds}\n"
            f"{_span(claim.low_bpb, claim.high_bpb, over)}").strip()


def _silent(data: dict[str, object]) -> str:
    over = "" if data.get("n_blocks") else " over seeds alone"
    span = _span(data.get("low_bpb"), data.get("high_bpb"), over)
    n = data.get("n_batches")
    in_all = (f"all {n} claims {_signed(data.get('claimed_bpb'))}, "
              if isinstance(n, int) and n > 1 else "")
    return f"{in_all}silent test {_signed(data['silent_bpb'])}" + (f" ({span})" if span else "")


def _span(low: object, high: object, over: str) -> str:
    if low is None or high is None:
        return ""
    return f"95 %{over}: {_signed(low)} to {_signed(high)}"


def _signed(value: object) -> str:
    return f"{value:+.4f}" if isinstance(value, int | float) else words.UNKNOWN


def _ideas(found: Morning) -> str:
    tests = f"{len(found.claims)} test{'s' if len(found.claims) > 1 else ''}"
    by = f" by {tests}" if found.n_confirmed and found.claims else ""
    parts = [f"{found.n_tried} tried this night", f"{found.n_kept} kept",
             f"{found.n_confirmed} confirmed{by}"]
    if found.claims and not found.n_confirmed:
        parts.append("what is confirmed was kept in an earlier night")
    parts += [f"{found.n_pruned} given up at a quarter"] if found.n_pruned else []
    parts += [f"{words.runs(found.n_broken)} broke"] if found.n_broken else []
    return ", ".join(parts)


def _spent(found: Morning) -> str:
    return (f"{words.duration(found.lasted_s)}, {words.duration(found.trained_s)} of it in "
            f"{words.runs(found.n_runs)}; {words.counted(found.tokens)} tokens")


def best(status: Status, *, is_short: bool) -> str:
    """The winner, its configuration, and which yardsticks it has passed."""
    run = status.best
    assert run is not None
    said = {"kept": ", kept, not confirmed yet"}.get(
        status.best_verdict or "", f", {status.best_verdict}" if status.best_verdict else "")
    lines = [f"{run.label}{said}: {words.decimal(run.val_bpb, 3)} bits/byte, "
             f"{words.decimal(run.val_loss, 3)} nats/token"]
    name = status.best_corpus and words.one_line(status.best_corpus.name, MOST_NAME)
    corpus = f"; on {name}" if name else ""
    lines += [] if is_short else [f"{run.config_text}{corpus}"]
    if run.val_bpb is not None:
        lines.append(standing(run.val_bpb, status.best_yardsticks[1 if is_short else 0:]))
    star = "★ " if status.is_best_starred else ""
    if star or status.best_note:
        lines.append(words.cut(words.printable(star + " ".join((status.best_note or "").split())),
                               N_NOTE))
    return "\n".join(line for line in lines if line)


def standing(bpb: float, yardsticks: Sequence[Rung]) -> str:
    """Which yardsticks a score has passed, and which are still ahead, in bits a byte."""
    known = [(rung.name, rung.bpb) for rung in yardsticks if rung.bpb is not None]
    passed = [f"{name} {value:.3f}" for name, value in known if bpb < value]
    ahead = [f"{name} {value:.3f}" for name, value in known if bpb >= value]
    parts = [f"better than {', '.join(passed)}"] if passed else []
    parts += [f"not yet {', '.join(ahead)}"] if ahead else []
    return "; ".join(parts)


def _next(found: Morning, room: int) -> str:
    """Commands in a column where both fit on a line, else the reason under each."""
    longest = max(len(hint.command) for hint in found.next)
    is_column = all(longest + 2 + len(hint.why) <= room for hint in found.next)
    return "\n".join(f"{hint.command:<{longest}}  {hint.why}" if is_column
                     else f"{hint.command}\n  {hint.why}" for hint in found.next)
