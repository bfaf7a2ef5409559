"""Where things lie below a home folder, who may write there, and what it is told to do.

In comes a folder; out come the paths of its ledger, runs and texts, its lock, and the control file
through which `pause`, `resume` and `stop` reach a daemon. It uses no other wing.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.home.control import is_asked as is_asked
    from agent.home.control import send_command as send_command
    from agent.home.control import take_command as take_command
    from agent.home.lock import Held as Held
    from agent.home.lock import holder as holder
    from agent.home.lock import only_one as only_one
    from agent.home.paths import DEFAULT_HOME as DEFAULT_HOME
    from agent.home.paths import Home as Home
    from agent.home.paths import RunFolder as RunFolder

__all__, __getattr__ = doors(__name__, {
    "control": ("is_asked", "send_command", "take_command"),
    "lock": ("Held", "holder", "only_one"),
    "paths": ("DEFAULT_HOME", "Home", "RunFolder"),
})
