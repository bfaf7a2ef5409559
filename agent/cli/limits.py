"""--min-battery, --max-heat, --window, --only-charging: what a machine gives, said once for all.

They are those of a night and of a machine that computes for others alike.
"""

from collections.abc import Callable
from typing import Any

import click

from agent.cli.given import Finite
from agent.machine import COOLER_C, Limits, parse_window

Command = Callable[..., Any]
USUAL = Limits()


def limit_options(command: Command) -> Command:
    """The four options, in place."""
    for option in reversed([
        click.option("--min-battery", type=Finite(), default=USUAL.min_battery, show_default=True,
                     metavar="PERCENT",
                     help="Wait below this charge, unless it charges; 0 is no limit."),
        click.option("--max-heat", type=Finite(), default=USUAL.stop_c, show_default=True,
                     metavar="°C", help="Wait at this temperature of the battery; go on "
                                        f"{COOLER_C:g} °C below."),
        click.option("--window", metavar="HH:MM-HH:MM",
                     help="Work only in these hours: 22:00-07:00."),
        click.option("--only-charging", is_flag=True, help="Work only while the device charges."),
    ]):
        command = option(command)
    return command


def limits_of(options: dict[str, Any]) -> Limits:
    """What was typed of them, as one value. UserError where it makes no sense."""
    window = options["window"]
    return Limits(min_battery=options["min_battery"], stop_c=options["max_heat"],
                  window=parse_window(window) if window else None,
                  only_charging=options["only_charging"])
