"""A study as one page that a person shows to a friend, and the drawing of its pictures.

In come findings, out come a report of blocks, and that as one HTML file, as Markdown with SVG
files, or as words for a terminal. `draw`, `ranked` and `marks` know nothing of studies: values in,
SVG out, for whoever has a picture to draw. Nothing here computes an interval. It uses `words`,
`ledger` and `analysis`, all to read.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.show.page.blocks import Report as Report
    from agent.show.page.html import page as page
    from agent.show.page.markdown import files as files
    from agent.show.page.markdown import text as text
    from agent.show.page.size_data import scaling_files as scaling_files
    from agent.show.page.whole import report_of as report_of

__all__, __getattr__ = doors(__name__, {
    "blocks": ("Report",),
    "html": ("page",),
    "markdown": ("files", "text"),
    "size_data": ("scaling_files",),
    "whole": ("report_of",),
}, modules=("blocks", "draw", "html", "marks", "ranked", "scale", "style"))
