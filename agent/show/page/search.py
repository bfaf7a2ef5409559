"""The search as pictures: the chain, which fields mattered, slices, strategies, size × data."""

from collections.abc import Sequence

from agent.analysis import Cells, Chain, Findings, Link, Slice
from agent.show.page import said
from agent.show.page.blocks import Block, Figure, Finding, Section
from agent.show.page.draw import Plot
from agent.show.page.marks import (
    BLUE,
    GREEN,
    N_KINDS,
    ORANGE,
    QUIET,
    Contours,
    Dots,
    Line,
    Mark,
    Rule,
)
from agent.show.page.ranked import Row, Rows
from agent.show.page.scale import Scale, linear_ticks, scale_of

MOST_LINKS, MOST_CLAIMS = 12, 8
MOST_FIELDS, MOST_SLICES, MOST_STRATEGIES = 10, 12, 12
LEAST_SHARE = 0.01  # of what varied, that is named
LEAST_RUNGS = 8  # runs with a score at the quarter, before they make a picture
WORST = 0.9  # part of the runs that a slice's axis holds
N_LEVELS = 9


def chain(found: Findings) -> Section | None:
    """The steps from the baseline to the winner; None where there is none."""
    its = found.chain
    if its is None or not its.links:
        return None
    shown = _largest(its)
    rows = [row for link in its.links for row in _link_rows(link, link in shown)]
    left = len(its.links) - len(shown) + its.n_before
    note = ("Open rings: the gain on the one seed that the search looked at. Diamonds: what fresh "
            "seeds said of all steps since the last diamond, with its 95 % interval.")
    if left:
        note += f" {said.plural(left, 'smaller step')} left out."
    return Section(name="chain", title="From the baseline to the winner", blocks=[Figure(
        name="chain", finding=_chain_finding(found, its), note=note, pictures=[Rows(
            title=f"From {its.first} to {its.last}", text=_in_words(its),
            label="gain over the run before, bits/byte", rows=rows)])])


def _largest(its: Chain) -> list[Link]:
    """The links that gained or lost most."""
    known = [link for link in its.links if link.gain]
    known.sort(key=lambda link: -abs(link.gain.bpb if link.gain else 0.0))
    return known[:MOST_LINKS]


def _link_rows(link: Link, is_shown: bool) -> list[Row]:
    rows = []
    if is_shown and link.gain:
        rows.append(Row(lead=link.label, name=link.changes or "another seed",
                        value=link.gain.bpb, told=said.signed(link.gain.bpb), low=link.gain.low,
                        high=link.gain.high, kind=BLUE,
                        shape="ring" if link.gain.low is None else "dot"))
    claim = link.claim
    if claim:
        over = f" over {claim.against}" if claim.against else ""
        rows.append(Row(lead="confirmed", name=f"{link.label}{over}",
                        value=claim.gain_bpb, told=said.signed(claim.gain_bpb), low=claim.low_bpb,
                        high=claim.high_bpb, kind=GREEN, shape="diamond"))
    return rows


def _chain_finding(found: Findings, its: Chain) -> str:
    gain = said.gained(found)
    known = said.largest(its)
    n = said.plural(len(its.links) + its.n_before, "step")
    most = f"; {100 * known[1]:.0f} % of it came from {known[0]}" if (
        known and len(its.links) > 1 and gain and gain > 0) else ""
    return f"{n} from {its.first} to {its.last}, {said.signed(gain)} bits/byte{most}."


def _in_words(its: Chain) -> str:
    return "; ".join(f"{link.label} {said.signed(link.gain.bpb)}" for link in its.links
                     if link.gain)


# --- fields ----------------------------------------------------------------------------------


def importance(found: Findings) -> Section | None:
    """Shares of the variance by field; None where too few configurations ended."""
    fields = found.importance[:MOST_FIELDS]
    if not fields:
        return None
    first = next((one for one in fields if one.told and one.share >= LEAST_SHARE), None)
    finding = (f"The {first.title} made {100 * first.share:.0f} % of what varied between runs."
               if first else "No field stands out: the runs cannot tell them apart.")
    rows = [Row(name=one.title + ("" if one.told else ": the runs cannot tell"),
                value=100 * one.share, low=100 * one.low, high=100 * one.high,
                told=f"{100 * one.share:.0f} %", kind=BLUE if one.told else QUIET)
            for one in fields]
    return Section(name="importance", title="What mattered", blocks=[Figure(
        name="importance", finding=finding,
        note=f"Share of the loss's variance over {found.n_judged} configurations, with its 95 % "
        "interval: what a field does over all values that were tried, wherever the best stands.",
        pictures=[Rows(title="What mattered", text="; ".join(
            f"{one.title} {100 * one.share:.0f} %" for one in fields),
            label="share of the variance, %", rows=rows)])])


def slices(found: Findings) -> Section | None:
    """The loss over each field; None where no field had two values."""
    its = found.slices[:MOST_SLICES]
    plots = [plot for one in its if (plot := _slice(one)) is not None]
    if not plots:
        return None
    best = found.winner.label if found.winner else "the best run"
    more = len(found.slices) - len(plots)
    return Section(name="slices", title="One field at a time", blocks=[Figure(
        name="slice", finding=f"Where {best} stands in each field, among all that was tried.",
        note=f"Bits a byte of every finished run over one field, on its own scale; the diamond is "
        f"{best}'s value." + (f" {more} more fields had two values." if more else ""),
        pictures=plots, height=132, is_many=True)])


def _slice(one: Slice) -> Plot | None:
    scores = sorted(bpb for _, bpb in one.points)
    its = [bpb for at, bpb in one.points if at == one.best_at]
    low = scores[0]
    high = max(scores[int(WORST * (len(scores) - 1))], min(its, default=low))
    reach = 0.08 * (high - low) or 0.01 * abs(high) or 1.0
    y = Scale(low - reach, high + reach)
    places = [x for x, _ in one.points] + ([] if one.best_at is None else [one.best_at])
    if one.kind == "choice":
        x: Scale | None = Scale(-0.5, len(one.choices) - 0.5, "", "linear", tuple(one.choices))
    else:
        x = scale_of(places, "", one.kind, 0.08)
    if x is None:
        return None
    marks: list[Mark] = [Dots(points=one.points, kind=QUIET)]
    if one.best_at is not None:
        marks.append(Rule(at=one.best_at, axis="x", kind=BLUE))
        marks.append(Dots(points=[(one.best_at, min(its, default=low))], kind=BLUE,
                          shape="diamond", titles=[f"{one.title} {one.best}"]))
    return Plot(title=one.title, text=f"{len(one.points)} runs over {one.title}; the winner has "
                f"{one.best}.", x=x, y=y, marks=marks, is_small=True)


# --- strategies and rungs --------------------------------------------------------------------

CHECKING = ("baseline", "confirm", "ablate", "grid")


def strategies(found: Findings) -> Section | None:
    """What each strategy's ideas earned and took; None before an idea has ended."""
    ideas = [one for one in found.earned if one.strategy not in CHECKING]
    if not ideas:
        return None
    total = sum(one.tokens for one in found.earned) or 1
    rows = [Row(name=f"{one.strategy.replace('_', ' ')}: {one.n_kept} of {one.n_runs}, "
                f"{100 * one.tokens / total:.0f} % of tokens", value=one.gain_bpb or 0.0,
                told=said.signed(one.gain_bpb), kind=BLUE if one.gain_bpb else QUIET)
            for one in ideas[:MOST_STRATEGIES]]
    first = ideas[0]
    if not any(one.gain_bpb for one in ideas):
        n_kept = sum(one.n_kept for one in ideas)
        told = f"{said.plural(n_kept, 'idea')} kept" if n_kept else "No idea was kept yet"
        tried = ", ".join(f"{one.strategy.replace('_', ' ')} {one.n_runs}" for one in ideas)
        return Section(name="strategies", title="Strategies and rungs", blocks=[
            Finding(finding=f"{told}.", note=f"Tried: {tried}. {_checking(found, total)}"),
            *_rungs(found)])
    finding = (f"{first.strategy.replace('_', ' ').capitalize()} earned most: "
               f"{said.signed(first.gain_bpb)} bits/byte from {first.n_kept} kept of "
               f"{first.n_runs} tried.")
    blocks: list[Block] = [Figure(
        name="strategies", finding=finding,
        note="How many of its ideas were kept, and its part of all tokens. Gains are of kept "
        "steps, each on one seed, added up; what fresh seeds say of them stands in the chain. "
        f"{_checking(found, total)}", pictures=[Rows(
            title="What each strategy earned", text="; ".join(
                f"{one.strategy} {said.signed(one.gain_bpb)}" for one in ideas),
            label="gain of kept steps, bits/byte", rows=rows)])]
    return Section(name="strategies", title="Strategies and rungs",
                   blocks=[*blocks, *_rungs(found)])


def _checking(found: Findings, total: int) -> str:
    spent = sum(one.tokens for one in found.earned if one.strategy in CHECKING)
    return f"{100 * spent / total:.0f} % of the tokens went into baselines and fresh seeds."


def _rungs(found: Findings) -> list[Block]:
    """What giving up at a quarter saved, and how well a quarter foretells the end."""
    pruned = sum(one.n_pruned for one in found.earned)
    saved = sum(one.saved_tokens for one in found.earned)
    told = (f"{said.plural(pruned, 'run')} given up at a quarter saved {said.tokens(saved)} tokens."
            if pruned else "No run was given up early.")
    if found.predicted:
        told += (f" What the search foretold was within {100 * found.predicted.median_error:.1f} % "
                 f"in the middle; {found.predicted.n_inside} of {found.predicted.n} results fell "
                 "where it expected them.")
    if len(found.rungs) < LEAST_RUNGS:
        return [Finding(note=told)]
    x, y = (scale_of([pair[i] for pair in found.rungs], label) for i, label in enumerate(
        ("bits/byte at a quarter", "bits/byte at the end")))
    if x is None or y is None:
        return [Finding(finding=told)]
    return [Figure(name="rungs", finding=told, height=260,
                   note="Each dot is a run that went on: its score at a quarter of its tokens, and "
                   "at the end.", pictures=[Plot(
                       title="A quarter and the end", text=told, x=x, y=y,
                       marks=[Dots(points=found.rungs, kind=BLUE)])])]


# --- size × data -----------------------------------------------------------------------------


def grid(found: Findings) -> Section | None:
    """The loss over tokens for each size, and over both; None where no cell has finished."""
    its = found.cells
    if its is None:
        return None
    x = scale_of([tokens for size in its.sizes for tokens, _ in size.points], "tokens", "log")
    y = scale_of([bpb for size in its.sizes for _, bpb in size.points], "bits/byte")
    if x is None or y is None:
        return None
    marks: list[Mark] = []
    for i, size in enumerate(its.sizes):
        kind = 1 + i % (N_KINDS - 1)
        marks += [Line(points=size.points, kind=kind, end=size.name, is_dashed=bool(i % 2)),
                  Dots(points=size.points, kind=kind,
                       shape=("dot", "diamond", "square", "triangle")[i % 4])]
    finding = (f"{its.best_size} on {said.tokens(its.best_tokens)} tokens is the best cell, at "
               f"{said.bits(its.best_bpb)} bits/byte.")
    blocks: list[Block] = [Figure(
        name="grid", finding=finding, note="One line a size of model, over the tokens it was "
        "trained on.", pictures=[Plot(title="Size and data", text=finding, x=x, y=y,
                                      marks=marks)])]
    return Section(name="grid", title="Size × data", blocks=[*blocks, *_contours(its)])


def _contours(its: Cells) -> list[Block]:
    """Lines of equal loss over parameters and tokens, where three by three cells are known."""
    columns = sorted({tokens for size in its.sizes for tokens, _ in size.points})
    sizes = sorted({size.n_params: size for size in its.sizes}.values(),
                   key=lambda size: size.n_params)
    table = [[dict(size.points).get(tokens) for tokens in columns] for size in sizes]
    known = [bpb for row in table for bpb in row if bpb is not None]
    x = scale_of(columns, "tokens", "log", 0.08)
    y = scale_of([size.n_params for size in sizes], "parameters", "log", 0.08)
    if len(sizes) < 3 or len(columns) < 3 or x is None or y is None or min(known) == max(known):
        return []
    cells = [(tokens, size.n_params, bpb) for size in sizes for tokens, bpb in size.points]
    levels = linear_ticks(min(known), max(known), N_LEVELS)
    step = f"{levels[1] - levels[0]:g} " if len(levels) > 1 else ""
    return [Figure(
        name="contours", finding=_balance(cells),
        note=f"Lines of equal loss, {step}bits/byte apart; the numbers are the cells.",
        pictures=[Plot(title="Lines of equal loss", text="; ".join(
            f"{said.tokens(n)} parameters, {said.tokens(tokens)} tokens: {said.bits(bpb)}"
            for tokens, n, bpb in cells), x=x, y=y, marks=[
                Contours(xs=columns, ys=[size.n_params for size in sizes], heights=table,
                         levels=levels),
                Dots(points=[(tokens, n) for tokens, n, _ in cells], kind=ORANGE,
                     labels=[f"{bpb:.2f}" for _, _, bpb in cells])])])]


def _balance(cells: Sequence[tuple[int, int, float]]) -> str:
    """Which size was best with the fewest and with the most tokens."""
    def best(tokens: int) -> int:
        return min((bpb, n) for its, n, bpb in cells if its == tokens)[1]

    few, many = min(one[0] for one in cells), max(one[0] for one in cells)
    return (f"With {said.tokens(few)} tokens {said.tokens(best(few))} parameters were best, with "
            f"{said.tokens(many)} tokens {said.tokens(best(many))}.")
