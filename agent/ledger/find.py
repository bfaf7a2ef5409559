"""What a person or a daemon means by a few words: a run, its text, what a night was up to."""

from collections.abc import Sequence

from agent.ledger.queries import Queries
from agent.ledger.records import Corpus, Event, Run
from engine.errors import LedgerError

# The newest event of one of these kinds tells what the daemon was last up to.
STATES = {"night": "on", "resume": "on", "pause": "paused", "stop": "stopping",
          "night_over": "over"}


def find_run(ledger: Queries, key: str) -> Run:
    """The run that a person means: a label, an id, the beginning of a uid, or one of three words.

    best has the fewest bits per byte, head is what the newest study's next idea would change, and
    baseline is the first of the newest study on the text and with the budget of the best.
    """
    if key.lower() == "baseline":
        return _first_baseline(ledger)
    if key.lower() == "head":
        return _head(ledger)
    if key.lower() != "best":
        return ledger.run(key)
    found = ledger.best()
    if found is None:
        raise LedgerError("no run of this ledger's own has finished yet, so none is best; "
                          "`agent run --for 4m` makes some")
    return found


def _head(ledger: Queries) -> Run:
    found = next((ledger.incumbent(study.id) for study in ledger.studies()), None)
    if found is None:
        raise LedgerError("the newest study has no finished baseline yet, so it has no head; "
                          "`agent run --for 4m` makes some")
    return found


def _first_baseline(ledger: Queries) -> Run:
    best = ledger.best()
    corpus = corpus_of(ledger, best)
    studies = ledger.calibrations(corpus.text_sha256) if corpus else ledger.studies()
    studies.sort(key=lambda study: best is None or study.budget_tokens != best.budget_tokens)
    found = [run for study in studies[:1] for run in ledger.baselines(study)]
    if not found:
        raise LedgerError("no study of this ledger has a baseline yet; `agent run --for 4m` makes "
                          "one")
    return found[0]


def corpus_of(ledger: Queries, run: Run | None) -> Corpus | None:
    """The text of a run; None of a published row, or where somebody deleted it."""
    if run is None or run.corpus_id is None:
        return None
    return next((one for one in ledger.corpora() if one.id == run.corpus_id), None)


def parent_of(ledger: Queries, run: Run) -> Run | None:
    """The run that one departs from; None where there is none, or none any more."""
    if run.parent_id is None:
        return None
    try:
        return ledger.run(run.parent_id)
    except LedgerError:  # deleted by hand
        return None


def last_state(events: Sequence[Event]) -> Event | None:
    """What the daemon was last up to, of events that come newest first."""
    return next((event for event in events if event.kind in STATES), None)
