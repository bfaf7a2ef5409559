"""What a person or a daemon means by a few words: a run, its text, what a night was up to."""

import difflib
from collections.abc import Sequence

from agent.ledger.ended import newest_harvest
from agent.ledger.queries import Queries
from agent.ledger.records import Corpus, Event, Run
from agent.ledger.studies import alike, by_use, current_study, study_of
from engine.errors import LedgerError, UserError

# The newest event of one of these kinds tells what the daemon was last up to.
STATES = {"night": "on", "resume": "on", "pause": "paused", "stop": "stopping",
          "night_over": "over"}
WORDS = ("best", "head", "baseline", "harvest", "last")  # that name a run of a study
MEANT = {**dict.fromkeys(("winner", "top", "champion", "optimum"), "best"),
         **dict.fromkeys(("incumbent", "current", "parent"), "head"),
         **dict.fromkeys(("base", "start", "default", "control", "reference"), "baseline"),
         **dict.fromkeys(("newest", "latest", "recent", "previous"), "last")}
NEAR = 0.75  # of two words' letters have to be the same for one to be a slip of the other


def find_run(ledger: Queries, key: str, study: int | None = None, *,
             of_all: bool = False) -> Run:
    """The run that a person means: a label, an id, the beginning of a uid, or one of five words.

    best has the fewest bits per byte of its study, head is what that study's next idea would
    change, baseline is its first, harvest the last that was grown of one of its runs, and last the
    one that ended last (these two of all studies, where none is named). Their study is that of the
    number; else the one last worked on, for best and baseline the last one that has a finished
    run. Of all of the ledger, whatever text and budget, is the best alone.
    """
    if of_all:
        _require_best_alone(key, study)
    word = key.lower()
    if word not in WORDS:
        return _of_study(ledger, _named(ledger, key), study)
    if word == "head":
        return _head(ledger, study)
    if word == "harvest":
        return _harvest(ledger, study)
    if word == "last":
        return _last(ledger, study)
    return _best(ledger, study, of_all) if word == "best" else _first_baseline(ledger, study)


def _require_best_alone(key: str, study: int | None) -> None:
    if key.lower() != "best":
        raise UserError(f"--any goes with best, the best run of the whole ledger; {key} is one "
                        "run, so leave out --any")
    if study is not None:
        raise UserError(f"--any asks for the best of the whole ledger and --study {study} for "
                        "that of one study; give one of the two")


def _named(ledger: Queries, key: str) -> Run:
    """The run of a label, id or uid; LedgerError names the word that was meant, if one was."""
    try:
        return ledger.run(key)
    except LedgerError:
        near = difflib.get_close_matches(key.lower(), [*MEANT, *WORDS], n=1, cutoff=NEAR)
        if not near:
            raise
        raise LedgerError(f"there is no run '{key}'; did you mean "
                          f"{MEANT.get(near[0], near[0])}?") from None


def _of_study(ledger: Queries, run: Run, number: int | None) -> Run:
    """The run; UserError where it is not of the study that was named with it."""
    if number is None or run.calibration_id == study_of(ledger, number).id:
        return run
    place = "no study" if run.calibration_id is None else f"study {run.calibration_id}"
    raise UserError(f"{run.label} is of {place}, not of study {number}; leave out --study")


def _best(ledger: Queries, number: int | None, of_all: bool) -> Run:
    if number is not None:
        study = study_of(ledger, number)
        found = ledger.best([study])
        if found is None:
            raise LedgerError(f"study {study.id} has no finished run yet, so none is best; "
                              f"{what_now(ledger, study.id)}")
        return found
    found = ledger.best(of_all=True) if of_all else best_run(ledger)
    if found is None:
        raise LedgerError("no run of this ledger's own has finished yet, so none is best; "
                          f"{what_now(ledger)}")
    return found


def best_run(ledger: Queries) -> Run | None:
    """The best run of the study last worked on that has one, or of one begun with other seeds.

    Where no study has, the best on the text of the newest run: one by hand.
    """
    current = current_study(ledger)
    if current and (run := ledger.best(alike(ledger, current))):
        return run  # which a look at the status waits for
    found = (ledger.best(alike(ledger, study)) for study in by_use(ledger))
    return next((run for run in found if run is not None), None) or ledger.best()


def _head(ledger: Queries, number: int | None) -> Run:
    study = current_study(ledger) if number is None else study_of(ledger, number)
    found = ledger.incumbent(study.id) if study else None
    if found is None:
        which = f"study {study.id}" if study else "the newest study"
        raise LedgerError(f"{which} has no finished baseline yet, so it has no head; "
                          f"{what_now(ledger, study.id if study else None)}")
    return found


def _harvest(ledger: Queries, number: int | None) -> Run:
    study = None if number is None else study_of(ledger, number).id
    label = newest_harvest(ledger, study)
    if label is None:
        which = "this ledger has" if study is None else f"study {study} has"
        raise LedgerError(f"{which} no harvest yet; `agent harvest --for 10m` makes one")
    return ledger.run(label)


def _last(ledger: Queries, number: int | None) -> Run:
    study = None if number is None else study_of(ledger, number).id
    found = ledger.rows(
        "SELECT id FROM runs WHERE ended_at IS NOT NULL AND source = 'measured' "
        "AND (?1 IS NULL OR calibration_id = ?1) ORDER BY ended_at DESC, id DESC LIMIT 1", study)
    if not found:
        raise LedgerError(f"no run has ended yet, so none is the last; {what_now(ledger, study)}")
    return ledger.run(int(found[0]["id"]))


def what_now(ledger: Queries, study: int | None = None) -> str:
    """What a person does who waits for a first run to end."""
    running, queued = ledger.runs("running"), ledger.runs("queued")
    if running:
        return f"{running[0].label} is under way, and `agent status` tells how far it is"
    command = "agent run" if study is None else f"agent run --study {study}"
    if queued:
        return f"`{command}` computes {queued[0].label}, which waits"
    return f"`{command}{' --for 4m' if study is None else ''}` makes some"


def _first_baseline(ledger: Queries, number: int | None) -> Run:
    """The first baseline of a study, or of the one whose best is best."""
    studies = by_use(ledger) if number is None else [study_of(ledger, number)]
    studies.sort(key=lambda study: ledger.best([study]) is None)
    found = [run for study in studies for run in ledger.baselines(study)[:1]]
    if not found:
        which = "no study of this ledger has" if number is None else f"study {number} does not have"
        raise LedgerError(f"{which} a baseline yet; `agent run --for 4m` makes one")
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
