"""The control file: pause, resume and stop, from a command to the running daemon."""

import json
from pathlib import Path

from engine.files import write_atomically


def send_command(control: Path, command: str) -> None:
    """Leave pause, resume or stop for the daemon's next tick."""
    control.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(control, json.dumps({"command": command}).encode())


def is_asked(control: Path, command: str) -> bool:
    """Whether the control file asks for this; it stays, for who takes it."""
    try:
        return bool(json.loads(control.read_bytes())["command"] == command)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def take_command(control: Path) -> str | None:
    """What the control file asks for, removed as it is read; None where it asks nothing."""
    try:
        data = control.read_bytes()
        control.unlink()
        return str(json.loads(data)["command"])
    except OSError:
        return None  # nobody asked, or what asks is no file
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # not written by this program; it is gone now
