"""The model fitted to the table of real runs: its mathematics, its answers, and how good it is."""

import hashlib
import itertools
from dataclasses import replace

import numpy as np
import pytest

from agent.simulate.surface import TABLES
from agent.simulate.tunnel import OUTPUTS, SEARCH, Array, Tunnel
from agent.simulate.tunnel_features import features
from engine.config import EARLIER, Config
from engine.training.train import Texts
from strategies.base import Limits
from tests.bench.table import ask, fit, kriging, packed, space
from tests.bench.table.fit import report_of
from tests.bench.table.kriging import Kernel
from tests.bench.table.make import Bench
from tests.bench.table.packed import Table
from tests.bench.table.plan import STARTS
from tests.bench.table.rows import Row, centres_of

pytest.importorskip("scipy", reason="the fit needs the extra bench: pip install '.[bench]'")
LIMITS = Limits(budget_tokens=75_000, min_steps=20, max_params=500_000)


@pytest.fixture(scope="module")
def points() -> tuple[Array, Array, Array, Array]:
    """Features, texts, values and runs of forty made-up points."""
    rng = np.random.default_rng(0)
    x, text = rng.standard_normal((40, 3)), rng.integers(0, 2, 40)
    return x, text, np.sin(x[:, 0]) + 0.3 * x[:, 1] + 0.1 * text, rng.integers(1, 4, 40)


@pytest.fixture(scope="module")
def table() -> Table:
    """Runs that never were: the wider and the faster, the better."""
    rng = np.random.default_rng(0)
    drawn = list(itertools.islice(space.sobol(5, LIMITS, True), 60))
    rows = []
    for i, config in enumerate(drawn):
        for seed in range(1 + 2 * (i % 5 == 0)):
            end = 2 + 20 / config.n_embd + 0.05 * np.log(config.lr / 1e-3)**2
            scores = end + np.array([1.0, 0.6, 0.3, 0.02, 0, 0.01, 0.03])
            scores = (scores + 0.01 * rng.standard_normal(7)).tolist()
            rows.append(Row(TABLES[i % 2], i, "sensible", seed, config, "finished", 1.0,
                            tuple(scores[:3]), *scores[3:]))
    return Table(dict.fromkeys(TABLES, {"budget_tokens": 75_000}), rows)


@pytest.fixture(scope="module")
def builtin() -> Tunnel:
    return Tunnel.open("builtin")


# --- the mathematics -------------------------------------------------------------------------


def test_the_slope_of_the_evidence_is_that_of_central_differences(
        points: tuple[Array, Array, Array, Array]) -> None:
    at = np.array([0.2, -2.0, 0.5, 0.3, 0.8, 1.2])
    _, slope = Kernel(at).evidence(*points)
    steps = 1e-5 * np.eye(at.size)
    measured = [(Kernel(at + step).evidence(*points)[0]
                 - Kernel(at - step).evidence(*points)[0]) / 2e-5 for step in steps]
    assert slope == pytest.approx(np.array(measured), rel=1e-5, abs=1e-6)


def test_a_fold_left_out_in_closed_form_is_a_fold_left_out(
        points: tuple[Array, Array, Array, Array]) -> None:
    x, text, y, n_runs = points
    kernel, folds = Kernel(np.array([0.2, -2.0, 0.5, 0.3, 0.8, 1.2])), np.arange(40) % 5
    whole = kriging.fit(kernel, x, text, y[:, None], n_runs).without_folds(y[:, None], folds)
    kept = folds != 2
    apart = kriging.fit(kernel, x[kept], text[kept], y[kept, None], n_runs[kept])
    assert whole[~kept] == pytest.approx(apart.predict(x[~kept], text[~kept]))


def test_what_a_fit_misses_is_what_lies_above_it(
        points: tuple[Array, Array, Array, Array]) -> None:
    x, text, y, n_runs = points
    found = kriging.fit(Kernel(np.array([0.2, -2.0, 0.5, 0.3, 0.8, 1.2])), x, text, y[:, None],
                        n_runs)
    assert found.missed(n_runs)[:, 0] == pytest.approx(y - found.predict(x, text)[:, 0])


def test_features_are_finite_for_every_draw_and_for_zeros() -> None:
    drawn = list(itertools.islice(space.sobol(1, LIMITS, False), 50))
    zeros = replace(Config(), weight_decay=0.0, warmup_frac=0.0, min_lr_frac=0.0, beta2=0.0)
    found = features([*drawn, zeros, replace(zeros, schedule="wsd", decay_frac=0.0)], 75_000)
    assert np.isfinite(found).all()


def test_fields_without_effect_change_no_feature() -> None:
    constant = replace(Config(), schedule="constant")
    same = replace(constant, min_lr_frac=0.3, decay_frac=0.6)
    assert (features([constant], 75_000) == features([same], 75_000)).all()


# --- the fit ---------------------------------------------------------------------------------


def test_a_fit_foretells_configurations_that_were_left_out(table: Table) -> None:
    arrays, data, fitted = fit.fit(table, n_learn=60)
    its = [Tunnel.of(text, arrays) for text in TABLES]
    found = fit.report(table, data, fitted, its)
    assert found["builtin"]["cross-validated"]["all"]["spearman"] > 0.9
    assert found["tinystories"]["luck"]["sd best"] == pytest.approx(0.01, rel=0.5)


def test_runs_that_diverged_are_left_out_of_the_fit(table: Table) -> None:
    lost = replace(table.rows[0], slot=99, state="diverged", rungs=(None,) * 3, search=None)
    assert len(centres_of([*table.rows, lost])[0]) == len(centres_of(table.rows)[0])


def test_luck_that_all_share_is_found() -> None:
    rng = np.random.default_rng(0)
    seeds = np.repeat(np.arange(40), 30)
    pure = np.sqrt(0.3) * rng.standard_normal(40)[seeds] + np.sqrt(0.7) * rng.standard_normal(1200)
    assert fit.shared_part(pure, seeds) == pytest.approx(0.3, abs=0.12)


def test_places_that_are_asked_for_are_new_apart_and_better_than_what_is_known(
        builtin: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "GENERATIONS", 3)
    drawn = itertools.islice(space.sobol(2, LIMITS, True), 60)
    known = [config for config in drawn if config.optimizer == "adamw"]
    found = ask.minima(builtin, known, LIMITS, np.random.default_rng(0), 3)
    assert not {config.hash for config in found} & {config.hash for config in known}
    points = np.nan_to_num(space.points_of(found), nan=0.5)
    assert np.linalg.norm(points[0] - points[1]) > ask.APART
    assert builtin.final(found[0]) < builtin.means(known)[:, SEARCH].min()


def test_what_is_asked_for_has_numbers_of_its_own(
        table: Table, builtin: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "minima", lambda *_: list(STARTS))
    monkeypatch.setattr(ask, "OPTIMIZERS", ("lion",))
    bench = Bench(Texts(np.zeros(1), np.zeros(1), 1), LIMITS, {})
    rows = [*table.rows, replace(table.rows[1], text="builtin", slot=ask.FIRST_SLOT)]
    found = ask.slots(rows, {"builtin": builtin}, {"builtin": bench}, 2, 1)
    assert [slot.slot - ask.FIRST_SLOT for slot, _ in found[:3]] == [1, 2, 3]
    assert [slot.kind for slot, _ in found[:3]] == ["asked", "asked", "near"]


def test_the_best_known_are_run_on_more_seeds(
        table: Table, builtin: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "minima", lambda *_: [])
    bench = Bench(Texts(np.zeros(1), np.zeros(1), 1), LIMITS, {})
    found = ask.slots(table.rows, {"builtin": builtin}, {"builtin": bench}, 0, 0)
    first = ask.best([row for row in table.rows if row.text == "builtin"])[0]
    assert {slot.kind for slot, _ in found} == {"again"}
    assert found[0][0].config == first.config
    assert len(found) == 2 * ask.N_AGAIN


# --- the surface in the repository -----------------------------------------------------------


@pytest.mark.parametrize("text", TABLES)
def test_the_fitted_surface_ranks_what_it_has_not_seen(text: str) -> None:
    assert report_of()[text]["cross-validated"]["all"]["spearman"] >= 0.95


@pytest.mark.parametrize("text", TABLES)
def test_rungs_that_are_drawn_foretell_the_end_as_real_ones_do(text: str) -> None:
    its = report_of()[text]["rungs"]["all"]
    assert its["drawn"] == pytest.approx(its["real"], abs=0.03)


def test_a_surface_gives_many_configurations_as_it_gives_each(builtin: Tunnel) -> None:
    drawn = list(itertools.islice(space.sobol(9, LIMITS, True), 70))
    alone = [builtin.final(config) for config in drawn]
    assert builtin.means(drawn)[:, SEARCH] == pytest.approx(np.array(alone), abs=1e-4)


def test_a_surface_is_near_the_real_runs(builtin: Tunnel) -> None:
    real = [row.search for row in packed.load().rows
            if row.text == "builtin" and row.config.hash == replace(STARTS[0], **EARLIER).hash]
    assert builtin.final(STARTS[0]) == pytest.approx(float(np.mean(real)), abs=0.1)


def test_a_run_asked_for_again_shows_the_same(builtin: Tunnel) -> None:
    night = builtin.night(np.random.default_rng(0))
    first, other = night.draw(STARTS[0], 1), night.draw(STARTS[0], 2)
    assert night.draw(STARTS[0], 1) == first != other


def test_runs_stray_by_the_sd_of_a_seed_about_the_mean(builtin: Tunnel) -> None:
    night = builtin.night(np.random.default_rng(0))
    shown = [night.draw(STARTS[0], seed).search for seed in range(400)]
    sd = builtin.sds(builtin.means([STARTS[0]]))[0, SEARCH]
    assert np.std(shown) == pytest.approx(sd, rel=0.15)
    assert np.mean(shown) == pytest.approx(builtin.final(STARTS[0]), abs=4 * sd / 20)


def test_a_seed_moves_all_configurations_by_its_part(builtin: Tunnel) -> None:
    night = replace(builtin, rho=0.9).night(np.random.default_rng(0))
    both = np.array([[night.draw(start, seed).search for start in STARTS] for seed in range(200)])
    assert np.corrcoef(both.T)[0, 1] == pytest.approx(0.9, abs=0.05)


def test_the_surface_was_fitted_to_the_runs_beside_it() -> None:
    assert report_of()["sha256"] == hashlib.sha256(packed.PATH.read_bytes()).hexdigest()


def test_what_lies_in_the_repository_is_less_than_a_megabyte() -> None:
    assert packed.PATH.stat().st_size + fit.PATH.stat().st_size < packed.MAX_BYTES
    assert len(OUTPUTS) == 7
