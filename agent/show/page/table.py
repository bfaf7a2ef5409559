"""Every run as a table, the published rows, and the winner with what it is and wrote."""

from collections.abc import Sequence

from agent import words
from agent.analysis import Findings, TableRow, Winner
from agent.ledger import EXPERIMENT_COLUMNS, Claim
from agent.show.page import said
from agent.show.page.blocks import (
    Block,
    Column,
    Finding,
    Items,
    Quote,
    Section,
    Settings,
    Table,
)
from strategies.base import TITLES, shown

MOST_ROWS = 1000  # of the table: what led somewhere, then the newest
WHY, CONFIG, TEXT = 110, 60, 600  # letters of a reason, a configuration, a sample

_COLUMNS = (Column(name="run"), Column(name="verdict"), Column(name="bits/byte", is_number=True),
            Column(name="params", is_number=True, is_spare=True),
            Column(name="tokens", is_number=True, is_spare=True),
            Column(name="tok/s", is_number=True, is_spare=True),
            Column(name="strategy", is_spare=True), Column(name="what and why"))


def table(found: Findings) -> Section | None:
    """The runs of the study, the newest last; None where there are none."""
    rows = found.table
    blocks: list[Block] = []
    if rows:
        shown_rows = rows
        if len(rows) > MOST_ROWS:
            order = sorted(range(len(rows)), key=lambda i: (rows[i].rank, -i))[:MOST_ROWS]
            shown_rows = [rows[i] for i in sorted(order)]
        left = len(rows) - len(shown_rows)
        note = (f"{left:,} more runs are in the ledger: `agent export-runs --csv` writes all."
                if left else "")
        blocks = [Finding(finding=f"{said.plural(len(rows), 'run')}.", note=note),
                  Table(name="runs", columns=_COLUMNS, is_live=True, rows=[(
                      _label(row), row.word, said.bits(row.bpb), words.size(row.n_params),
                      said.tokens(row.tokens), words.count(row.tok_per_s),
                      (row.strategy or "").replace("_", " "),
                      _what(row)) for row in shown_rows])]
    blocks += _published(found.published)
    return Section(name="runs", title="All runs", blocks=blocks) if blocks else None


def _label(row: TableRow) -> str:
    return f"★ {row.label}" if row.is_starred else row.label


def _what(row: TableRow) -> str:
    """A person's words on it first, then why it was tried."""
    why = " ".join(row.why.split())
    told = words.cut(why, WHY) if why else words.cut(row.config, CONFIG)
    return f"“{words.cut(' '.join(row.note.split()), WHY)}” {told}" if row.note else told


def _published(rows: Sequence[dict[str, str]]) -> list[Block]:
    if not rows:
        return []
    return [Finding(finding=f"{said.plural(len(rows), 'published row')}.",
                    note="From a source that this machine did not run; they compare with nothing "
                    "above."),
            Table(name="published", columns=[
                Column(name=name, is_spare=name in ("Date", "Steps", "Notes"))
                for name in EXPERIMENT_COLUMNS],
                rows=[[words.cut(str(row.get(name, "")), WHY) for name in EXPERIMENT_COLUMNS]
                      for row in rows])]


def winner(found: Findings) -> Section | None:
    """The run to beat: its claims, its configuration beside the baseline's, its texts."""
    its = found.winner
    if its is None:
        return None
    blocks: list[Block] = [_claimed(found, its)]
    if len(its.claims) > 1:
        blocks.append(Items(lines=[_claim(claim) for claim in its.claims]))
    blocks.append(Settings(rows=[
        (TITLES.get(one.name, one.name), shown(one.value)
         + (f" (was {shown(one.baseline)})" if one.value != one.baseline else ""),
         one.value != one.baseline)
        for one in sorted(its.settings, key=lambda one: one.value == one.baseline)]))
    blocks += [Quote(text=words.cut(text.strip(), TEXT), source=f"after step {step:,}")
               for step, text in its.samples if text.strip()]
    return Section(name="winner", title="The winner" if not its.is_baseline else "The baseline",
                   blocks=blocks)


def _claim(claim: Claim) -> str:
    within = said.span(claim.low_bpb, claim.high_bpb)
    seeds = f", {said.plural(claim.n_seeds, 'fresh seed')}" if claim.n_seeds else ""
    return (f"{claim.label} over {claim.against or 'the one before'}: "
            f"{said.signed(claim.gain_bpb)} bits/byte{f' ({within})' if within else ''}{seeds}")


def _claimed(found: Findings, its: Winner) -> Finding:
    """What is claimed of it, and what the silent test says."""
    size = f"{words.size(its.n_params)} parameters, {said.tokens(its.tokens)} tokens"
    score = f"{its.label}: {said.bits(its.val_bpb)} bits/byte with {size}."
    if its.is_baseline:
        return Finding(finding=score, note="It is the baseline; `agent run` tries ideas on it.")
    if its.claimed_bpb is None:
        return Finding(finding=score, note=f"{said.signed(said.gained(found))} bits/byte over the "
                       "baseline in the search; no fresh seed has judged it yet.")
    note = f"Confirmed gain {said.signed(its.claimed_bpb)} bits/byte"
    if len(its.claims) == 1 and its.claims[0].low_bpb is not None:
        claim = its.claims[0]
        note += f" (95 %: {said.span(claim.low_bpb, claim.high_bpb)})"
    silent = (its.silent or {}).get("silent_bpb")
    if isinstance(silent, int | float):
        within = said.span(*((its.silent or {}).get(end) for end in ("low_bpb", "high_bpb")))
        note += (f"; silent test, on text that decided nothing, {said.signed(silent)}"
                 + (f" (95 %: {within})" if within else ""))
    return Finding(finding=score, note=f"{note}.")
