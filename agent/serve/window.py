"""The browser of this machine: a phone's own, or a desktop's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from agent.machine import machine

PHONE = "termux-open-url"
IN_A_TERMINAL = ("www-browser", "links", "elinks", "lynx", "w3m")  # would take this terminal


def show_in_browser(url: str, environ: Mapping[str, str] = os.environ,
                    find: Callable[[str], str | None] = shutil.which,
                    start: Callable[..., object] = subprocess.Popen) -> bool:
    """Whether a browser was asked to show it; nobody waits for it, and what it says is dropped."""
    command = _command(url, environ, find)
    if command is None:
        return False
    try:
        start(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
              stderr=subprocess.DEVNULL, start_new_session=True)
    except OSError:
        return False
    return True


def _command(url: str, environ: Mapping[str, str],
             find: Callable[[str], str | None]) -> list[str] | None:
    if machine.is_termux(environ):
        return [PHONE, url] if find(PHONE) else None
    import webbrowser

    if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")) and not environ.get(
            "BROWSER"):
        return None
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return None
    if os.path.basename(getattr(browser, "name", "")) in IN_A_TERMINAL:
        return None
    return [sys.executable, "-m", "webbrowser", url]
