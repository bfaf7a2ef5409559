"""From rows to findings: numbers with intervals, no colours.

In comes an open ledger, out come comparisons, the steps from baseline to head, and how much each
field mattered, each study in a line of facts, and all that a page about one shows, as plain
values. It uses `search` and `ledger`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.analysis.card import CardFacts as CardFacts
    from agent.analysis.card import facts_of as facts_of
    from agent.analysis.cells import Cells as Cells
    from agent.analysis.chain import Chain as Chain
    from agent.analysis.chain import Link as Link
    from agent.analysis.compare import CONFIDENCE as CONFIDENCE
    from agent.analysis.compare import Comparison as Comparison
    from agent.analysis.compare import compare_runs as compare_runs
    from agent.analysis.compare import find as find
    from agent.analysis.compare import in_words as in_words
    from agent.analysis.compare import interval as interval
    from agent.analysis.course import Course as Course
    from agent.analysis.curves import Curve as Curve
    from agent.analysis.findings import Findings as Findings
    from agent.analysis.findings import Improved as Improved
    from agent.analysis.findings import TableRow as TableRow
    from agent.analysis.findings import Yardstick as Yardstick
    from agent.analysis.findings import find_out as find_out
    from agent.analysis.harvest import Harvested as Harvested
    from agent.analysis.harvest import Source as Source
    from agent.analysis.harvest import grow as grow
    from agent.analysis.harvest import harvested as harvested
    from agent.analysis.harvest import harvests as harvests
    from agent.analysis.harvest import source_of as source_of
    from agent.analysis.health import Trouble as Trouble
    from agent.analysis.health import troubles as troubles
    from agent.analysis.importance import ChainGain as ChainGain
    from agent.analysis.importance import Importance as Importance
    from agent.analysis.importance import Ranking as Ranking
    from agent.analysis.importance import rank as rank
    from agent.analysis.lineage import Lineage as Lineage
    from agent.analysis.lineage import Step as Step
    from agent.analysis.lineage import head as head
    from agent.analysis.lineage import lineage_of as lineage_of
    from agent.analysis.machine_course import MachineCourse as MachineCourse
    from agent.analysis.predictions import Predicted as Predicted
    from agent.analysis.predictions import predicted as predicted
    from agent.analysis.replicated import Again as Again
    from agent.analysis.replicated import PublishedClaim as PublishedClaim
    from agent.analysis.replicated import published_claims as published_claims
    from agent.analysis.replicated import replicated_runs as replicated_runs
    from agent.analysis.slices import Slice as Slice
    from agent.analysis.studies import StudyFacts as StudyFacts
    from agent.analysis.studies import study_facts as study_facts
    from agent.analysis.winner import Winner as Winner
    from agent.analysis.written import rows_of_text as rows_of_text
    from agent.analysis.written import written_in as written_in

__all__, __getattr__ = doors(__name__, {
    "card": ("CardFacts", "facts_of"),
    "cells": ("Cells",),
    "chain": ("Chain", "Link"),
    "compare": ("CONFIDENCE", "Comparison", "compare_runs", "find", "in_words", "interval"),
    "course": ("Course",),
    "curves": ("Curve",),
    "findings": ("Findings", "Improved", "TableRow", "Yardstick", "find_out"),
    "harvest": ("Harvested", "Source", "grow", "harvested", "harvests", "source_of"),
    "health": ("Trouble", "troubles"),
    "importance": ("ChainGain", "Importance", "Ranking", "rank"),
    "lineage": ("Lineage", "Step", "head", "lineage_of"),
    "machine_course": ("MachineCourse",),
    "predictions": ("Predicted", "predicted"),
    "replicated": ("Again", "PublishedClaim", "published_claims", "replicated_runs"),
    "slices": ("Slice",),
    "studies": ("StudyFacts", "study_facts"),
    "winner": ("Winner",),
    "written": ("rows_of_text", "written_in"),
})
