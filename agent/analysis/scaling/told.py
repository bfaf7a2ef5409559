"""A study of size and data as plain values, and its finding in sentences."""

import math
from dataclasses import asdict
from typing import Any

from agent.analysis.scaling.study import Family, FittedForm, Study
from agent.analysis.scaling.thresholds import FROM
from agent.words import amount


def law_amount(n: float | None, beyond: str) -> str:
    """Where a law passes something, in words; it is asked from 10^FROM tokens on, and to 10^TO."""
    if n is None:
        return beyond
    return f"under {amount(n)}" if n <= 10 ** FROM * (1 + 1e-9) else amount(n)


def as_dict(study: Study) -> dict[str, Any]:
    """What `agent scaling --json` prints."""
    ground = study.ground
    return {
        "n_runs": ground.n_runs, "n_of_law": len(study.law), "n_cells": ground.n_cells,
        "sizes": list(ground.sizes),
        "decades_n": ground.decades_n, "decades_d": ground.decades_d,
        "yardsticks": study.yardsticks, "sigma": study.sigma,
        "fits": [_fit(one) for one in study.fits],
        "families": [_family(one) for one in study.families],
        "lines": [asdict(one) for one in study.lines],
        "thresholds": [asdict(one) for one in study.thresholds]}


def _fit(one: FittedForm) -> dict[str, Any]:
    return {
        "form": one.form.name, "law": one.form.words, "convention": one.convention,
        "params": one.params, "ci95": {name: list(ends) for name, ends in one.draws.ci95.items()},
        "correlations": one.draws.correlations,
        "objective": one.draws.fit.objective, "delta": one.draws.fit.delta,
        "aicc": one.aicc if math.isfinite(one.aicc) else None,
        "lack_of_fit": asdict(one.lack) if one.lack else None,
        "holdout_error": one.held.error_percent if one.held else None,
        "holdout": asdict(one.held) if one.held else None}


def _family(one: Family) -> dict[str, Any]:
    found = one.draws.ci95 if one.draws else {}
    return {"family": one.name, "n_runs": one.ground.n_runs, "n_cells": one.ground.n_cells,
            "sizes": list(one.ground.sizes), "why_not": one.why_not,
            **{name: list(found[name]) if name in found else None
               for name in ("alpha", "beta", "E", "a")}}


def apart(study: Study, name: str) -> list[tuple[str, str]]:
    """Pairs of families whose intervals of one number do not touch."""
    ends = {one.name: one.draws.ci95.get(name) for one in study.families if one.draws}
    known = [(family, its) for family, its in ends.items() if its]
    return [(one, other) for i, (one, a) in enumerate(known) for other, b in known[i + 1:]
            if a[1] < b[0] or b[1] < a[0]]
