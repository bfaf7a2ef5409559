"""The report as Markdown with SVG files, and as words."""

import re
import xml.etree.ElementTree as ET

from agent.analysis.findings import Findings
from agent.show.page.markdown import files, plain, text
from agent.show.page.whole import report_of
from tests.support import hostile


def test_every_picture_is_a_file_that_stands_alone(record: Findings) -> None:
    found = files(report_of(record))
    names = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", found["report.md"])
    assert sorted(names) == sorted(set(found) - {"report.md"})
    for name in names:
        tree = ET.fromstring(found[name])
        assert tree.tag == "{http://www.w3.org/2000/svg}svg"
        assert tree.find("{*}style") is not None


def test_the_page_begins_with_the_finding_and_has_a_row_for_each_run(record: Findings) -> None:
    told = files(report_of(record))["report.md"]
    assert told.startswith("# E54 is 0.542 bits/byte better than the baseline")
    assert told.count("\n| E") >= 53


def test_foreign_text_makes_no_markup(spoilt: Findings) -> None:
    found = files(report_of(spoilt))
    for name in set(found) - {"report.md"}:
        ET.fromstring(found[name])
    assert not re.search(r"(?<!\\)<\w", found["report.md"])
    assert plain("a*b_c [x](y) `code` `agent run`") == (
        "a\\*b\\_c \\[x\\](y) \\`code\\` `agent run`")
    assert "\n" not in plain(hostile.all_of_it())


def test_on_a_terminal_it_is_sentences(record: Findings, spoilt: Findings) -> None:
    told = text(report_of(record), 60)
    assert told.splitlines()[0].startswith("E54 is 0.542 bits/byte better")
    assert "Best so far\n  From 1.872 to 1.333" in told
    assert "The guard had nothing to stop." in told
    for found in (told, text(report_of(spoilt), 60)):
        assert max(map(len, found.splitlines())) <= 60
        assert "\x1b" not in found
