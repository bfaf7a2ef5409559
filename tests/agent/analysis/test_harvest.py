"""What the ledger knows of a run that is to be grown, and how a harvest is told."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.analysis import harvest
from agent.analysis.scaling import growth
from agent.ledger.cells import grid_cells
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.ledger.records import Metric, Prediction, Run
from engine.config import Config
from engine.errors import UserError
from strategies.base import Limits
from tests.support import example_grids
from tests.support.parts import NOW, TINY, a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def finished(ledger: Ledger, nats: float = 4.5, **how: object) -> Run:
    run = a_run(ledger, **how)  # type: ignore[arg-type]
    ledger.claim(NOW, run_id=run.id)
    ledger.ingest(run.id, [Metric(25, 800, val_loss=1.2 * nats), Metric(100, 3200)], 0, NOW)
    return ledger.finish(run.id, "finished", NOW, val_loss=nats, val_bpb=nats / 2, tokens=3200,
                         tok_per_s=1000.0)


def limits(token_s: float = 1e-3, **changes: object) -> Limits:
    """A device on which a token takes as long as the model is large."""
    def run_s(config: Config, tokens: int) -> float:
        return token_s * tokens * config.n_params / TINY.n_params

    return Limits(run_s=run_s, min_steps=20, **changes)  # type: ignore[arg-type]


def test_runs_that_chose_nothing_stand_for_a_configuration(ledger: Ledger) -> None:
    study = a_study(ledger)
    runs = [finished(ledger, 4.0 + seed, seed=seed, study=study,
                     strategy="baseline" if seed else "tpe") for seed in range(3)]
    source = harvest.source_of(ledger, runs[0], ledger.calibration(study))
    assert (source.ground.n_runs, source.ground.loss) == (2, 5.5)  # not the lucky one
    assert source.ground.way == ((0.25, pytest.approx(1.2 * 5.5)),)
    assert source.bits == 0.5
    assert source.laws.basis == "guess"
    assert source.why_guess is not None


def test_a_run_without_a_score_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UserError, match="T1 is queued and has no score"):
        harvest.source_of(ledger, a_run(ledger), None)


def test_more_time_carries_more_and_memory_bounds_it(ledger: Ledger) -> None:
    source = harvest.source_of(ledger, finished(ledger), None)
    short, long = (harvest.grow(source, limits(), seconds) for seconds in (10.0, 60.0))
    assert short.tokens * short.config.n_params < long.tokens * long.config.n_params
    assert long.expected.mean < short.expected.mean < 4.5
    small = harvest.grow(source, limits(max_params=TINY.n_params), 60.0)
    assert small.config == TINY


def test_a_wider_model_gets_its_rate_by_the_width_rule(ledger: Ledger) -> None:
    source = harvest.source_of(ledger, finished(ledger), None)
    wider = [one.config for one in harvest.shapes(source, limits(), 60.0)
             if one.config.n_embd > TINY.n_embd]
    assert wider
    for config in wider:
        assert config.lr == pytest.approx(TINY.lr * TINY.n_embd / config.n_embd, rel=0.06)


def test_a_guess_says_from_what_it_is_and_why_to_doubt_it(ledger: Ledger) -> None:
    study = a_study(ledger)
    for seed in range(2):
        run = finished(ledger, seed=seed, study=study, strategy="baseline")
    source = harvest.source_of(ledger, run, ledger.calibration(study))
    source = dataclasses.replace(source, n_others=4, ground=dataclasses.replace(
        source.ground, grams=(4.4, 4.0)))
    found = harvest.grow(source, limits(), 60.0)
    said = f"that score is a guess, from the loss at 1 point on the way of {run.label} and its " \
           "repeats, 2 runs and 4 runs beside it"
    sure, wide = (dataclasses.replace(found, expected=growth.Expected(*its))
                  for its in ((4.1, 4.0, 4.2), (1.0, 0.4, 2.0)))
    assert source.guess(sure) == said
    assert source.guess(wide) == (
        f"{said}; count on little of it: the upper end is 5 times the lower, and it is below the "
        f"trigram's 2.000, which {run.label} has not reached")
    assert dataclasses.replace(source, why_guess=None).guess(found) == ""


def test_too_little_time_says_so(ledger: Ledger) -> None:
    source = harvest.source_of(ledger, finished(ledger), None)
    with pytest.raises(UserError, match=r"took 3,200 tokens, .* give the harvest more time"):
        harvest.grow(source, limits(), 2.0)


def test_the_cells_of_grids_are_what_a_law_is_fitted_to(ledger: Ledger) -> None:
    run = finished(ledger, strategy="grid")
    finished(ledger, seed=1)
    found = harvest.observed(ledger, ledger.corpus(run.corpus_id or 0))
    assert [(one.label, one.tokens, one.n_all) for one in found] == [("G1", 3200, TINY.n_params)]


def test_checks_beside_a_law_are_no_points_of_a_harvest_either(tmp_path: Path) -> None:
    """Rates that were tried have losses of 9 and 1 there: a law through them would be none."""
    path = tmp_path / "grids.db"
    path.write_bytes(example_grids.filled())
    with Reader.open(path) as ledger:
        whole = next(one for one in ledger.corpora() if one.name == "tales")
        found = {one.label for one in harvest.observed(ledger, whole)}
        cells = grid_cells(ledger)
        assert found == {run.label for run in ledger.runs("finished") if run.corpus_id == whole.id
                         and cells[run.id].purpose is None}
        assert len(found) < sum(run.corpus_id == whole.id for run in ledger.runs("finished"))


def test_it_is_told_with_what_was_foretold() -> None:
    one = harvest.Harvested("H1", "E4", "finished", "why", 1_200_000, 9_400_000,
                            Prediction(1.21, 1.15, 1.28), 1.22, "as predicted")
    assert one.lines() == ["harvest H1: 1.2M parameters on 9.4M tokens,",
                           "foretold 1.210 (1.150 to 1.280), measured 1.220: as predicted"]
