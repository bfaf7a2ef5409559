"""Every write, every question, the schema: one SQLite file that people query by hand.

In come new runs, what became of them, decisions and events; out come records, frozen rows with the
columns as fields. `Reader` opens a ledger to look, `Ledger` to write, and migrations bring an
older file up to date. It uses `words` alone; sqlite-utils lives here.
"""

from typing import TYPE_CHECKING

from engine.lazy import doors

if TYPE_CHECKING:
    from agent.ledger.find import STATES as STATES
    from agent.ledger.find import WORDS as WORDS
    from agent.ledger.find import best_run as best_run
    from agent.ledger.find import corpus_of as corpus_of
    from agent.ledger.find import find_run as find_run
    from agent.ledger.find import last_state as last_state
    from agent.ledger.ledger import Ledger as Ledger
    from agent.ledger.queries import BLOCKED as BLOCKED
    from agent.ledger.queries import Queries as Queries
    from agent.ledger.reader import Reader as Reader
    from agent.ledger.reader import faults as faults
    from agent.ledger.records import ENDED as ENDED
    from agent.ledger.records import EXPERIMENT_COLUMNS as EXPERIMENT_COLUMNS
    from agent.ledger.records import GENERATED as GENERATED
    from agent.ledger.records import LABEL_LETTERS as LABEL_LETTERS
    from agent.ledger.records import Blocks as Blocks
    from agent.ledger.records import Calibration as Calibration
    from agent.ledger.records import Corpus as Corpus
    from agent.ledger.records import Decision as Decision
    from agent.ledger.records import Earned as Earned
    from agent.ledger.records import Ending as Ending
    from agent.ledger.records import Event as Event
    from agent.ledger.records import Metric as Metric
    from agent.ledger.records import NewCalibration as NewCalibration
    from agent.ledger.records import NewCorpus as NewCorpus
    from agent.ledger.records import NewRun as NewRun
    from agent.ledger.records import Outcome as Outcome
    from agent.ledger.records import Run as Run
    from agent.ledger.records import State as State
    from agent.ledger.records import Verdict as Verdict
    from agent.ledger.studies import Waiting as Waiting
    from agent.ledger.studies import by_use as by_use
    from agent.ledger.studies import current_study as current_study
    from agent.ledger.studies import last_used as last_used
    from agent.ledger.studies import night_of as night_of
    from agent.ledger.studies import require_current as require_current
    from agent.ledger.studies import study_of as study_of
    from agent.ledger.studies import waiting_elsewhere as waiting_elsewhere

__all__, __getattr__ = doors(__name__, {
    "find": ("STATES", "WORDS", "best_run", "corpus_of", "find_run", "last_state"),
    "ledger": ("Ledger",),
    "queries": ("BLOCKED", "Queries"),
    "reader": ("Reader", "faults"),
    "records": ("Blocks", "Calibration", "Corpus", "Decision", "ENDED", "EXPERIMENT_COLUMNS",
                "Earned", "Ending", "Event", "GENERATED", "LABEL_LETTERS", "Metric",
                "NewCalibration", "NewCorpus", "NewRun", "Outcome", "Run", "State", "Verdict"),
    "studies": ("Waiting", "by_use", "current_study", "last_used", "night_of",
                "require_current", "study_of", "waiting_elsewhere"),
})
