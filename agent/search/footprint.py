"""What a run's processes hold that its configuration does not tell: measured here, not guessed.

`Config.predicted_mb` knows the arrays of a model, and a constant for an interpreter with numpy.
What that really is differs by device, versions and what a run scores and writes, so that it is
corrected by the runs that ended here; before the first, by the worker that measured the speed.
"""

import statistics
from collections.abc import Collection, Mapping

from agent.ledger import Corpus, Ledger, Queries, Run
from agent.machine import machine
from engine.config import Config
from engine.errors import UserError

N_RUNS = 8  # the newest of this device
STARTS = 8  # bytes a story; engine/training/data.py
ORDERS = 72  # likewise: two passes of 16 each, and what making one takes, as measured there
MEASURED = "footprint"  # kind of the event that notes what the measuring worker held


def beside_mb(ledger: Queries, corpus: Corpus, without: Collection[int] = ()) -> float:
    """MB of a run on a text beside what `Config.predicted_mb` tells of it.

    without  ids of runs that count for nothing yet: several at once may end in any order
    """
    return text_mb(corpus) + own_mb(ledger, without)


def text_mb(corpus: Corpus) -> float:
    """What the token files add to a worker's memory: their pages are resident once read."""
    return tokens_mb((corpus.n_tokens_train or 0) + (corpus.n_tokens_search or 0))


def tokens_mb(n_tokens: int) -> float:
    """Token files of so many tokens, two bytes each."""
    return 2e-6 * n_tokens


def stories_mb(config: Config, n_stories: int | None, n_replicas: int) -> float:
    """What it takes to shuffle the stories of a text, where that is asked for."""
    return shuffle_mb(n_stories, n_replicas) if config.shuffle_stories else 0.0


def shuffle_mb(n_stories: int | None, n_replicas: int) -> float:
    """The same of so many stories: where they start, once, and every replica's orders of them."""
    return 1e-6 * (STARTS + ORDERS * n_replicas) * (n_stories or 0)


def note(ledger: Ledger, more_mb: float | None, now: str) -> None:
    """Keep what the measuring worker held beyond what was foreseen; None where it cannot tell."""
    if more_mb is not None:
        ledger.event(MEASURED, f"a worker here takes {more_mb:+,.0f} MB beside what was foreseen",
                     now, data={"more_mb": more_mb, "device": machine.device()})


def own_mb(ledger: Queries, without: Collection[int] = ()) -> float:
    """What a run takes here beside its arrays and text: the median of the newest ones, and never
    below 0, since the constant was measured, too.
    """
    corpora = {corpus.id: corpus for corpus in ledger.corpora()}
    more = [mb for run in ledger.timed_runs(machine.device(), machine.cores(), N_RUNS)
            if run.id not in without and (mb := _more_mb(run, corpora)) is not None]
    if not more:
        more = [data["more_mb"] for event in ledger.events_of(MEASURED)[:1]
                if (data := event.data or {}).get("device") == machine.device()]
    return max(0.0, statistics.median(more)) if more else 0.0


def _more_mb(run: Run, corpora: Mapping[int, Corpus]) -> float | None:
    """What a run held beyond what was foreseen of its configuration and text."""
    corpus = corpora.get(run.corpus_id or 0)
    if run.peak_mb is None or corpus is None:
        return None
    try:
        config = Config.from_dict(run.config)
    except UserError:  # of another version
        return None
    n = run.replicas or 1
    return run.peak_mb - config.predicted_mb(n) - text_mb(corpus) - stories_mb(
        config, corpus.n_stories_train, n)
