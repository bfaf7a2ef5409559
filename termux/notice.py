"""Two lines for the notification, title and content, from `agent status --json` on stdin."""

import json
import sys
from typing import Any


def at(value: Any, *keys: str) -> Any:
    """What lies at a path of keys; None where any of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def number(value: Any, form: str) -> str:
    """A number in words; nothing where there is none."""
    return form.format(value) if isinstance(value, int | float) else ""


def notice(status: Any) -> tuple[str, str]:
    """Title and content; every key may be missing."""
    if not isinstance(status, dict):
        return "phi-auto: no answer", "`agent status` fails; `sh termux/install.sh` may mend it"
    state = "not running"
    if at(status, "is_daemon_alive"):
        state = at(status, "night", "state") or "on"
        if share := number(at(status, "progress", "share"), "{:.0%}"):
            state = f"{at(status, 'run', 'label') or 'a run'} at {share}"
    numbers = [number(at(status, "best", "val_loss"), "{:.3f} nats/token"),
               number(at(status, "best", "val_bpb"), "{:.3f} bits/byte")]
    best = ", ".join(filter(None, numbers))
    label = at(status, "best", "label") or "a run"
    content = f"best {label}: {best}" if best else "no run has finished yet"
    return f"phi-auto: {state}", content + guard(status)


def guard(status: Any) -> str:
    """The guard's present word, as the end of a sentence; nothing where no daemon has one."""
    word, reason = at(status, "guard_now", "word"), at(status, "guard_now", "reason")
    if not at(status, "is_daemon_alive") or word not in ("go", "waits"):
        return ""
    return f"; waits: {reason}" if word == "waits" and reason else f"; guard: {word}"


def read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


if __name__ == "__main__":
    for line in notice(read(sys.stdin.read())):
        sys.stdout.write(" ".join(line.split()) + "\n")
