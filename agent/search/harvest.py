"""What of a search a harvest waits for and grows, and the verdict on what came of it."""

import math

from agent.ledger import Calibration, Ledger, Prediction, Run
from agent.search import verdict
from agent.search.searcher import Searcher
from agent.trial import HARVEST as HARVEST

RULE = "harvest 1"


def judged(run: Run, its: Prediction | None) -> verdict.Decision:
    """Whether a score lies in the interval that was written down before the run began."""
    if run.state != "finished" or run.val_bpb is None:
        return verdict.Decision(verdict.of_state(run.state), {"error": run.error},
                                run.error or f"the run is {run.state}")
    if its is None:
        return verdict.Decision("recorded", {"bpb": run.val_bpb},
                                "a harvest of which nothing was foretold")
    is_inside = its.low_bpb <= run.val_bpb <= its.high_bpb
    error = 100 * (run.val_bpb / its.mean_bpb - 1)
    where = "inside" if is_inside else "below" if run.val_bpb < its.low_bpb else "above"
    return verdict.Decision(
        "as predicted" if is_inside else "not as predicted",
        {"bpb": run.val_bpb, "error_percent": error if math.isfinite(error) else None,
         "foretold_bpb": its.mean_bpb, "from_bpb": its.low_bpb, "to_bpb": its.high_bpb},
        f"foretold {its.mean_bpb:.3f} bits/byte, 95 % from {its.low_bpb:.3f} to "
        f"{its.high_bpb:.3f}; measured {run.val_bpb:.3f}, {where}, {error:+.1f} %")


def is_pending(ledger: Ledger, searcher: Searcher) -> bool:
    """Whether a test on fresh seeds is under way, so that what is confirmed may still change."""
    return searcher.search.batch is not None or any(
        run.strategy == "confirm" and run.calibration_id == searcher.study.id
        for state in ("queued", "running") for run in ledger.runs(state))


def to_grow(ledger: Ledger, searcher: Searcher) -> Run | None:
    """The confirmed configuration; the head where nothing is confirmed, else the baseline. By the
    run it came in by; None where nothing has finished."""
    search = searcher.search
    node = search.confirmed if search.claims else search.head
    if node is None:
        return None
    first = ledger.run(search.first_run(node.key))
    return first if first.state == "finished" else ledger.run(node.run_id)


def of_study(ledger: Ledger, found: Calibration) -> Run | None:
    """The same of a study that no night works on."""
    return to_grow(ledger, Searcher(ledger, found))
