"""What to run next and what to believe: proposals, the noise, kept, confirmed, refuted.

In come ended runs, their decisions and strategies of other packages (`plugins`, `outsiders`);
out come the next run to queue and decisions with their evidence. `search`, `verdict` and `scores`
are pure, so that simulated nights go through the very code the daemon uses; `searcher` and
`campaign` tie them to a ledger. It uses `trial`, `ledger`, `machine`, `home` and the strategies.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.search.actions import Kind as Kind
    from agent.search.actions import Pending as Pending
    from agent.search.actions import Propose as Propose
    from agent.search.actions import Repeat as Repeat
    from agent.search.actions import Stop as Stop
    from agent.search.actions import Trial as Trial
    from agent.search.actions import Wait as Wait
    from agent.search.actions import Without as Without
    from agent.search.brief import in_short as in_short
    from agent.search.campaign import MAX_PARAMS as MAX_PARAMS
    from agent.search.campaign import OVERRUN_S as OVERRUN_S
    from agent.search.campaign import Campaign as Campaign
    from agent.search.campaign import Plan as Plan
    from agent.search.campaign import Prepare as Prepare
    from agent.search.campaign import Standing as Standing
    from agent.search.outsiders import Outsiders as Outsiders
    from agent.search.search import Search as Search
    from agent.search.search import reserve_for as reserve_for
    from agent.search.silent import Silent as Silent
    from agent.search.verdict import N_BASELINE_SEEDS as N_BASELINE_SEEDS
    from agent.search.verdict import Decision as Decision

__all__, __getattr__ = doors(__name__, {
    "actions": ("Kind", "Pending", "Propose", "Repeat", "Stop", "Trial", "Wait", "Without"),
    "brief": ("in_short",),
    "campaign": ("Campaign", "MAX_PARAMS", "OVERRUN_S", "Plan", "Prepare", "Standing"),
    "outsiders": ("Outsiders",),
    "search": ("Search", "reserve_for"),
    "silent": ("Silent",),
    "verdict": ("Decision", "N_BASELINE_SEEDS"),
}, modules=("advisor", "budget", "feasible", "footprint", "foresight", "harvest", "plugins",
            "prior", "rungs", "student", "study", "throughput", "verdict"))
