"""What a night says of its runs: whole sentences, and the facts that a screen may show instead.

All of it is read off the ledger's rows and the decision, so that a page could say the same later.
"""

from collections.abc import Sequence

from agent import words
from agent.ledger import Calibration, Queries, Run
from agent.search import Silent, verdict
from agent.words import Row, Told
from engine.config import Config
from engine.errors import LedgerError, UserError
from strategies.base import describe_changes

FAULTS = ("killed", "failed", "lost")  # states whose reason is not of the configuration
BROKEN = ("diverged", *FAULTS)


def started(run: Run) -> Told:
    """A run begins; its configuration is told unless the reason tells what changed in it."""
    config = "" if run.parent_id is not None else f" {run.config_text}"
    return Told(f"{run.label}{config}, seed {run.seed}: {run.reason}", level="verbose")


def decided(ledger: Queries, run: Run, against: Run | None, found: verdict.Decision) -> Told:
    """A verdict; that on a batch stands apart, and what it meant for its steps stands in it."""
    score = "" if run.val_loss is None else (
        f" {run.val_loss:.3f} nats/token, {run.val_bpb:.3f} bits/byte")
    text = f"{run.label}:{score} → {found.verdict}: {found.reason}"
    if "with" in found.evidence:
        return Told(text, level="verbose")
    row = Row(run.label, run.val_bpb, found.verdict, _what(ledger, run, found),
              is_whole=run.state in FAULTS)
    if found.verdict != "confirmed" or "z" not in found.evidence:
        return Told(text, row=row)
    return Told(text, row=row, level="always", is_apart=True,
                below=_claim(ledger, run, against, found))


def waiting(run: Run, why: str) -> Told:
    """A run was put back; another attempt follows."""
    return Told(f"{run.label} waits: {why}",
                row=Row(run.label, None, "waiting", why, is_whole=True))


def noise(ledger: Queries, study: Calibration) -> str | None:
    """The baseline and its noise, once none of its seeds is still to come."""
    runs = ledger.baselines(study)
    if study.mean_bpb is None or any(run.state in ("queued", "running") for run in runs):
        return None
    if study.sigma_bpb is None or study.n is None:
        return f"baseline {study.mean_bpb:.3f} bits/byte on one seed, so its noise is not known"
    digits = 3 if study.sigma_bpb >= 0.0005 else 5
    return (f"baseline {study.mean_bpb:.{digits}f} ± {study.sigma_bpb:.{digits}f} bits/byte over "
            f"{study.n} seeds")


def over(reason: str, n_ended: int, standing: str, silent: Silent | None, *,
         is_search: bool, left: str = "") -> Told:
    """The end of a night, in three lines at most.

    left  which seeds of the starting point wait, in words
    """
    first = f"over: {words.first_clause(reason)}; {words.runs(n_ended)} ended"
    text = (f"{first}; {standing}" if standing else first) + left
    below = [first]
    if is_search:
        below += [f"confirmed {silent.claimed_bpb:+.4f} bits/byte, silent test "
                  f"{silent.silent_bpb:+.4f}" if silent
                  else left.removeprefix("; ") or "; ".join(
                      filter(None, ("nothing is confirmed yet", standing))),
                  _what_now(reason)]
    return Told(text, level="always", below=below)


def _what_now(reason: str) -> str:
    """What helps where the search itself came to its end; else where to look."""
    remedy = reason.partition("; ")[2]
    return (remedy if remedy.startswith("go on with ")
            else "`agent status` shows what it found and what to do")


def gained(found: Silent) -> str:
    """What is confirmed of a study, and what it gained on the text that decides nothing."""
    return (f"confirmed so far: {found.claimed_bpb:+.4f} bits/byte over fresh seeds, "
            f"{found.silent_bpb:+.4f} on text that decides nothing{found.span()}")


# --- parts -----------------------------------------------------------------------------------


def _what(ledger: Queries, run: Run, found: verdict.Decision) -> str:
    """What was changed in a run, or else what is particular about it."""
    if found.verdict in ("refuted", "undecided", "ablated", "confirmed"):
        return found.reason
    if run.state in BROKEN and run.error:
        return run.error
    if run.strategy == "improve":
        return run.reason or run.config_text
    if run.strategy == "baseline":
        return f"seed {run.seed}"
    parent = _parent(ledger, run)
    if parent is None:
        return run.config_text
    if run.strategy == "confirm":
        return f"{parent.label} on fresh seed {run.seed}"
    if run.strategy == "ablate":
        return f"without the step {parent.label}, seed {run.seed}"
    return changes(parent, run) or f"{parent.label} on seed {run.seed}"


def changes(before: Run, after: Run) -> str:
    """'batch 16 → 4, learning rate 3e-3 → 1.5e-3'; nothing of what another version wrote."""
    try:
        return describe_changes(Config.from_dict(before.config), Config.from_dict(after.config))
    except UserError:
        return ""


def _parent(ledger: Queries, run: Run) -> Run | None:
    """None where there is none, or a person has deleted its row: what is said needs it least."""
    try:
        return None if run.parent_id is None else ledger.run(run.parent_id)
    except LedgerError:
        return None


def _claim(ledger: Queries, run: Run, against: Run | None,
           found: verdict.Decision) -> Sequence[str]:
    """What is claimed, on what it rests, and what was changed for it."""
    facts = found.evidence
    than = f" than {against.label}" if against else ""
    span = verdict.span(facts["low_bpb"], facts["high_bpb"], facts["n_blocks"])
    lines = [f"{facts['gain_bpb']:.4f} bits/byte better{than} ({span})",
             f"checked on {facts['n']} fresh seeds, on text that selected nothing: z "
             f"{facts['z']:.1f}, least {facts['least_z']:.1f}"]
    steps = [one.label for one in reversed(ledger.decisions(limit=4 * verdict.N_BATCH))
             if one.evidence.get("with") == run.label and one.verdict == "confirmed"]
    if steps:
        lines.append(f"steps: {', '.join([*dict.fromkeys(steps), run.label])}")
    lines += filter(None, [changes(against, run)] if against else [])
    return lines
