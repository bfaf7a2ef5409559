"""The harvest's section of a report."""

import dataclasses

from agent.analysis import Harvested
from agent.analysis.findings import Findings
from agent.analysis.written import Written
from agent.ledger.records import Prediction
from agent.show.page import harvest
from agent.show.page.blocks import Finding, Quote, Table


def test_its_text_stands_beside_real_text(record: Findings) -> None:
    its = Harvested("H1", "E4", "finished", "grown", 10, 20, None, 1.3, None, text=[
        Written("known words", 0.9, 0.88, 0.92, 0.99, 0.98, 1.0, 64)])
    section = harvest.harvest(dataclasses.replace(record, harvests=[its]))
    assert section is not None
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert [column.name for column in table.columns][1:] == ["H1", "real text"]
    assert table.rows == [("known words", "90.0% (88.0% to 92.0%)", "99.0% (98.0% to 100.0%)")]


def test_the_newest_comes_first_with_what_it_writes(record: Findings) -> None:
    assert harvest.harvest(record) is None
    first, second = (Harvested(
        label, "E4", "finished", "grown", 1_200_000, 9_400_000, Prediction(1.21, 1.15, 1.28), bpb,
        word, [(900, "Once upon a time")]) for label, bpb, word in (
            ("H1", 1.3, "not as predicted"), ("H2", 1.22, "as predicted")))
    section = harvest.harvest(dataclasses.replace(record, harvests=[first, second]))
    assert section is not None
    said = [block.finding for block in section.blocks if isinstance(block, Finding)]
    assert said[0] == ("H2: 1.2M parameters on 9.4M tokens, foretold 1.210 bits/byte (95 %: 1.150 "
                       "to 1.280), measured 1.220: as predicted.")
    assert said[1].endswith("not as predicted.")
    assert [block.source for block in section.blocks if isinstance(block, Quote)] == [
        "H2 after step 900"]
