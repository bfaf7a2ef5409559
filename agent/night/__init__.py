"""The loop: how a night begins, what it does at each tick, how it is told things.

In comes a wish (a text, hours, limits), out comes a ledger with one run after the other judged.
`launch` prepares, `recover` takes up what a dead daemon left, `daemon` ticks, `night` decides what
is due; its last part is the `harvest`. It uses `analysis`, `search`, `trial`, `ledger`, `machine`
and `home`; APScheduler lives here.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.night.cores import tie_to_fast as tie_to_fast
    from agent.night.crop import Crop as Crop
    from agent.night.crossing import Crossing as Crossing
    from agent.night.enqueue import Wanted as Wanted
    from agent.night.enqueue import idea_of as idea_of
    from agent.night.grids import Forecast as Forecast
    from agent.night.grids import foresee_grid as foresee_grid
    from agent.night.grids import queue_grid as queue_grid
    from agent.night.herald import Hooks as Hooks
    from agent.night.herald import has_desktop as has_desktop
    from agent.night.improve import Improving as Improving
    from agent.night.inbox import Idea as Idea
    from agent.night.launch import Desk as Desk
    from agent.night.launch import desk as desk
    from agent.night.launch import end_pause as end_pause
    from agent.night.launch import run_night as run_night
    from agent.night.launch import train_once as train_once
    from agent.night.messenger import why_not_url as why_not_url
    from agent.night.reap import foresee_harvest as foresee_harvest
    from agent.night.reap import harvest_once as harvest_once
    from agent.night.replicate import run_again as run_again
    from agent.night.rounds import improve_in_rounds as improve_in_rounds
    from agent.night.wish import Wish as Wish
    from agent.night.withdrawal import Withdrawal as Withdrawal

__all__, __getattr__ = doors(__name__, {
    "cores": ("tie_to_fast",),
    "crossing": ("Crossing",),
    "crop": ("Crop",),
    "enqueue": ("Wanted", "idea_of"),
    "grids": ("Forecast", "foresee_grid", "queue_grid"),
    "herald": ("Hooks", "has_desktop"),
    "improve": ("Improving",),
    "inbox": ("Idea",),
    "launch": ("Desk", "desk", "end_pause", "run_night", "train_once"),
    "messenger": ("why_not_url",),
    "reap": ("foresee_harvest", "harvest_once"),
    "replicate": ("run_again",),
    "rounds": ("improve_in_rounds",),
    "wish": ("Wish",),
    "withdrawal": ("Withdrawal",),
}, modules=("inbox", "remarks", "withdrawal"))
