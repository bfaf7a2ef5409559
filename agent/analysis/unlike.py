"""Two runs that are not of one study: which baseline belongs to the other, and what compares.

Scores in bits per byte compare on one text, whatever the vocabulary. Under two budgets they do,
too, as scores; what made the difference, settings or tokens, they do not tell. On two texts
nothing compares, and the sentence says which texts, and what would.
"""

from collections.abc import Callable, Iterator

from agent import words
from agent.ledger import Calibration, Corpus, Queries, Run, corpus_of, housemates, is_pair
from engine.errors import UserError

BASELINE = "baseline"  # the word for a study's starting point


def pair(ledger: Queries, first_key: str, second_key: str,
         find: Callable[[str], Run]) -> tuple[Run, Run]:
    """Both runs; where one is asked for as `baseline`, that of the other's own study.

    UserError where both are one run, or the other is a seed of the baseline itself.
    """
    is_word = [key.lower() == BASELINE for key in (first_key, second_key)]
    if is_word == [True, False]:
        second = find(second_key)
        first = baseline_for(ledger, second) or find(first_key)
    elif is_word == [False, True]:
        first = find(first_key)
        second = baseline_for(ledger, first) or find(second_key)
    else:
        first, second = find(first_key), find(second_key)
    if first.id == second.id:
        said = f"{first_key} and {second_key} are both {first.label}"
        if "best" in (first_key.lower(), second_key.lower()) and any(is_word):
            n = len(_seeds_of(ledger, first))
            said += (": no idea has beaten the baseline yet"
                     + (f", and of its {n} seeds this one scored best" if n > 1 else ""))
        raise UserError(f"{said}; name two runs")
    return first, second


def why_this(ledger: Queries, first_key: str, second_key: str, first: Run, second: Run) -> str:
    """Which seed stands for the word `baseline`, and why; nothing where there is no choice."""
    is_word = [key.lower() == BASELINE for key in (first_key, second_key)]
    if is_word not in ([True, False], [False, True]):
        return ""
    own, other = (first, second) if is_word[0] else (second, first)
    n = len(_seeds_of(ledger, own))
    if n < 2:
        return ""
    why = (f"the one on seed {own.seed}, as {other.label}" if own.seed == other.seed
           else f"the first, as none is on seed {other.seed} of {other.label}")
    return f"{own.label} is of the baseline's {n} seeds {why}"


def _seeds_of(ledger: Queries, run: Run) -> set[int | None]:
    """Seeds of finished runs of a run's configuration, on its text and budget."""
    corpus = corpus_of(ledger, run)
    return set() if corpus is None or run.budget_tokens is None else {
        one.seed for one in ledger.runs_on(corpus.text_sha256, run.budget_tokens)
        if one.config_hash == run.config_hash and one.state == "finished"
        and is_pair(one, run.kernels)}


def baseline_for(ledger: Queries, run: Run) -> Run | None:
    """The baseline a run is measured by: of its study, on its seed where that has finished.

    For a run of no study it is that of one on its text, or else of the newest one.
    """
    found = [ledger.baselines(study) for study in _nearest_studies(ledger, run)]
    finished = [[one for one in runs if one.state == "finished"] for runs in found]
    runs = next(filter(None, finished), None) or next(filter(None, found), None)
    if runs is None:
        return None
    return next((one for one in runs if one.seed == run.seed), runs[0])


def _nearest_studies(ledger: Queries, run: Run) -> Iterator[Calibration]:
    """Studies, the one nearest to a run first."""
    corpus, studies = corpus_of(ledger, run), ledger.studies()
    text = corpus and corpus.text_sha256
    yield from sorted(studies, key=lambda one: (
        one.id != run.calibration_id, one.text_sha256 != text,
        one.budget_tokens != run.budget_tokens, -one.id))


def require_one_text(ledger: Queries, first: Run, second: Run) -> None:
    """UserError where scores of two runs do not compare, with what each says by itself."""
    a, b = (_corpus(ledger, run) for run in (first, second))
    if a.text_sha256 == b.text_sha256:
        return
    names = [_name(corpus, other) for corpus, other in ((a, b), (b, a))]
    said = (f"{first.label} was scored on {names[0]}, {second.label} on {names[1]}: scores on two "
            "texts do not compare")
    if first.vs_unigram is not None and second.vs_unigram is not None:
        said += (f", each only with its own unigram ({words.percent(first.vs_unigram)} and "
                 f"{words.percent(second.vs_unigram)})")
    raise UserError(f"{said}; {_remedy(ledger, first, second, names[1])}")


def _corpus(ledger: Queries, run: Run) -> Corpus:
    found = corpus_of(ledger, run)
    if found is None and run.source == "measured":
        raise UserError(f"the text of {run.label}, row {run.corpus_id} of corpora, was deleted "
                        "from the ledger, so nothing compares with it")
    if found is None:
        raise UserError(f"{run.label} is a published row; its text and seed are unknown, so "
                        "nothing measured here compares with it")
    return found


def _name(corpus: Corpus, other: Corpus) -> str:
    """The text's name, told apart by its hash where another has the same."""
    return (corpus.name if corpus.name != other.name
            else f"{corpus.name} ({corpus.text_sha256[:8]})")


def _remedy(ledger: Queries, first: Run, second: Run, name: str) -> str:
    """A pair on the second's text, or else how to come to one."""
    own = baseline_for(ledger, second)
    corpus = corpus_of(ledger, own)
    if own is None or corpus is None or corpus.text_sha256 != _corpus(ledger, second).text_sha256:
        return f"no study is on {name}, so no baseline is there to hold {second.label} against"
    if own.id == second.id:
        return f"name two runs on {name}"
    return f"`agent compare {own.label} {second.label}` stays on {name}"


def told_at_quarter(first: Run, second: Run) -> str:
    """What two runs still tell where one of them never came to a final score."""
    if first.rung_bpb is None or second.rung_bpb is None:
        return ""
    return (f"; at a quarter of the budget {first.label} had {first.rung_bpb:.4f} bits/byte, "
            f"{second.label} {second.rung_bpb:.4f}")


def told_devices(ledger: Queries, first: Run, second: Run) -> str:
    """What two devices make of the same seed; nothing where one device, or one home, ran both."""
    if second.id in housemates(ledger, first.id) or None in (first.device, second.device) or (
            first.device == second.device):
        return ""
    return (f"; {first.label} ran on {words.one_line(first.device)}, {second.label} on "
            f"{words.one_line(second.device)}: a seed of one is no pair with that of the other")


def told_budgets(first: Run, second: Run) -> str:
    """What a difference between two budgets does not tell; nothing where they are one."""
    if first.budget_tokens == second.budget_tokens:
        return ""
    return (f", but {first.label} had {first.budget_tokens or 0:,} training tokens and "
            f"{second.label} {second.budget_tokens or 0:,}: scores of two budgets do not tell what "
            "the settings did")
