"""The harvest's section of a report."""

import dataclasses

from agent.analysis import Harvested
from agent.analysis.findings import Findings
from agent.ledger.records import Prediction
from agent.show.page import harvest
from agent.show.page.blocks import Finding, Quote


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
