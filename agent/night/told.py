"""What a night says of its runs: whole sentences, and the facts that a screen may show instead.

All of it is read off the ledger's rows and the decision, so that a page could say the same later.
"""

from collections.abc import Sequence

from agent import words
from agent.ledger import Calibration, Queries, Run
from agent.search import Silent, Standing, in_short, verdict
from agent.words import Row, Told
from engine.config import Config
from engine.errors import LedgerError, UserError
from strategies.base import describe_changes

FAULTS = ("killed", "failed", "lost")  # states whose reason is not of the configuration
BROKEN = ("diverged", *FAULTS)
LATER = ("refuted", "undecided", "ablated", "confirmed")  # words on a run that had its first
TOO_SHORT = 2.0  # baseline runs' time: where nothing fits in less, it is time that lacks
SMALLEST_BPB = 5e-5  # that is told: four digits are


def started(run: Run) -> Told:
    """A run begins; its configuration is told unless the reason tells what changed in it."""
    config = "" if run.parent_id is not None else f" {run.config_text}"
    return Told(f"{run.label}{config}, seed {run.seed}: {run.reason}", level="verbose")


def asked_for(run: Run, config: Config) -> str:
    """What a run by hand is going to be."""
    budget = run.budget_tokens or 0
    return (f"{run.label}: {words.count(config.steps_for(budget))} steps of "
            f"{words.count(config.tokens_per_step)} tokens, {words.count(budget)} in all")


def decided(ledger: Queries, run: Run, against: Run | None, found: verdict.Decision) -> Told:
    """A verdict; that on a batch stands apart, and what it meant for its steps stands in it."""
    score = "" if run.val_loss is None else (
        f" {run.val_loss:.3f} nats/token, {run.val_bpb:.3f} bits/byte")
    text = f"{run.label}:{score} → {found.verdict}: {found.reason}"
    if "with" in found.evidence:
        return Told(text, level="verbose")
    row = Row(run.label, run.val_bpb, found.verdict, _what(ledger, run, found),
              is_whole=run.state in FAULTS or found.verdict in LATER)
    if found.verdict != "confirmed" or "z" not in found.evidence:
        return Told(text, row=row, below=_seeming(ledger, run, found))
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


def over(reason: str, n_ended: int, end: Standing | None, silent: Silent | None,
         harvest: Sequence[str] = ()) -> Told:
    """The end of a night, in three lines and those on its harvest; without a search, in one."""
    first = f"over: {words.first_clause(reason)}; {words.runs(n_ended)} ended this night"
    last = [" ".join(harvest)] if harvest else []
    if end is None:
        return Told("; ".join([first, *last]), level="always", below=[first, *harvest])
    text = "; ".join([(f"{first}; {end.search}" if end.search else first) + end.left, *last])
    second = (_confirmed(end, silent) if silent else end.left.removeprefix("; ") or "; ".join(
        filter(None, ("nothing is confirmed yet", "" if end.untested else end.search))))
    return Told(text, level="always", below=[first, second, *harvest, _what_now(reason, end)])


def why_none(refusal: str, left_s: float | None, run_s: float | None) -> str:
    """Why nothing more is proposed: nothing fits in the last moments of a night, say."""
    is_late = left_s is not None and run_s is not None and left_s < TOO_SHORT * run_s
    return f"the night's time is over; {refusal}" if is_late else refusal


def _confirmed(end: Standing, silent: Silent) -> str:
    """What is confirmed, in bits a byte, told apart by the nights it is of."""
    new_bpb, test = silent.claimed_bpb - end.before_bpb, f"silent test {silent.silent_bpb:+.4f}"
    if not end.before_bpb:
        return f"confirmed this night {new_bpb:+.4f}, {test}"
    if abs(new_bpb) < SMALLEST_BPB:
        return f"nothing new confirmed; before {silent.claimed_bpb:+.4f}, {test}"
    return f"confirmed this night {new_bpb:+.4f}, in all {silent.claimed_bpb:+.4f}, {test}"


def _what_now(reason: str, end: Standing) -> str:
    """What helps where the search itself came to its end, or what it left; else where to look."""
    remedy = reason.partition("; ")[2]
    return (remedy if remedy.startswith(("go on with ", "`agent run --set")) else end.untested
            or "`agent status` shows what it found and what to do")


def gained(found: Silent) -> str:
    """What is confirmed of a study, and what it gained on the text that decides nothing."""
    return (f"confirmed so far: {found.claimed_bpb:+.4f} bits/byte over fresh seeds, "
            f"{found.silent_bpb:+.4f} on text that decides nothing{found.span()}")


# --- parts -----------------------------------------------------------------------------------


def _what(ledger: Queries, run: Run, found: verdict.Decision) -> str:
    """What was changed in a run, or else what is particular about it."""
    if found.verdict in LATER:
        return in_short(found.verdict, found.evidence, found.reason)
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
        return f"without {parent.label}, seed {run.seed}"
    return changes(parent, run) or f"{parent.label} on seed {run.seed}"


def _seeming(ledger: Queries, run: Run, found: verdict.Decision) -> Sequence[str]:
    """What a run was compared with, where the scores that were shown seem to say otherwise."""
    if found.verdict not in ("kept", "discarded") or run.calibration_id is None:
        return ()
    known = [_parent(ledger, run), ledger.incumbent(run.calibration_id)]
    shown = [one.val_bpb for one in known if one and one.id != run.id and one.val_bpb is not None]
    is_kept = found.verdict == "kept"
    if run.val_bpb is None or all((run.val_bpb < one) == is_kept for one in shown):
        return ()
    return (in_short(found.verdict, found.evidence, found.reason),)


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
    arm_of = _parent(ledger, against) if against and against.strategy == "confirm" else None
    than = f" than {(arm_of or against).label}" if against else ""
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
