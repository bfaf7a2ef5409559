"""What was grown of a study at the end of its nights: foretold, measured, and what it writes."""

from agent import words
from agent.analysis import Findings, Harvested, rows_of_text
from agent.show.page import said
from agent.show.page.blocks import Block, Column, Finding, Quote, Section, Table

TEXT = 700  # letters of a sample


def harvest(found: Findings) -> Section | None:
    """The harvests of a study, the newest first, with the texts of the newest."""
    its = found.harvests[::-1]
    if not its:
        return None
    blocks: list[Block] = [Finding(finding=_told(one), note=one.reason or "") for one in its]
    blocks += [Quote(text=words.cut(text.strip(), TEXT), source=f"{its[0].label} after step "
                     f"{step:,}") for step, text in its[0].samples if text.strip()]
    blocks += [_text(one) for one in its[:1] if one.text]
    return Section(name="harvest", title="The harvest", blocks=blocks)


def _text(one: Harvested) -> Table:
    names = ("its text beside real text", one.label, "real text")
    return Table(name="harvest-text", rows=rows_of_text(one.text),
                 columns=[Column(name=name, is_number=i > 0) for i, name in enumerate(names)])


def _told(one: Harvested) -> str:
    size = f"{words.size(one.n_params)} parameters on {said.tokens(one.tokens)} tokens"
    told = f"{one.label}: {size}"
    if one.foretold:
        told += (f", foretold {said.bits(one.foretold.mean_bpb)} bits/byte (95 %: "
                 f"{said.bits(one.foretold.low_bpb)} to {said.bits(one.foretold.high_bpb)})")
    if one.measured_bpb is not None:
        told += f", measured {said.bits(one.measured_bpb)}"
    return f"{told}: {one.verdict or one.state}."
