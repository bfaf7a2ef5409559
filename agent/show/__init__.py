"""From findings to what a person looks at: the dashboard, one run whole, the table, a curve.

In come records and findings, out come plain values for --json and pages for a terminal. Nothing
here computes an interval. It uses `analysis`, `search`, `trial`, `ledger`, `machine` and `home`,
all to read; rich lives here.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.show.card import model_card as model_card
    from agent.show.curve import LEGEND as LEGEND
    from agent.show.curve import chart as chart
    from agent.show.curve import loss_range as loss_range
    from agent.show.dashboard import BAR as BAR
    from agent.show.dashboard import STYLES as STYLES
    from agent.show.datasette import metadata as metadata
    from agent.show.measures import before_and_after as before_and_after
    from agent.show.status import Status as Status
    from agent.show.status import detail as detail
    from agent.show.status import gather as gather
    from agent.show.status import uniform_bpb as uniform_bpb
    from agent.show.studies import study_list as study_list
    from agent.show.table import markdown as markdown
    from agent.show.table import write_table as write_table
    from agent.show.trace import trace_page as trace_page
    from agent.show.trace import traced as traced

__all__, __getattr__ = doors(__name__, {
    "card": ("model_card",),
    "curve": ("LEGEND", "chart", "loss_range"),
    "dashboard": ("BAR", "STYLES"),
    "datasette": ("metadata",),
    "measures": ("before_and_after",),
    "status": ("Status", "detail", "gather", "uniform_bpb"),
    "studies": ("study_list",),
    "table": ("markdown", "write_table"),
    "trace": ("trace_page", "traced"),
}, modules=("dashboard", "exports", "grid", "replicated", "report", "run_log", "scaling"))
