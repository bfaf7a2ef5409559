"""A report as one HTML file that needs nothing else: no network, and no script to be read.

Whatever a ledger holds arrives as text (`safe`). The page says so itself: its content security
policy lets nothing load and nothing run but the one style and the one script whose hashes it names.
"""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator

from agent.show.page import draw, ranked, safe
from agent.show.page.blocks import (
    Block,
    Figure,
    Finding,
    Items,
    Quote,
    Report,
    Section,
    Settings,
    Table,
)
from agent.show.page.draw import Plot
from agent.show.page.ranked import Rows
from agent.show.page.style import PAGE_STYLE

WIDE, NARROW, SMALL = 720, 340, 170  # widths of drawings: of a window, a phone, one of many
LOWER = 0.82  # height on a phone, as part of that of a wide window
CELL, TEXT = 200, 1000  # letters
UNIT = re.compile(r"(?<=\d) (?=(?:%|[hds]\b|min\b|[kMG]B\b))")  # a number stays beside it
COMMAND = re.compile(r"`(agent [^`]{1,60})`")  # in a sentence
NEW = ' class="new"'
SCRIPT = """\
document.querySelectorAll("table.live").forEach(function (table) {
  var body = table.tBodies[0], rows = Array.from(body.rows), box = document.createElement("input");
  box.type = "search"; box.placeholder = "Search " + rows.length + " runs";
  box.setAttribute("aria-label", "Search the runs");
  table.parentNode.before(box);
  var texts = rows.map(function (row) { return row.textContent.toLowerCase(); });
  box.addEventListener("input", function () {
    var words = box.value.toLowerCase().split(/\\s+/);
    rows.forEach(function (row, i) {
      row.hidden = !words.every(function (word) { return texts[i].includes(word); });
    });
  });
  var units = {k: 1e3, M: 1e6, G: 1e9};
  function value(row, column) {
    var text = row.cells[column].textContent.replace(/,/g, "");
    var number = text.match(/^[+-]?[\\d.]+(e-?\\d+)?/);
    return number && table.tHead.rows[0].cells[column].className.includes("n")
      ? parseFloat(number[0]) * (units[text.slice(number[0].length)] || 1) : text;
  }
  Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
    var button = document.createElement("button"), way = -1;
    button.textContent = head.textContent; head.textContent = ""; head.append(button);
    button.addEventListener("click", function () {
      way = -way;
      Array.from(table.tHead.rows[0].cells).forEach(function (one) {
        one.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      rows.slice().sort(function (a, b) {
        var x = value(a, column), y = value(b, column);
        if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
        return way * (x < y ? -1 : x > y ? 1 : 0);
      }).forEach(function (row) { body.append(row); });
    });
  });
});
"""


def page(report: Report, script: str = SCRIPT, connects: bool = False) -> str:
    """The whole document.

    script    what runs in it; a live view adds what fetches its news
    connects  whether it may ask the server it came from
    """
    policy = (f"default-src 'none'; style-src {_hash(PAGE_STYLE)}; script-src {_hash(script)}; "
              f"img-src data:; {'connect-src self; ' if connects else ''}base-uri 'none'; "
              "form-action 'none'").replace(" self", " 'self'")
    sections = "\n".join(section(one) for one in report.sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{safe.text(policy, 1000)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{safe.isolated(report.title)}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n<body>\n"
        f"{head(report)}\n<main>\n{sections}\n</main>\n"
        f'<footer id="foot">{prose(report.foot)}</footer>\n<script>{script}</script>\n'
        "</body>\n</html>\n")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def head(report: Report) -> str:
    """What stands above the sections."""
    facts = "".join(
        f"<div><dt>{prose(fact.name)}</dt><dd>{prose(fact.value)}"
        + (f"<small>{prose(fact.more)}</small>" if fact.more else "") + "</dd></div>"
        for fact in report.facts)
    return (f'<header id="head">\n<p class="eyebrow">{prose(report.eyebrow)}</p>\n'
            f'<h1>{prose(report.headline)}</h1>\n<p class="lede">{prose(report.lede)}</p>\n'
            + (f'<dl class="facts">{facts}</dl>\n' if facts else "") + "</header>")


def section(one: Section) -> str:
    """One section; a live view replaces it by its id."""
    is_broad = any(isinstance(block, Table) and block.is_live for block in one.blocks)
    how = ' class="broad"' if is_broad else ""
    return (f'<section id="{one.name}"{how}>\n<h2>{prose(one.title)}</h2>\n'
            + "\n".join(_block(block) for block in one.blocks) + "\n</section>")


def prose(text: str) -> str:
    """A sentence with foreign words in it; a command between backticks is code."""
    parts = COMMAND.split(text)
    return "".join(
        f"<code>{safe.line(part, TEXT)}</code>" if i % 2
        else safe.apart(UNIT.sub("\N{NO-BREAK SPACE}", safe.text(part, TEXT)), "<bdi>", "</bdi>")
        for i, part in enumerate(parts))


# --- blocks ----------------------------------------------------------------------------------


def _block(block: Block) -> str:
    match block:
        case Figure():
            return _figure(block)
        case Finding():
            return "".join(f'<p class="{how}">{prose(told)}</p>' for how, told in (
                ("finding", block.finding), ("note", block.note)) if told)
        case Settings():
            return '<dl class="config">' + "".join(
                f"<div><dt>{prose(name)}</dt><dd{NEW if is_new else ''}>{safe.bdi(value)}</dd>"
                "</div>" for name, value, is_new in block.rows) + "</dl>"
        case Quote():
            return (f"<blockquote><bdi>{safe.text(block.text, TEXT)}</bdi>"
                    f"<footer>{prose(block.source)}</footer></blockquote>")
        case Items():
            return '<ul class="plain">' + "".join(
                f"<li>{safe.bdi(line, TEXT)}</li>" for line in block.lines) + "</ul>"
        case Table():
            return _table(block)


def _figure(figure: Figure) -> str:
    note = f"<span>{prose(figure.note)}</span>" if figure.note else ""
    drawn = "".join(_drawings(figure))
    inside = f'<div class="many">{drawn}</div>' if figure.is_many else drawn
    return (f"<figure>\n<figcaption><b>{prose(figure.finding)}</b>{note}</figcaption>\n"
            f"{inside}\n</figure>")


def _drawings(figure: Figure) -> Iterator[str]:
    """Each picture once for a wide window and once for a phone; small ones fit both."""
    for i, picture in enumerate(figure.pictures):
        if figure.is_many:
            yield f"<div>{drawing(picture, SMALL, figure.height, f'{figure.name}-{i}')}</div>"
            continue
        wide = drawing(picture, WIDE, figure.height, f"{figure.name}-{i}")
        narrow = drawing(picture, NARROW, round(LOWER * figure.height), f"{figure.name}-{i}n")
        yield f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>'


def drawing(picture: Plot | Rows, width: int, height: int, name: str, style: str = "") -> str:
    """A picture as an svg element; one of rows is as high as its rows."""
    if isinstance(picture, Rows):
        return ranked.svg(picture, width, name, style)
    return draw.svg(picture, width, height, name, style)


def _table(table: Table) -> str:
    """A table that scrolls by itself where it is too wide."""
    hows = [_classes(column.is_number, column.is_spare) for column in table.columns]
    heads = "".join(f'<th scope="col"{how}>{prose(column.name)}</th>'
                    for column, how in zip(table.columns, hows, strict=True))
    rows = "\n".join(
        "<tr>" + "".join(f"<td{how}>{_cell(cell)}</td>" for cell, how
                         in zip(row, hows, strict=True)) + "</tr>" for row in table.rows)
    live = ' class="live"' if table.is_live else ""
    return (f'<div class="scroll" tabindex="0" role="region" aria-label="{safe.line(table.name)}">'
            f"<table{live}><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></div>")


def _classes(is_number: bool, is_spare: bool) -> str:
    found = " ".join(itertools.compress(("n", "rest"), (is_number, is_spare)))
    return f' class="{found}"' if found else ""


def _cell(text: str) -> str:
    return safe.bdi(text, CELL) if safe.turns(text) else safe.line(text, CELL)
