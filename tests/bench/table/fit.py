"""Fits the surface to the packed runs, and tells how good it is on configurations left out.

    python -m tests.bench.table fit [--runs FILE] [--to FILE] [--json]

Fitted are means over seeds in the logarithm of what is above a floor, all outputs with one kernel.
The luck of a seed is fitted apart, to what runs of one configuration differ by.
"""

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.simulate import tunnel
from agent.simulate.surface import TABLES
from agent.simulate.tunnel import OUTPUTS, SEARCH, Array, Tunnel, sd_between
from agent.simulate.tunnel_features import features
from agent.trial import rung
from engine.files import write_atomically
from tests.bench.table import kriging, packed
from tests.bench.table.kriging import Fitted
from tests.bench.table.rows import Row, centres_of

PATH = Path(tunnel.__file__).with_name(tunnel.FILE)

FLOOR = 0.6  # of the best score: what is left above it is fitted by its logarithm
N_LEARN = 900  # configurations to which the kernel's scales are fitted; the posterior has all
N_FOLDS = 10
SMALLEST_SD = 1e-4  # of a seed, bits per byte
N_KNOTS, SMOOTH = 12, 0.25  # of sd by place: its points, and how far each looks about


@dataclass(frozen=True)
class Centres:
    """What is fitted to: configurations, and the means of their runs by output."""

    x: Array  # (N, F) standardised
    text: Array  # (N,)
    y: Array  # (N, O) standardised logs
    bpb: Array  # (N, O)
    n_runs: Array  # (N,)
    scaling: dict[str, Array]  # floor, middle and spread by text and output; of the features

    @property
    def own(self) -> list[Array]:
        """Indices of each text's configurations."""
        return [np.flatnonzero(self.text == text) for text in range(len(TABLES))]

    def as_bpb(self, y: Array) -> Array:
        floor, middle, spread = (self.scaling[name][self.text]
                                 for name in ("floor", "middle", "spread"))
        return np.asarray(np.exp(y * spread + middle) + floor)


def scores_of(row: Row) -> Array:
    """Of a run that finished, by output."""
    return np.array([*row.rungs, row.short, row.search, row.confirm, row.test], float)


def gather(rows: Sequence[Row], budget_tokens: int) -> Centres:
    configs, texts, runs = centres_of(rows)
    text = np.array(texts)
    raw = features(configs, budget_tokens)
    mean, scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
    bpb = np.array([np.mean([scores_of(row) for row in its], axis=0) for its in runs])
    own = [bpb[text == number] for number in range(len(TABLES))]
    floor = np.array([FLOOR * its.min(axis=0) for its in own])
    logs = np.log(bpb - floor[text])
    middle, spread = (np.array([measure(logs[text == number], axis=0)
                                for number in range(len(TABLES))]) for measure in (np.mean, np.std))
    scaling = {"floor": floor, "middle": middle, "spread": spread, "x_mean": mean,
               "x_scale": scale}
    return Centres((raw - mean) / scale, text, (logs - middle[text]) / spread[text], bpb,
                   np.array([len(its) for its in runs], float), scaling)


def fit(table: packed.Table, n_learn: int = N_LEARN) -> tuple[dict[str, Array], Centres, Fitted]:
    """The arrays of tunnel.npz but for the report, and what they were fitted to and by."""
    budget = next(iter(table.texts.values()))["budget_tokens"]
    data = gather(table.rows, budget)
    some = np.random.default_rng(0).permutation(len(data.text))[:n_learn]
    kernel = kriging.learn_kernel(data.x[some], data.text[some], data.y[some, SEARCH],
                                  data.n_runs[some])
    fitted = kriging.fit(kernel, data.x, data.text, data.y, data.n_runs)
    found = data.scaling | luck(table.rows, data, data.y - fitted.missed(data.n_runs))
    return found | {"parameters": kernel.parameters, "weights": fitted.weights.astype(np.float32),
                    "centres": fitted.centres.astype(np.float32), "texts": data.text,
                    "budget_tokens": np.array(budget)}, data, fitted


# --- the luck of a seed ----------------------------------------------------------------------


def luck(rows: Sequence[Row], data: Centres, smooth: Array) -> dict[str, Array]:
    """sd of each output by how good a configuration is, correlations, and the seed's own part.

    smooth  (N, O) what the model says of the configurations, standardised logs
    """
    _, _, runs = centres_of(rows)
    found: dict[str, list[Any]] = {"knots": [], "seed_sd": [], "factor": [], "rho": []}
    for own in data.own:
        several = [i for i in own if data.n_runs[i] > 1]
        apart = [np.array([scores_of(row) for row in runs[i]]) for i in several]
        # Runs stray less from their own mean than from the truth.
        errors = np.concatenate([(one - one.mean(axis=0)) * np.sqrt(len(one) / (len(one) - 1))
                                 for one in apart])
        place = np.concatenate([[smooth[i, SEARCH]] * len(one)
                                for i, one in zip(several, apart, strict=True)])
        seeds = np.array([row.seed for i in several for row in runs[i]])
        low, high = np.quantile(place, [0.02, 0.98])
        knots = np.linspace(low, high, N_KNOTS)
        sds = _sd_at(knots, place, errors)
        pure = errors / sd_between(place, knots, sds)
        found["knots"].append(knots)
        found["seed_sd"].append(sds)
        found["factor"].append(np.linalg.cholesky(
            np.corrcoef(pure.T) + 1e-6 * np.eye(len(OUTPUTS))))
        found["rho"].append(shared_part(pure[:, SEARCH], seeds))
    return {name: np.array(values) for name, values in found.items()}


def _sd_at(knots: Array, place: Array, errors: Array) -> Array:
    """Root of the mean square of the errors (N, O) about each knot, (K, O)."""
    weight = np.exp(-0.5 * ((knots[:, None] - place) / SMOOTH)**2)
    square = weight @ errors**2 / weight.sum(axis=1)[:, None]
    return np.asarray(np.maximum(np.sqrt(square), SMALLEST_SD))


def shared_part(pure: Array, seeds: Array) -> float:
    """Correlation of two configurations' luck on one seed, of errors with sd 1; at least 0."""
    both = n = 0.0
    for seed in np.unique(seeds):
        its = pure[seeds == seed]
        both += its.sum()**2 - (its**2).sum()
        n += len(its) * (len(its) - 1)
    return float(np.clip(both / n / np.mean(pure**2), 0.0, 0.95))


# --- how good it is --------------------------------------------------------------------------


def report(table: packed.Table, data: Centres, fitted: Fitted,
           surfaces: Sequence[Tunnel]) -> dict[str, Any]:
    """By text: errors on configurations left out, and rungs against ends, real and drawn."""
    folds = np.random.default_rng(1).permutation(len(data.text)) % N_FOLDS
    unseen = data.as_bpb(fitted.without_folds(data.y, folds))[:, SEARCH]
    found: dict[str, Any] = {}
    for name, own, surface in zip(TABLES, data.own, surfaces, strict=True):
        real = data.bpb[own, SEARCH]
        order = np.argsort(real)
        parts = {"all": order, "better half": order[: len(order) // 2],
                 "best quarter": order[: len(order) // 4]}
        found[name] = {
            "configurations": len(own), "runs": int(data.n_runs[own].sum()),
            "cross-validated": {part: _errors(unseen[own][at], real[at])
                                for part, at in parts.items()},
            "luck": _luck_report(surface, real), "rungs": _rungs(table.rows, name, surface)}
    return found


def _errors(told: Array, real: Array) -> dict[str, float | None]:
    return {"spearman": rung.spearman(told, real),
            "rmse": float(np.sqrt(np.mean((told - real)**2))),
            "mae": float(np.mean(np.abs(told - real)))}


def _luck_report(surface: Tunnel, real: Array) -> dict[str, float]:
    means = np.full((3, len(OUTPUTS)), np.nan)
    means[:, SEARCH] = np.quantile(real, [0.02, 0.25, 0.75])
    best, quarter, rest = surface.sds(means)[:, SEARCH]
    return {"sd best": float(best), "sd best quarter": float(quarter), "sd rest": float(rest),
            "rho": surface.rho,
            "paired sd best": float(best * np.sqrt(2 * (1 - surface.rho)))}


def _rungs(rows: Sequence[Row], text: str, surface: Tunnel) -> dict[str, Any]:
    """Rank correlation of each rung with the end: of single runs, and as the surface draws them."""
    first = {row.config.hash: row for row in rows if row.text == text and row.search is not None}
    real = np.array([scores_of(row) for row in first.values()])
    configs = [row.config for row in first.values()]
    night = surface.night(np.random.default_rng(0))
    night.learn(configs)
    drawn = [night.draw(row.config, row.seed) for row in first.values()]
    made = np.array([[*one.rungs, one.short, one.search, one.confirm, one.test] for one in drawn])
    order = np.argsort(real[:, SEARCH])
    part = {"all": order, "best quarter": order[: len(order) // 4]}
    return {name: {"real": [rung.spearman(real[at, i], real[at, SEARCH]) for i in range(3)],
                   "drawn": [rung.spearman(made[at, i], made[at, SEARCH]) for i in range(3)]}
            for name, at in part.items()}


# --- the command -----------------------------------------------------------------------------


def run_fit(options: argparse.Namespace) -> int:
    data = options.runs.read_bytes()
    table = packed.read(options.runs)
    arrays, centres, fitted = fit(table)
    surfaces = [Tunnel.of(text, arrays) for text in TABLES]
    found = report(table, centres, fitted, surfaces)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays, report=np.array(json.dumps(found)),
                        sha256=np.array(hashlib.sha256(data).hexdigest()))
    write_atomically(options.to, file.getvalue())
    sys.stdout.write(json.dumps(found) + "\n" if options.json else told(found, options.to))
    return 0


def report_of(path: Path = PATH) -> dict[str, Any]:
    """How far the fitted model can be trusted, as the fit found it, and to which runs it was."""
    with np.load(path, allow_pickle=False) as file:
        found: dict[str, Any] = json.loads(str(file["report"]))
        return found | {"sha256": str(file["sha256"])}


def told(found: dict[str, Any], path: Path) -> str:
    lines = [f"{'text':<12}{'part':<14}{'rank corr.':>11}{'rmse':>9}{'mae':>9}"]
    for text, its in found.items():
        for part, errors in its["cross-validated"].items():
            lines.append(f"{text:<12}{part:<14}{errors['spearman']:>11.4f}{errors['rmse']:>9.4f}"
                         f"{errors['mae']:>9.4f}")
    for text, its in found.items():
        luck_of = ", ".join(f"{name} {value:.4f}" for name, value in its["luck"].items())
        lines.append(f"{text}: {its['runs']:,} runs of {its['configurations']:,}; {luck_of}")
        for part, both in its["rungs"].items():
            lines.append(f"  rungs and end, {part}: " + "; ".join(
                f"{name} {', '.join(f'{value:.3f}' for value in values)}"
                for name, values in both.items()))
    return "\n".join([*lines, f"in {path.name}, {path.stat().st_size:,} bytes"]) + "\n"
