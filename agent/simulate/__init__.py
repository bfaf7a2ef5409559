"""Nights on made-up worlds, through the real search: what it claims that is not so.

In comes a world with a known truth, out come counts of what was confirmed and how much was gained.
The made-up worlds are `surface`; `tunnel_world` is one of real runs, looked up instead of trained.
It uses `search`, `trial` for its rung, and a ledger to read a surface from.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.simulate.report import as_dict as as_dict
    from agent.simulate.report import page as page
    from agent.simulate.report import suite_page as suite_page

__all__, __getattr__ = doors(__name__, {
    "report": ("as_dict", "page", "suite_page"),
}, modules=("nights", "surface", "tunnel_world"))
