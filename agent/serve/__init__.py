"""The page of `agent report`, live, for a browser on this machine and nobody else.

In come a home and a port, out come one page and one JSON value, /now.json, that it asks for every
two seconds. Nothing here writes, and a report is made by a child that ends, so that the server
stays small. It uses `show.page`, `show`, `analysis`, `ledger`, `machine`, `home` and `words`, all
to read; the one HTTP server lives here.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.serve.server import Server as Server
    from agent.serve.server import bound as bound
    from agent.serve.site import Site as Site
    from agent.serve.window import show_in_browser as show_in_browser

__all__, __getattr__ = doors(__name__, {
    "server": ("Server", "bound"),
    "site": ("Site",),
    "window": ("show_in_browser",),
})
