"""The child that makes the report: python -m agent.serve.render HOME [STUDY], JSON to stdout.

It takes numpy and some hundred megabytes, which the server would keep for good; a child gives all
of it back.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass

from agent.analysis import find_out
from agent.home import Home
from agent.ledger import Reader
from agent.machine import utc_stamp
from agent.show import run_log
from agent.show.page import html, report_of
from engine.errors import UserError

GENTLE = 10  # how far it stands back behind a night that trains (nice)


@dataclass(frozen=True, slots=True)
class Parts:
    """A report as what a page puts in its places."""

    title: str
    head: str  # the header element
    sections: list[tuple[str, str]]  # id and element, in the order in which they are read
    foot: str  # the footer element


def parts_of(home: Home, study: int | None) -> Parts:
    """The report of a study, or of the one last worked on; UserError where there is none."""
    with Reader.open(home.ledger) as ledger:
        found = find_out(ledger, study, utc_stamp(), lambda uid: run_log.samples(home.run(uid)))
    report = report_of(found)
    return Parts(report.title, html.head(report),
                 [(one.name, html.section(one)) for one in report.sections],
                 f'<footer id="foot">{html.prose(report.foot)}</footer>')


def main(words: list[str]) -> int:
    os.nice(GENTLE)
    try:
        told = asdict(parts_of(Home.at(words[0]), int(words[1]) if len(words) > 1 else None))
    except UserError as error:
        told = {"error": str(error)}
    json.dump(told, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
