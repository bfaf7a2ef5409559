"""What a study of size and data came to, in sentences with their ranges."""

from collections.abc import Iterator, Sequence

from agent.analysis.scaling.forms import REPETITION
from agent.analysis.scaling.observed import (
    CONVENTIONS,
    MOST_PASSES,
    families_names,
    within_passes,
)
from agent.analysis.scaling.rates import RateCheck, told_of_rates
from agent.analysis.scaling.rows import Ground
from agent.analysis.scaling.study import FittedForm, Study
from agent.analysis.scaling.thresholds import Threshold
from agent.analysis.scaling.told import apart
from agent.words import amount

KNOWS = {"unigram": "token frequencies", "bigram": "pairs of tokens",
         "trigram": "triples of tokens"}
BOUNDS = (2e-3, 5.9)  # an exponent's interval that reaches one of them says that it is not told
NEAR = 2.0  # of AICc, by which a form that is behind is still as good


def bracket(above: float | None, below: float | None) -> str:
    """Between two amounts of tokens, in words."""
    if below is None:
        return "never" if above is None else f"not by {amount(above)}"
    return f"under {amount(below)}" if above is None else f"{amount(above)} to {amount(below)}"


def interval(value: float, ends: Sequence[float], digits: int = 2) -> str:
    """0.34 (95 %: 0.31 to 0.38)."""
    return f"{value:.{digits}f} (95 %: {ends[0]:.{digits}f} to {ends[1]:.{digits}f})"


def main_thresholds(study: Study, axis: str = "tokens") -> list[Threshold]:
    """Those of the sizes of the family of the most runs, the smallest size first."""
    name = families_names(study.runs)[0]
    sizes = {run.n_matrices for run in study.runs if run.family == name}
    return sorted((one for one in study.thresholds if one.axis == axis and one.size in sizes),
                  key=lambda one: (one.size, -one.nats))


def headline(study: Study, ground: Ground) -> str:
    """The answer: at what size and data a model leaves token frequencies for language."""
    its = main_thresholds(study)
    sizes, tokens = sorted({one.size for one in its}), [run.tokens for run in study.runs]
    said = [_clause(name, [one for one in its if one.yardstick == name])
            for name in KNOWS if name in study.yardsticks]
    told = "; ".join(one for one in said if one)
    if not told:
        return (f"{ground.text}: no size has runs on two amounts of tokens, so nothing brackets "
                "where language begins")
    return (f"On {ground.text}, models of {amount(sizes[0])} to {amount(sizes[-1])} parameters "
            f"trained on {amount(min(tokens))} to {amount(max(tokens))} tokens know more than "
            f"{told}")


def _clause(name: str, its: Sequence[Threshold]) -> str:
    """Token frequencies (the unigram) after 50k to 150k tokens at every size."""
    if not its:
        return ""
    passed = [one for one in its if one.below is not None]
    what = f"{KNOWS[name]} (the {name})"
    if not passed:
        return f"{what} at no size yet"
    soonest = min(passed, key=lambda one: (one.below, one.size))
    sizes = sorted({one.size for one in its})
    least = min(one.size for one in passed)
    where = ("at every size" if len(passed) == len(its) else
             f"from {amount(least)} parameters on" if len(passed) == sum(
                 size >= least for size in sizes) else f"at {len(passed)} of {len(its)} sizes")
    when = ("within" if soonest.above is None else f"after {amount(soonest.above)} to")
    return (f"{what} {where}, the soonest {when} {amount(soonest.below or 0)} tokens with "
            f"{amount(soonest.size)} parameters")


def sentences(study: Study, ground: Ground, checks: Sequence[RateCheck] = ()
              ) -> list[tuple[str, str]]:
    """(subject, sentence) of each finding but the headline, what matters most first."""
    return [*_law(study), *_evidence(study), *_repeats(study), *_families(study),
            *_lines(study), *_rates(checks, study.sigma), *_limits(study, ground)]


def _law(study: Study) -> Iterator[tuple[str, str]]:
    best = study.best
    known, ends = best.params, best.draws.ci95
    parts = []
    for name, sign, digits in (("alpha", "α", 2), ("beta", "β", 2), ("E", "E", 2)):
        if name not in known:
            continue
        if name != "E" and (ends[name][0] <= BOUNDS[0] or ends[name][1] >= BOUNDS[1]):
            parts.append(f"{sign} is not told by these runs")
        else:
            unit = " nats/token" if name == "E" else ""
            parts.append(f"{sign} = {interval(known[name], ends[name], digits)}{unit}")
    yield "law", f"L = {best.form.words} with {', '.join(parts)}"
    yield "balance", ("the best size grows as compute to the "
                      f"{interval(known['beta'] / (known['alpha'] + known['beta']), ends['a'])}, "
                      "with N the parameters of the matrices")


def _evidence(study: Study) -> Iterator[tuple[str, str]]:
    best = study.best
    others = [one for one in study.fits[1:] if one.convention == best.convention]
    if others:
        told = ", ".join(f"{one.form.name} is {one.aicc - best.aicc:.1f} behind" for one in others)
        near = [one for one in others if one.aicc - best.aicc < NEAR]
        yield "forms", (f"the form {best.form.name} is best by AICc: {told}"
                        + ("; that is no real lead" if near else ""))
    yield "fit", _lack(best)
    if best.held:
        n = best.held.n_runs
        yield "hold-out", (
            f"the {n} run{'s' if n > 1 else ''} of the most compute, foretold by the law of the "
            f"others, {'are' if n > 1 else 'is'} off by {best.held.error_percent:+.1f} % in the "
            f"mean and {best.held.worst_percent:.1f} % at most: {best.held.in_sigmas:.1f} σ")
    counts = [f"{one.params['alpha']:.2f} and {one.params['beta']:.2f} with N as "
            f"{CONVENTIONS[one.convention]}" for one in study.fits
            if one.convention != best.convention and "alpha" in one.params]
    if counts:
        yield "parameters", f"α and β are {'; '.join(counts)}"


def _lack(best: FittedForm) -> str:
    if best.lack is None:
        return ("no cell has two seeds, so it cannot be told whether the law misses more than "
                "noise; `agent grid --seeds 3` adds them")
    words = (f"the law misses the cells by {100 * best.lack.off:.1f} %, seeds of one cell differ "
             f"by {100 * best.lack.sigma:.1f} % ({best.lack.n_replicated} cells): ")
    return words + (f"more than noise (p = {best.lack.p:.2g}), so the law is a summary"
                    if best.lack.is_lacking else f"no more than noise (p = {best.lack.p:.2g})")


def _repeats(study: Study) -> Iterator[tuple[str, str]]:
    best = study.best
    if best.form is not REPETITION:
        return
    value, (low, high) = best.params["R*"], best.draws.ci95["R*"]
    yield "repeats", (f"text seen again is worth less with every pass, by R* = "
                      f"{value:.1f} (95 %: {low:.1f} to {high:.1f}): any number of passes is "
                      f"worth at most {1 + value:.1f} of new text")


def _families(study: Study) -> Iterator[tuple[str, str]]:
    known = [one for one in study.families if one.draws]
    if len(study.families) < 2:
        return
    for one in study.families:
        if one.draws is None:
            yield "families", (f"{one.name}: {one.ground.n_runs} runs of "
                               f"{len(one.ground.sizes)} sizes tell no exponent of its own")
    for name, sign in (("alpha", "α"), ("beta", "β")):
        if len(known) < 2:
            return
        told = ", ".join(f"{one.name} {one.draws.ci95[name][0]:.2f} to "
                         f"{one.draws.ci95[name][1]:.2f}" for one in known if one.draws)
        pairs = apart(study, name)
        verdict = ("; apart are " + ", ".join(" and ".join(pair) for pair in pairs) if pairs
                   else "; no two are apart")
        yield "families", f"{sign} by family: {told}{verdict}"


def _lines(study: Study) -> Iterator[tuple[str, str]]:
    for line in study.lines:
        is_size = line.axis == "parameters"
        other, its = ("tokens", "all parameters") if is_size else ("parameters in all", "tokens")
        knee = (f"; the gain falls most behind {amount(line.knee)}"
                if line.knee is not None else "")
        yield f"over {line.axis}", (
            f"at {amount(line.at)} {other} the loss goes as {its} to the "
            f"{line.law.exponent:.3f}, R² {line.law.r2:.3f}{knee}")


def _rates(checks: Sequence[RateCheck], sigma: float | None) -> Iterator[tuple[str, str]]:
    if told := told_of_rates(checks, sigma):
        yield "rate", told


def _limits(study: Study, ground: Ground) -> Iterator[tuple[str, str]]:
    its = study.ground
    yield "ground", (
        f"{its.n_runs} runs in {its.n_cells} cells, {len(its.sizes)} sizes over "
        f"{its.decades_n:.1f} decades of parameters and {its.decades_d:.1f} of tokens, on "
        f"{ground.text} in a vocabulary of {ground.vocab_size:,}")
    n_passes = len(study.runs) - len(within_passes(study.runs))
    n_others = len(study.runs) - n_passes - len(study.law)
    beside = [told for n, told in (
        (n_passes, f"{n_passes} runs that saw their text over {MOST_PASSES:.0f} times, which makes "
                   "them worse again where it is small: no form here has that"),
        (n_others, f"{n_others} of other families, whose constants are their own")) if n]
    if beside:
        yield "beside the law", (
            f"{len(study.law)} runs are its points; beside it are {', and '.join(beside)}")
    left = [f"{n} {what}" for n, what in (
        (ground.n_other_texts, "on another text or vocabulary"),
        (ground.n_other_recipes, "of another recipe"), (ground.n_checks, "that check something"))
        if n]
    if left:
        yield "left out", f"finished runs of grids that are not in it: {', '.join(left)}"
