"""Termux's terminal on a new phone: a shell in the sandbox, and packages that are yet to come."""

import select
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import TracebackType

from tests.android.sandbox import CUSTOMIZE, ONLY_US, POWERLESS, ROOT, UNSHARE, Sandbox
from tests.support.phone import STUB

COPIED = ("agent", "engine", "strategies", "termux", "pyproject.toml", "README.md")
# What a new Python loses: the packages that came from PyPI.
FORGETS = """
if os.path.exists(os.environ["PREFIX"] + "/lost"):
    for name in ("apscheduler", "click", "rich", "sqlite_utils"):
        sys.modules[name] = None
"""
# A package of Termux is a folder of commands. An upgrade finds a new Python where one was.
PKG = """case $1 in
    install) for word; do
        [ ! -d "$PREFIX/share/$word" ] || ln -sf "$PREFIX/share/$word"/* "$PREFIX/bin/"; done ;;
    upgrade) [ ! -e "$PREFIX/bin/agent" ] || touch "$PREFIX/lost" ;;
esac
"""
# pip writes the command of pyproject.toml; the network it would need for the rest is not there.
PYTHON = """case "$*" in
    '-m pip install '*' -e {checkout}')
        printf '#!%s/bin/python\\nimport sys\\nfrom {module} import {function}\\n' "$PREFIX" \
            > "$PREFIX/bin/agent"
        echo 'sys.exit({function}())' >> "$PREFIX/bin/agent"
        chmod 755 "$PREFIX/bin/agent" ;;
    '-m pip install '*) rm -f "$PREFIX/lost" ;;
    *)  [ ! -e "$PREFIX/bin/agent" ] || site=:{checkout}
        export PYTHONPATH={site}"${{site-}}"
        exec {python} "$@" ;;
esac
"""
BATTERY = """printf '{"percentage": 81, "plugged": "PLUGGED_AC", "status": "CHARGING", '
printf '"temperature": 30.5}'
"""


class Terminal:
    """A shell that is typed into, on a phone with the program in its Download folder."""

    def __init__(self, root: Path, local_time: str) -> None:
        self.phone = phone = Sandbox(root, "answers")
        self.nights = phone.home / "nights"
        self._calls, self._output = root / "calls", root / "output"
        (phone.site / "sitecustomize.py").write_text(CUSTOMIZE + FORGETS)
        shutil.rmtree(phone.prefix / "bin")
        shared = root / "shared" / "Download"
        for name in COPIED:
            self._copy(ROOT / name, shared / "phi-auto" / name)
        self._write("bin/pkg", PKG)
        self._write("bin/termux-wake-lock", "")
        self._write("bin/termux-setup-storage",
                    f"mkdir -p ~/storage && ln -s {shared} ~/storage/downloads\n")
        self._write("share/python/python", self._python())
        self._write("share/termux-api/termux-battery-status", BATTERY)
        for name in ("job-scheduler", "notification", "notification-remove"):
            self._write(f"share/termux-api/termux-{name}", "")
        (phone.prefix / "bin/sh").symlink_to("/bin/sh")
        self._environment = phone.environment() | {"CALLS": str(self._calls), "TZ": local_time}

    def _python(self) -> str:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        module, function = project["scripts"]["agent"].split(":")
        return PYTHON.format(checkout=self.phone.home / "phi-auto", site=self.phone.site,
                             python=shlex.quote(sys.executable), module=module, function=function)

    def _copy(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)

    def _write(self, name: str, body: str) -> None:
        path = self.phone.prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUB + body, encoding="utf-8")
        path.chmod(0o755)

    def __enter__(self) -> "Terminal":
        inner = shlex.join([*POWERLESS, "bash", "--noprofile", "--norc"])
        self._shell = subprocess.Popen(
            [*UNSHARE, *ONLY_US, "sh", "-c",
             f"mount -t proc proc /proc && {self.phone.mounts} && exec {inner}"],
            cwd=self.phone.home, env=self._environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._shell.kill()  # and with it every process it started
        self._shell.communicate()

    def type(self, line: str, limit_s: float = 90.0) -> tuple[int, str]:
        """Exit status of a line in this shell, and all that it printed."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {line}\n}} > {self._output} 2>&1 < /dev/null; echo $?\n")
        self._shell.stdin.flush()
        assert select.select([self._shell.stdout], [], [], limit_s)[0], f"it hangs: {line}"
        status = self._shell.stdout.readline()
        said = self._output.read_text(encoding="utf-8", errors="replace")
        assert status, f"the shell ended at: {line}\n{said}"
        return int(status), said

    def calls(self, name: str) -> list[list[str]]:
        """The words of every call of a command."""
        lines = self._calls.read_text(encoding="utf-8").splitlines()
        return [line.split("\t")[1:] for line in lines if line.split("\t")[0] == name]
