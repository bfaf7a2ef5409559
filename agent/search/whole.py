"""Whether a study can still be taken up: what it builds on may have been deleted by hand.

A search that went on without a run it has kept would believe another chain, in silence.
"""

from agent.ledger import Calibration, Decision, Queries, gaps, gaps_in_words
from engine.errors import LedgerError

REMEDY = ("put the rows back from a copy of the file, or begin another study with another "
          "--run-tokens or --home")


def require_whole(ledger: Queries, study: Calibration) -> None:
    """LedgerError that names what is gone although decisions of this study build on it."""
    found = [gap for gap in gaps(ledger) if gap.is_built_on and gap.study == study.id]
    if found:
        raise LedgerError(f"{ledger.path} has lost what study {study.id} builds on: "
                          f"{gaps_in_words(found)}; {REMEDY}")


def unsound(ledger: Queries, study: Calibration, at: Decision) -> LedgerError:
    """What to raise where a decision makes no sense after those before it."""
    gone = gaps_in_words(gaps(ledger)) or "decisions or runs before it"
    return LedgerError(f"{ledger.path} has lost what decision {at.id} ({at.verdict} {at.label}) of "
                       f"study {study.id} builds on: {gone}; {REMEDY}")


def other_gaps(ledger: Queries) -> str:
    """One sentence on rows that are gone and that a night can do without; empty where none are."""
    found = gaps_in_words(gaps(ledger))
    return f"{ledger.path.name} lacks {found}; `agent doctor` says more" if found else ""
