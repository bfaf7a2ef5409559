"""A place that looks like Termux to the program: what Android's SELinux hides is hidden.

In a mount namespace of its own, without any capability: /proc/stat and its like cannot be read, nor
/sys/class/thermal and power_supply; there are no zoneinfo files and no /dev/shm; os.link is gone,
sys.platform is "android", PREFIX is Termux's, and termux-* commands are stubs.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Not /proc/mounts: it is a link into each process's own folder, which no mount can cover.
HIDDEN_FILES = [f"/proc/{name}" for name in ("stat", "loadavg", "uptime", "vmstat")]
HIDDEN_FOLDERS = ["/sys/class/thermal", "/sys/class/power_supply", "/usr/share/zoneinfo",
                  "/dev/shm"]
TOOLS = ("unshare", "setpriv", "mount", "bash")
UNSHARE = ["unshare", "-m"]
ONLY_US = ["--pid", "--fork", "--kill-child"]  # all that is started there ends with the first of it
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
# psutil from PyPI refuses the platform that Termux's own build accepts, and this interpreter has
# the build settings of its own platform only: both are loaded before.
CUSTOMIZE = """
import os, sys, sysconfig
import psutil
sysconfig.get_config_vars()
sys.platform = "android"
del os.link
"""
BATTERY = {
    "answers": """printf '{"percentage": 81, "plugged": "UNPLUGGED", "status": "DISCHARGING", '
printf '"temperature": 30.5}'""",
    "garbage": "printf 'Error: not \\\\x00 {{{'",
    "omits keys": "printf '{\"health\": \"GOOD\"}'",
    "hangs": "trap '' TERM; while :; do sleep 60; done",
}


def missing() -> str | None:
    """Why no sandbox can be made here; None where it can."""
    if os.geteuid() != 0:
        return "a mount namespace needs root"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"there is no {absent[0]} here"
    made = subprocess.run([*UNSHARE, *ONLY_US, "mount", "-t", "proc", "proc", "/proc"],
                          capture_output=True)
    return None if made.returncode == 0 else "this container may not make a mount namespace"


class Sandbox:
    """Termux's folders under a root, and the commands of a phone that behaves in one way."""

    def __init__(self, root: Path, battery: str) -> None:
        self.prefix = root / "com.termux" / "files" / "usr"
        self.home = root / "com.termux" / "files" / "home"
        bin_, self.site, empty = self.prefix / "bin", root / "site", root / "empty"
        for folder in (bin_, self.home, self.site, empty):
            folder.mkdir(parents=True)
        (self.site / "sitecustomize.py").write_text(CUSTOMIZE)
        for name, body in {"termux-battery-status": BATTERY[battery], "termux-wake-lock": ":",
                           "termux-notification": ":"}.items():
            (bin_ / name).write_text(f"#!/bin/sh\n{body}\n")
            (bin_ / name).chmod(0o755)
        hidden = root / "hidden"
        hidden.touch(mode=0o000)
        empty.chmod(0o000)
        mounts = [f"mount --bind {hidden} {path}" for path in HIDDEN_FILES if Path(path).exists()]
        mounts += [f"mount --bind {empty} {path}" for path in HIDDEN_FOLDERS if Path(path).exists()]
        self.mounts = " && ".join(mounts)

    def run(self, *words: str, limit_s: float = 120.0) -> "subprocess.CompletedProcess[str]":
        """A Python command within."""
        inner = shlex.join([*POWERLESS, sys.executable, *words])
        environment = self.environment() | {
            "PATH": f"{self.prefix}/bin:{os.environ['PATH']}", "PYTHONPATH": f"{self.site}:{ROOT}"}
        return subprocess.run(
            [*UNSHARE, "sh", "-c", f"{self.mounts} && exec {inner}"], cwd=self.home,
            env=environment, capture_output=True, text=True, timeout=limit_s)

    def environment(self) -> dict[str, str]:
        """What Termux gives to its shell."""
        return {"PREFIX": str(self.prefix), "HOME": str(self.home), "LANG": "C.UTF-8",
                "PATH": f"{self.prefix}/bin:/usr/bin:/bin", "TMPDIR": str(self.home),
                "TERMUX_VERSION": "0.118.3"}

    def agent(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.run("-m", "agent", "--home", str(self.home / "nights"), *words)
