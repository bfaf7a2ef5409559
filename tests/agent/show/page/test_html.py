"""The page is valid HTML that needs nothing else, whatever a ledger holds."""

import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest

from agent.analysis.findings import Findings
from agent.show.page.html import SCRIPT, head, page, prose, section
from agent.show.page.style import PAGE_STYLE
from agent.show.page.whole import report_of
from tests.support import hostile

html5lib = pytest.importorskip("html5lib", reason="html5lib judges whether the page is valid HTML")


def parsed(found: Findings) -> ET.Element:
    """The page as a strict parser reads it; it raises at the first error."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(page(report_of(found)))


@pytest.fixture(scope="module")
def trees(record: Findings, night: Findings, empty: Findings, spoilt: Findings
          ) -> dict[str, ET.Element]:
    return {"record": parsed(record), "night": parsed(night), "empty": parsed(empty),
            "spoilt": parsed(spoilt)}


def test_every_page_is_valid_and_has_one_heading_and_a_title(trees: dict[str, ET.Element]) -> None:
    for tree in trees.values():
        assert len(tree.findall(".//h1")) == 1
        assert tree.findtext(".//title")


def test_nothing_foreign_becomes_an_element(trees: dict[str, ET.Element]) -> None:
    tree = trees["spoilt"]
    assert [one.text for one in tree.findall(".//script")] == [SCRIPT]
    assert [one.text for one in tree.findall(".//style")] == [PAGE_STYLE]
    assert tree.findall(".//img") == []
    assert not [name for one in tree.iter() for name in one.attrib if name.startswith("on")]
    kinds = {str(one.tag) for one in trees["record"].iter()} | {"blockquote"}
    assert {str(one.tag) for one in tree.iter()} <= kinds


def test_nothing_foreign_turns_the_page_or_makes_it_long(spoilt: Findings) -> None:
    told = page(report_of(spoilt))
    assert len(told) < 200_000
    assert not [sign for sign in "\u202e\u2067\x00\x01\x1b\x7f\ufffe" if sign in told]
    outside = re.sub("<bdi>[^<]*</bdi>|\u2068[^\u2069]*\u2069", "", told)
    assert "\u05e9" in told
    assert "\u05e9" not in outside


def test_a_picture_says_what_it_is_in_words(trees: dict[str, ET.Element]) -> None:
    pictures = [one for one in trees["record"].iter() if str(one.tag).endswith("svg")]
    names = [one.attrib["id"] for one in trees["record"].iter() if "id" in one.attrib]
    assert len(pictures) > 20
    assert len(names) == len(set(names))
    for one in pictures:
        assert one.attrib["role"] == "img"
        title, text = (one.find("{*}title"), one.find("{*}desc"))
        assert title is not None
        assert text is not None
        assert title.text
        assert text.text
        assert one.attrib["aria-labelledby"].split() == [title.attrib["id"], text.attrib["id"]]
    assert all(one.find("figcaption") is not None for one in trees["record"].iter("figure"))


def test_nothing_is_fetched_and_only_its_own_script_and_style_may_act(record: Findings) -> None:
    told = page(report_of(record))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', told)
    assert policy is not None
    assert policy[1].startswith("default-src &#x27;none&#x27;; style-src &#x27;sha256-")
    assert "unsafe" not in policy[1]
    assert "connect-src" not in policy[1]
    assert re.findall(r'\b(?:src|href)="([^"#]*)', told) == ["data:,"]
    assert "http" not in told.replace("http-equiv", "")
    assert " style=" not in told
    assert "@import" not in told
    assert "url(" not in told.replace(
        'clip-path="url(#', "")


def test_a_page_may_be_allowed_to_ask_its_own_server(empty: Findings) -> None:
    assert "connect-src &#x27;self&#x27;" in page(report_of(empty), connects=True)


def test_a_section_and_the_head_can_be_renewed_by_themselves(record: Findings) -> None:
    report = report_of(record)
    told = page(report)
    assert head(report) in told
    assert all(section(one) in told for one in report.sections)


def test_500_runs_fit_into_300_kilobytes(record: Findings) -> None:
    rows = [dataclasses.replace(row, why="learning rate 3e-4 → 6e-4: a step × 2 " * 4)
            for row in record.table]
    many = dataclasses.replace(record, table=(rows * 6)[:500])
    assert len(page(report_of(many)).encode()) < 300_000


def test_more_rows_than_a_page_holds_are_counted(record: Findings) -> None:
    many = dataclasses.replace(record, table=record.table * 20)
    told = page(report_of(many))
    assert "800 more runs are in the ledger" in told
    assert told.count("<tr>") == 1000 + 1 + 1 + len(record.published)


def test_prose_keeps_code_and_sets_apart_what_turns() -> None:
    assert prose("`agent run` <goes> on") == "<code>agent run</code> &lt;goes&gt; on"
    assert prose(f"E1 {hostile.HEBREW[:4]} ends") == f"E1 <bdi>{hostile.HEBREW[:4]}</bdi> ends"


def test_a_number_is_not_parted_from_its_unit_at_the_end_of_a_line() -> None:
    space = "\N{NO-BREAK SPACE}"
    assert prose("62 % of it, 1 h 12 min and 254 MB on 2 cores") == (
        f"62{space}% of it, 1{space}h 12{space}min and 254{space}MB on 2 cores")
    assert prose("`agent run --for 8 h`") == "<code>agent run --for 8 h</code>"
