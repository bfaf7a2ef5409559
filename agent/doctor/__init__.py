"""What could spoil a night here, and what mends each of it.

In comes a probe that asks the machine (a test hands in another), out come checks: ok, warn or fail
with a remedy. It must work where packages are missing, so it imports the others only when it asks
them. It uses `search`, `ledger`, `machine` and `home`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.doctor.doctor import examine as examine
    from agent.doctor.doctor import render as render
    from agent.doctor.doctor import steps as steps
    from agent.doctor.doctor import told_failures as told_failures
    from agent.doctor.doctor import told_packages as told_packages
    from agent.doctor.probe import Probe as Probe

__all__, __getattr__ = doors(__name__, {
    "doctor": ("examine", "render", "steps", "told_failures", "told_packages"),
    "probe": ("Probe",),
})
