"""What this machine is, has and suffers: its name and cores, memory, battery, heat, disk, time.

In come /proc, control groups, psutil and the phone's own commands, each of which may be silent;
out come readings with None for what is not told, and the guard's word: go, wait or end. It uses
`words` alone.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.machine.clock import Clock as Clock
    from agent.machine.clock import later as later
    from agent.machine.clock import utc_stamp as utc_stamp
    from agent.machine.conditions import COOLER_C as COOLER_C
    from agent.machine.conditions import DAY_MINUTES as DAY_MINUTES
    from agent.machine.conditions import Guard as Guard
    from agent.machine.conditions import Limits as Limits
    from agent.machine.conditions import Window as Window
    from agent.machine.conditions import in_words as in_words
    from agent.machine.conditions import parse_window as parse_window
    from agent.machine.guard import Word as Word
    from agent.machine.machine import MIN_DISK_MB as MIN_DISK_MB
    from agent.machine.present import Present as Present
    from agent.machine.present import Value as Value
    from agent.machine.sensors import Readings as Readings
    from agent.machine.sensors import Sensors as Sensors

__all__, __getattr__ = doors(__name__, {
    "clock": ("Clock", "later", "utc_stamp"),
    "conditions": ("COOLER_C", "DAY_MINUTES", "Guard", "Limits", "Window", "in_words",
                   "parse_window"),
    "guard": ("Word",),
    "machine": ("MIN_DISK_MB",),
    "present": ("Present", "Value"),
    "sensors": ("Readings", "Sensors"),
}, modules=("affinity", "container", "guard", "kernels", "machine", "present", "proof"))
