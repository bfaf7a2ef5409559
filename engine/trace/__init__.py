"""Which layer ate the NaN: each intermediate of a step watched, and what the blocks do meanwhile.

In come a trainer and the checkpoint it began from, out come a finding in words, and at every
hundredth of a run a few numbers a block. It uses `model` and `training`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.trace.finding import Finding as Finding
    from engine.trace.gauge import Gauge as Gauge
    from engine.trace.state import Odd as Odd
    from engine.trace.state import odd_start as odd_start
    from engine.trace.trace import look_over as look_over
    from engine.trace.trace import trace_evaluation as trace_evaluation
    from engine.trace.trace import trace_failure as trace_failure
    from engine.trace.update import Before as Before
    from engine.trace.update import Moved as Moved
    from engine.trace.update import moved as moved
    from engine.trace.update import sampled as sampled

__all__, __getattr__ = doors(__name__, {
    "finding": ("Finding",),
    "gauge": ("Gauge",),
    "state": ("Odd", "odd_start"),
    "trace": ("look_over", "trace_evaluation", "trace_failure"),
    "update": ("Before", "Moved", "moved", "sampled"),
})
