"""A study of size and data as a report that a person reads who has read nothing else."""

from collections.abc import Iterator, Sequence

from agent import words
from agent.analysis.scaling import (
    Checked,
    Ground,
    RateCheck,
    Study,
    against_law,
    bootstrap_csv,
    bracket,
    families_names,
    headline,
    law_amount,
    main_thresholds,
    results_csv,
    sentences,
)
from agent.show.page.blocks import Block, Column, Fact, Finding, Items, Report, Section, Table
from agent.show.page.markdown import files
from agent.show.page.size_figures import figures
from agent.words import amount
from strategies.base import width_rule

FOLDER = "figures/"
QUESTION = ("At what model size and data volume does a transformer go from token frequencies to "
            "language?")
SECTIONS = (("data", "Size and data", ("loss-over-tokens", "loss-over-parameters",
                                       "loss-over-different-text")),
            ("law", "The law", ("contours", "foretold", "residuals")),
            ("where", "Where language begins", ("thresholds-tokens", "thresholds-unique")),
            ("shapes", "Families of shapes", ("families", "exponents")))
SUBJECTS = {"law": ("law", "balance", "forms", "fit", "hold-out", "repeats", "parameters"),
            "data": ("over parameters", "over tokens"), "shapes": ("families",)}


def scaling_files(study: Study, ground: Ground, checks: Sequence[RateCheck] = (),
                  options: str = "") -> dict[str, str]:
    """report.md, its figures and both tables, by their names; the same again from the same runs.

    options  that chose the runs, as typed
    """
    checked = against_law(study)
    return {**files(report_of(study, ground, checked, checks, options), FOLDER),
            "results.csv": results_csv(checked), "bootstrap.csv": bootstrap_csv(study)}


def report_of(study: Study, ground: Ground, checked: Sequence[Checked],
              checks: Sequence[RateCheck], options: str = "") -> Report:
    """The answer, what it rests on, how it was measured, and what it does not tell."""
    drawn = {figure.name: figure for figure in figures(study, checked)}
    told = sentences(study, ground, checks)
    sections = []
    for name, title, its in SECTIONS:
        blocks: list[Block] = [drawn[one] for one in its if one in drawn]
        lines = [_sentence(text) for subject, text in told if subject in SUBJECTS.get(name, ())]
        if name == "where":
            blocks += _tables(study)
        if lines:
            blocks.append(Items(lines=lines))
        if blocks:
            sections.append(Section(name=name, title=title, blocks=blocks))
    return Report(
        title="Size and data", eyebrow=f"{QUESTION} The answer by {len(study.runs)} runs on "
        f"{ground.text}:", headline=headline(study, ground),
        lede=_lede(study, ground), facts=list(_facts(study)), sections=[
            *sections, Section(name="methods", title="How it was measured",
                               blocks=[Items(lines=list(_methods(study, ground)))]),
            Section(name="limits", title="Limits", blocks=[Items(lines=list(
                _limits(study, ground, [text for subject, text in told
                                        if subject in ("rate", "beside the law", "left out")])))]),
            Section(name="again", title="The same again", blocks=[Finding(note=(
                f"`agent scaling{options} --write results` on the ledger with these runs writes "
                f"this report, its figures and both tables anew, byte for byte; for the runs that "
                f"came with the program it is `agent --record scaling{options} --write results`."
            ))])],
        foot="results.csv has a line a run, bootstrap.csv a line a draw of the law's constants.")


def _sentence(text: str) -> str:
    first = text[0].upper() if text[0].isascii() else text[0]  # α is a name
    return f"{first}{text[1:]}."


def _lede(study: Study, ground: Ground) -> str:
    """What the words of the headline mean."""
    nats = ", ".join(f"{name} {value:.2f}" for name, value in study.yardsticks.items())
    return ("Token frequencies, pairs and triples are models that only count: what a transformer "
            "must beat to know more than they do. They score, in nats per token of text held out: "
            f"{nats}. Parameters are those of the blocks' matrices unless something else is said.")


def _facts(study: Study) -> Iterator[Fact]:
    best = study.best
    for name, what in (("alpha", "exponent of size α"), ("beta", "exponent of data β"),
                       ("E", "loss that remains E")):
        if name in best.params:
            low, high = best.draws.ci95[name]
            yield Fact(name=what, value=f"{best.params[name]:.2f}",
                       more=f"95 %: {low:.2f} to {high:.2f}")
    if best.held:
        yield Fact(name="largest runs foretold", value=f"{best.held.error_percent:+.1f} %",
                   more=f"{best.held.in_sigmas:.1f} σ, {best.held.n_runs} runs")
    yield Fact(name="runs", value=f"{study.ground.n_runs}",
               more=f"{study.ground.n_cells} cells, {len(study.ground.sizes)} sizes")


def _tables(study: Study) -> Iterator[Block]:
    for axis, what in (("tokens", "Tokens seen at which a size passes a yardstick"),
                       ("unique", "Different tokens that it takes at the most tokens seen")):
        its = [one for one in main_thresholds(study, axis) if one.yardstick != "uniform"]
        if not its:
            continue
        yield Finding(note=f"{what}: between runs, and by the law with its 95 % interval.")
        yield Table(name=what, columns=[
            Column(name="parameters", is_number=True), Column(name="yardstick"),
            Column(name="between runs"), Column(name="by the law"), Column(name="95 %")],
            rows=[(amount(one.size), one.yardstick, bracket(one.above, one.below),
                   law_amount(one.foretold, "never"), _ends(one.low, one.high)) for one in its])


def _ends(low: float | None, high: float | None) -> str:
    """An interval in words; an end that is out of all that a law is asked is beyond."""
    told = [law_amount(value, "beyond") for value in (low, high)]
    return told[0] if told[0] == told[1] else " to ".join(told)


def _methods(study: Study, ground: Ground) -> Iterator[str]:
    its = study.ground
    parts = ", ".join(f"{asked} = {n:,} tokens" for n, asked in sorted(ground.uniques.items()))
    recipe = ", ".join(f"{name}={value}" for name, value in ground.recipe.items())
    names = families_names(study.runs)
    yield (f"A run trains one GPT from nothing with numpy alone, on the CPU, and is scored once on "
           f"text that no run is trained on. {its.n_runs} runs, {its.n_cells} cells (a cell is one "
           f"shape, amount of tokens and part of the text; its runs differ in the seed alone), "
           f"{words.duration(ground.compute_s)} of computing, ended from "
           f"{words.clock(ground.first_at)} to {words.clock(ground.last_at)}.")
    yield (f"Text: {ground.text}, {words.count(ground.n_tokens)} training tokens in "
           f"{words.count(ground.n_stories)} stories, a vocabulary of {ground.vocab_size:,} "
           "(byte pairs of its own training text). Parts of it are the first stories of one fixed "
           "shuffle, the same for every run"
           + (f": {parts}." if parts else "; no run was on a part of it."))
    yield (f"Shapes: {', '.join(names)}, from {amount(min(its.sizes))} to "
           f"{amount(max(its.sizes))} parameters in their matrices. Recipe: "
           + (f"the default but for {recipe}" if recipe else "the default")
           + f"; the learning rate goes {width_rule(str(ground.recipe.get('optimizer')))}.")
    yield ("The law is fitted to the logarithm of the loss by Huber's loss (δ = 0.001) from a grid "
           "of exponents; its intervals are the middle 95 % of "
           f"{len(study.best.draws.theta):,} fits to as many cells drawn with replacement. Forms "
           "are compared by AICc of least squares. The largest tenth of the cells by 6 N D is "
           "foretold by a law that did not see them; σ is what seeds and that law's own spread "
           "let expect.")


def _limits(study: Study, ground: Ground, told: Sequence[str]) -> Iterator[str]:
    yield (f"One text, one vocabulary of {ground.vocab_size:,} and one recipe: exponents and "
           "thresholds are theirs, and losses in another vocabulary do not compare.")
    yield (f"Nothing over {amount(max(study.ground.sizes))} parameters or "
           f"{amount(max(run.tokens for run in study.runs))} tokens was run; what the law says "
           "beyond is a guess that it makes.")
    yield ("To know more than triples of tokens is where language begins to pay, and no proof "
           "that what a model writes is good: that is judged by other means.")
    if study.sigma is None:
        yield "No cell has two seeds: noise and the law's misses cannot be told apart."
    for text in told:
        yield _sentence(text)
