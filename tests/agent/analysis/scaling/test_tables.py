"""The study as tables that other programs read."""

import csv
import io

from agent.analysis.scaling.checked import against_law
from agent.analysis.scaling.study import Study
from agent.analysis.scaling.tables import bootstrap_csv, results_csv


def test_a_line_a_run_with_what_was_foretold(found: Study) -> None:
    rows = list(csv.DictReader(io.StringIO(results_csv(against_law(found)))))
    assert [row["label"] for row in rows] == [run.label for run in found.runs]
    assert float(rows[0]["loss"]) == float(f"{found.runs[0].loss:.6g}")
    assert {row["is_held_out"] for row in rows} == {"0", "1"}


def test_a_line_a_draw_behind_that_of_all_cells(found: Study) -> None:
    rows = list(csv.DictReader(io.StringIO(bootstrap_csv(found))))
    assert len(rows) == 41
    assert float(rows[0]["alpha"]) == float(f"{found.best.params['alpha']:.6g}")
