"""What broke a run, or how its blocks fared, as values and as a page."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent import words
from agent.analysis import Trouble, troubles
from agent.ledger import Layer, Queries, Run, Trace, layers_of, trace_of
from agent.show.columns import Column, fitting, rows
from engine.errors import UserError

NAME_WIDTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """All that `agent trace` shows of one run."""

    run: Run
    trace: Trace | None  # None where nothing broke, or nobody saw it
    troubles: list[Trouble]
    layers: list[Layer]

    @property
    def told(self) -> str:
        """One line."""
        if self.trace:
            return self.trace.told
        if self.troubles:
            one = self.troubles[0]
            more = f"; and {len(self.troubles) - 1} more" if len(self.troubles) > 1 else ""
            return (f"{one.name} in block {one.block} since step {one.since_step:,}: "
                    f"{one.words}{more}")
        n = len({layer.step for layer in self.layers})
        if self.run.state == "diverged":
            return f"not traced; {self.run.error}"
        return f"nothing is wrong: {n} looks, the last at step {self.layers[-1].step:,}"

    def as_dict(self) -> dict[str, Any]:
        """For --json: what broke it, null where nothing did, beside what the blocks did."""
        found = self.trace
        data = found.data if found else {}
        return {"run": self.run.label, "state": self.run.state, "told": self.told,
                "step": found and found.step, "pass": found and found.direction,
                "block": found and found.block, "tensor": found and found.tensor,
                "causes": found.causes if found else [], "what": data.get("what"),
                "growth": data.get("growth", []), "began_at": data.get("began_at"),
                "is_repeated": data.get("is_repeated"), "notes": data.get("notes", []),
                "health": [asdict(one) for one in self.troubles],
                "layers": [asdict(layer) for layer in self.layers]}


def traced(ledger: Queries, run: Run) -> Traced:
    """UserError where nothing was seen of the run."""
    trace, layers = trace_of(ledger, run.id), layers_of(ledger, run.id)
    if trace is None and not layers:
        when = ("it keeps one once it has made a step" if run.state in ("queued", "running")
                else "runs keep one from version 0.4 on, once they have made a step")
        raise UserError(f"{run.label} ({run.state}) has no trace; {when}")
    mixer = str(run.config.get("mixer", "attention"))
    return Traced(run=run, trace=trace, layers=layers, troubles=troubles(layers, mixer))


def trace_page(found: Traced, width: int) -> str:
    """What broke it, then how its blocks fared; no line longer than width."""
    run, facts = found.run, dict[str, str]()
    lines = [*textwrap.wrap(f"{run.label} {run.state}, {run.config_text}", width), ""]
    if found.trace:
        facts = _facts(found.trace)
    elif run.state == "diverged" or not found.troubles:
        facts = {"found": found.told}
    for name, text in facts.items():
        lines += _named(name, text, width)
    for name, same in _by_name(found.troubles).items():
        blocks = ", ".join(str(one.block) for one in same)
        lines += _named("trouble", f"{name} in block{'s' * (len(same) > 1)} {blocks} since step "
                        f"{min(one.since_step for one in same):,}: {same[0].words}", width)
    if found.layers:
        lines += ["", *_course(found.layers, width)]
    return "\n".join(lines)


def trouble_of(ledger: Queries, run: Run) -> str | None:
    """What is wrong with a run in one line; None where nothing is, or nobody saw it."""
    trace, layers = trace_of(ledger, run.id), layers_of(ledger, run.id)
    mixer = str(run.config.get("mixer", "attention"))
    found = Traced(run=run, trace=trace, layers=layers, troubles=troubles(layers, mixer))
    return found.told if trace or found.troubles else None


def _by_name(found: Sequence[Trouble]) -> dict[str, list[Trouble]]:
    names: dict[str, list[Trouble]] = {}
    for one in found:
        names.setdefault(one.name, []).append(one)
    return names


def _facts(trace: Trace) -> dict[str, str]:
    place = trace.tensor if trace.block is None else f"block {trace.block}, {trace.tensor}"
    causes = {"likeliest" if i == 0 else f"or {i}": cause
              for i, cause in enumerate(trace.causes)}
    facts = {"where": f"{place}: {trace.direction} pass of step {trace.step:,}",
             "what": f"it {trace.data.get('what', 'broke')}", **causes}
    growth = [(step, rms) for step, rms in trace.data.get("growth", []) if rms is not None]
    if len(growth) > 1:
        facts["its size"] = ", ".join(f"{rms:.3g} after {step:,} steps" for step, rms in growth)
    began_at = trace.data.get("began_at")
    if began_at is not None:
        notes = [str(note) for note in trace.data.get("notes", [])]
        facts["repeated"] = "; ".join([
            "from the checkpoint of step " + words.count(began_at) if began_at
            else "from the very start", *notes])
    return facts


def _named(name: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(f"{name:<{NAME_WIDTH}}{words.printable(text)}", width,
                         subsequent_indent=" " * NAME_WIDTH, break_on_hyphens=False)


_COLUMNS: tuple[Column[Layer], ...] = (
    Column("step", lambda one: words.count(one.step), 0),
    Column("block", lambda one: words.count(one.block), 0),
    Column("activations", lambda one: _short(one.act_rms), 1),
    Column("gradient", lambda one: _short(one.grad_rms), 2),
    Column("largest", lambda one: _short(one.max_score), 3),
    Column("entropy", lambda one: _share(one.entropy), 4),
    Column("dead gates", lambda one: _share(one.dead_gates), 5),
)


def _course(layers: Sequence[Layer], width: int) -> list[str]:
    """The blocks at the first look, in the middle and at the last."""
    steps = sorted({layer.step for layer in layers})
    shown = sorted({steps[0], steps[len(steps) // 2], steps[-1]})
    chosen = [layer for layer in layers if layer.step in shown]
    columns = fitting(_COLUMNS, lambda left: len(rows(left, chosen)[0]) > width)
    return [*(words.cut(line, width) for line in rows(columns, chosen)), *textwrap.wrap(
        "activations and gradient: root mean squares; largest: score of attention, of RWKV entry "
        "of a state; entropy: of attention, as a share of what it could be", width)]


def _short(value: float | None) -> str:
    return words.UNKNOWN if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return words.UNKNOWN if value is None else f"{100 * value:.1f} %"
