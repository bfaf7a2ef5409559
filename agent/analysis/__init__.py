"""From rows to findings: numbers with intervals, no colours.

In comes an open ledger, out come comparisons, the steps from baseline to head, and how much each
field mattered, and each study in a line of facts, as plain values. It uses `search` and `ledger`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.analysis.compare import CONFIDENCE as CONFIDENCE
    from agent.analysis.compare import Comparison as Comparison
    from agent.analysis.compare import compare_runs as compare_runs
    from agent.analysis.compare import find as find
    from agent.analysis.compare import in_words as in_words
    from agent.analysis.compare import interval as interval
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
    from agent.analysis.predictions import Predicted as Predicted
    from agent.analysis.predictions import predicted as predicted
    from agent.analysis.studies import StudyFacts as StudyFacts
    from agent.analysis.studies import study_facts as study_facts

__all__, __getattr__ = doors(__name__, {
    "compare": ("CONFIDENCE", "Comparison", "compare_runs", "find", "in_words", "interval"),
    "health": ("Trouble", "troubles"),
    "importance": ("ChainGain", "Importance", "Ranking", "rank"),
    "lineage": ("Lineage", "Step", "head", "lineage_of"),
    "predictions": ("Predicted", "predicted"),
    "studies": ("StudyFacts", "study_facts"),
})
