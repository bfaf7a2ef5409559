"""`agent serve`: the page of a study, live, in a browser of this machine."""

from typing import Any

import click

from agent.cli.given import COUNT
from agent.cli.main import main
from agent.cli.talk import tell
from agent.home import Home
from agent.serve import Site, bound, show_in_browser

PORT = 8642


def _studies(*asked: Any) -> list[Any]:
    """As other commands offer studies, whose module takes numpy, which a server would keep."""
    from agent.cli.options import complete_studies

    return complete_studies(*asked)


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True,
              help="Another one is taken where it is not free; 0 takes any.")
@click.option("--open", "opens", is_flag=True, help="Show it in the browser.")
@click.option("--study", type=COUNT, metavar="N", shell_complete=_studies,
              help="Of this study.  [default: the last one]")
@click.pass_obj
def serve(home: Home, port: int, opens: bool, study: int | None) -> None:
    """Show the night live in a browser, on this machine only, until Ctrl-C.

    Example:  agent serve --open
    """
    site = Site(home, study)
    server, is_asked_for = bound(port, site, tell)
    with server:
        taken = "" if is_asked_for or not port else f"port {port} is taken; "
        tell(f"{taken}{server.url} shows {home.root}; Ctrl-C ends this")
        if opens and not show_in_browser(server.url):
            tell(f"no browser was found here; open {server.url}")
        try:
            server.show()
        except KeyboardInterrupt:
            tell("\rended; nothing was written")
