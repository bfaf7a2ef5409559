"""A study of size and data as tables: a line a run, and a line a draw of the bootstrap."""

import csv
import io
from collections.abc import Iterable, Sequence

from agent.analysis.scaling.checked import Checked
from agent.analysis.scaling.forms import in_words
from agent.analysis.scaling.study import Study

DIGITS = 6  # significant: what a fit's end tells on every machine


def results_csv(checked: Sequence[Checked]) -> str:
    """What each run was, scored, and was foretold to score; losses in nats per token."""
    names = ("label", "family", "seed", "n_matrices", "n_with_head", "n_all", "tokens",
             "unique_tokens", "loss", "foretold", "error_percent", "is_of_law",
             "is_held_out")
    return _written(names, ((
        one.run.label, one.run.family, one.run.seed, one.run.n_matrices, one.run.n_with_head,
        one.run.n_all, one.run.tokens, one.run.unique, _short(one.run.loss),
        _short(one.foretold), f"{one.error_percent:.3f}", int(one.is_of_law),
        int(one.is_held_out))
        for one in checked))


def bootstrap_csv(study: Study) -> str:
    """The constants of the best law, the first line those of all cells, each other a draw's."""
    draws = study.best.draws
    rows = [in_words(draws.fit.form, theta) for theta in (draws.fit.theta, *draws.theta)]
    return _written(("draw", *rows[0]), ((i, *map(_short, row.values()))
                                         for i, row in enumerate(rows)))


def _short(value: float) -> str:
    return f"{value:.{DIGITS}g}"


def _written(names: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    file = io.StringIO(newline="")
    table = csv.writer(file, lineterminator="\n")
    table.writerow(names)
    table.writerows(rows)
    return file.getvalue()
